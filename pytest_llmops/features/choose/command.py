"""`llmops choose A B …`: 0 a winner is named, 2 none, 3 an error keeps one from being named."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_llmops.cli.typed import read_count, read_share, refuse_overwriting
from pytest_llmops.documents.atomic_file import write_atomically
from pytest_llmops.errors import RunFileError, SettingsError
from pytest_llmops.features.choose.autorag import judge_trial
from pytest_llmops.features.choose.candidates import find_run, read_candidates
from pytest_llmops.features.choose.report import ChoiceReport, choice_document, choice_json
from pytest_llmops.features.choose.runs import ChoiceError, enter
from pytest_llmops.features.choose.verdict import choose
from pytest_llmops.golden import find_golden_files
from pytest_llmops.golden.own_metrics import import_metrics
from pytest_llmops.printable import printable
from pytest_llmops.reports.document import write_terminal
from pytest_llmops.settings import Settings, find_root, load_settings

_EXIT_CODES = {"winner": 0, "none": 2, "error": 3}
_LINE = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("candidates", nargs="*", metavar="CANDIDATE", help="an app, module:function; settings of the golden files' app, NAME=value[,NAME=value]; or a run file")  # fmt: skip  # noqa: E501 - a flag a line
    add("--golden", action="append", default=[], metavar="FILE", help="a golden file or folder; may be repeated; default: golden/")  # fmt: skip  # noqa: E501 - as above
    add("--app", metavar="MODULE:ATTR", help="the app of candidates that are settings; overrides what golden files name")  # fmt: skip  # noqa: E501 - as above
    add("--metric", action="append", default=[], metavar="NAME", help="a metric that decides; may be repeated; default: those of the checks")  # fmt: skip  # noqa: E501 - as above
    add("--repeats", metavar="N", help="run each case N times; default: the number of the settings, else 1")
    add("--record", metavar="MODE", help="cassettes: none, once, new (default) or all")
    add("--autorag", metavar="FOLDER", help="instead of candidates, the folder of an AutoRAG trial: is the best module of each node a winner?")  # fmt: skip  # noqa: E501 - as above
    add("--alpha", default="0.05", metavar="SHARE", help="the chance that any difference is called for nothing (default 0.05)")  # fmt: skip  # noqa: E501 - as above
    add("--out", metavar="FILE", help="write the result to this file, as JSON")
    add("--format", choices=("text", "json"), default="text")
    parser.set_defaults(do=_choose)


def _choose(given: argparse.Namespace) -> int:
    try:
        return _run(given)
    except (ChoiceError, RunFileError) as error:
        print(printable(str(error), _LINE), file=sys.stderr)  # noqa: T201 - a command talks to its user
        return _EXIT_CODES["error"]


def _run(given: argparse.Namespace) -> int:
    alpha = read_share("--alpha", given.alpha) or 0.0
    if given.autorag is not None:
        if given.candidates or given.metric:
            raise SettingsError("--autorag takes no candidates or metrics: they are those of the folder")
        _refuse_flags(given, "an AutoRAG trial is finished")
        code, lines, written = judge_trial(given.autorag, alpha=alpha)
        _show(given, lines, written)
        return code
    typed = read_candidates(given.candidates)
    settings = load_settings(find_root(Path.cwd()), ("command line, flags --…", {"record": given.record}))
    refuse_overwriting(
        given.out, *given.golden, *(str(candidate.file) for candidate in typed if candidate.file)
    )
    if all(candidate.file for candidate in typed):
        _refuse_flags(given, "these are all finished runs")
    else:
        find_golden_files(given.golden or settings.golden, Path.cwd() if given.golden else settings.root)
    flags = {"app": given.app, "record": given.record, "repeats": _repeats(given.repeats, settings)}
    import_metrics(settings)
    candidates = [find_run(candidate, given.golden, flags) for candidate in typed]
    field = enter(candidates, given.metric)
    report = ChoiceReport(field=field, choice=choose(field, alpha=alpha), alpha=alpha)
    _show(given, write_terminal(choice_document(report)), choice_json(report))
    return _EXIT_CODES[report.choice.outcome]


def _show(given: argparse.Namespace, lines: Sequence[str], written: Mapping[str, Any]) -> None:
    text = json.dumps(written, indent=2, allow_nan=False)
    if given.out:
        write_atomically(Path(given.out), f"{text}\n".encode())
    print(text if given.format == "json" else "\n".join(lines))  # noqa: T201 - a command talks to its user


def _refuse_flags(given: argparse.Namespace, reason: str) -> None:
    """Refuse flags of the app's run, which would do nothing for finished runs."""
    for name in ("golden", "app", "repeats", "record"):
        if getattr(given, name):
            raise SettingsError(f"--{name} is for running candidates, and {reason}; leave it out")


def _repeats(typed: str | None, settings: Settings) -> str:
    """Return a fixed number: repeats until a verdict is reached would favour one candidate."""
    if typed is not None:
        return str(read_count("--repeats", typed))
    return str(settings.repeats if isinstance(settings.repeats, int) else 1)
