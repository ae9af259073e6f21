"""
`llmops selfcheck [BASELINE]`: false alarms and power of the gate on a baseline's own repeats.

Exit 3 where its repeats are too few to measure false alarms.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_llmops.cli import known_verbs
from pytest_llmops.cli.typed import read_count
from pytest_llmops.errors import LLMOpsError, RunFileError, SelfCheckError
from pytest_llmops.gates.golden_flaws import find_near_duplicates
from pytest_llmops.gates.selfcheck import RUNS, check_itself, plan_repeats
from pytest_llmops.golden.loader import load_goldens_of
from pytest_llmops.models.encoders import DEFAULT, load_encoder, read_encoder
from pytest_llmops.printable import name_some, printable
from pytest_llmops.records import Golden, Run
from pytest_llmops.reports.document import write_terminal
from pytest_llmops.reports.files.baseline_file import load_base
from pytest_llmops.reports.selfcheck import selfcheck_document, selfcheck_json
from pytest_llmops.settings import Settings, find_root, load_settings

_UNKNOWN = 3
_NAMED = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("baseline", nargs="?", metavar="BASELINE", help="default: the accepted baseline")
    parser.add_argument("--runs", metavar="N", help="pairs of random halves to compare; default: 200")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(do=_selfcheck)


def _selfcheck(given: argparse.Namespace) -> int:
    runs = RUNS if given.runs is None else read_count("--runs", given.runs)
    settings = load_settings(find_root(Path.cwd()))
    path = settings.path(settings.accepted) if given.baseline is None else Path(given.baseline)
    try:
        base = load_base(path)
        goldens = _load_goldens(base, settings.root)
        repeats = plan_repeats(settings)
        check = check_itself(base, goldens, repeats=repeats, most=settings.max_repeats, runs=runs)
    except (RunFileError, SelfCheckError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command talks to its user
        return _UNKNOWN
    if given.format == "json":
        print(json.dumps(selfcheck_json(check), indent=2))  # noqa: T201 - as above
    else:
        lines = [
            *write_terminal(selfcheck_document(check)),
            *_near_duplicates(goldens),
            *_unmeasured(settings),
        ]
        print("\n".join(lines))  # noqa: T201 - as above
    return _UNKNOWN if check.false_alarms is None else 0


def _unmeasured(settings: Settings) -> list[str]:
    """Name the command that measures the golden set, where no strength is stored beside the baseline."""
    if "mutate" not in known_verbs() or settings.path(settings.accepted).with_name("mutation.json").exists():
        return []
    return ["could a wrong answer turn this red? not measured: llmops mutate --accept"]


def _near_duplicates(goldens: Sequence[Golden]) -> list[str]:
    """Report each question that several cases ask without a group; nothing without an encoder."""
    lines = []
    try:
        encoder = load_encoder(read_encoder(DEFAULT, "selfcheck"))
        for golden in goldens:
            for ids in find_near_duplicates(golden, encoder.encode):
                named = name_some([printable(case) for case in ids], _NAMED)
                lines.append(
                    f"{printable(golden.path)}: nearly one question: {named}; give them one `group:`"
                )
    except LLMOpsError as error:
        return [f"near-duplicate questions: not searched for: {printable(str(error))}"]
    return lines


def _load_goldens(base: Run, root: Path) -> list[Golden]:
    """Load the golden files; one that cannot be loaded is reported."""
    goldens, errors = load_goldens_of(base, root)
    for error in errors:
        problem = f"{printable(str(error.problems[0]))}; checked by the mean of each bounded metric instead"
        print(f"note: {problem}", file=sys.stderr)  # noqa: T201 - a command talks to its user
    return goldens
