"""`llmops canary`: invented personal data and secrets to plant, each of which a scan finds."""

from __future__ import annotations

import argparse
import json
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from pytest_llmops.cli.typed import read_count
from pytest_llmops.detect.canaries import CANARY_KINDS, Canary, make_canaries
from pytest_llmops.errors import SettingsError, hint
from pytest_llmops.printable import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kinds", metavar="KIND,…", default="", help=f"default: all of {', '.join(CANARY_KINDS)}"
    )
    parser.add_argument("--count", metavar="N", default="1", help="canaries of each kind (default 1)")
    parser.add_argument("--seed", metavar="N", help="the same canaries each time; default: others each time")
    parser.add_argument("--format", choices=("text", "json", "env"), default="text")
    parser.set_defaults(do=_canary, prints_data=True)


def _canary(given: argparse.Namespace) -> int:
    canaries = make_canaries(
        kinds=_read_kinds(given.kinds),
        count=read_count("--count", given.count),
        seed=None if given.seed is None else read_count("--seed", given.seed),
    )
    print(_FORMATS[given.format](canaries))  # noqa: T201 - a command talks to its user
    return 0


def _read_kinds(typed: str) -> list[str]:
    kinds = [each for each in typed.replace(" ", "").upper().split(",") if each]
    for kind in kinds:
        if kind not in CANARY_KINDS:
            known = ", ".join(CANARY_KINDS)
            raise SettingsError(
                f"--kinds: there is no canary of kind {printable(kind)!r}.{hint(kind, CANARY_KINDS)} "
                f"Kinds: {known}."
            )
    return kinds


def _as_text(canaries: Sequence[Canary]) -> str:
    """A line each: kind, and what to plant."""
    return "\n".join(f"{each.kind}: {json.dumps(each.text)[1:-1]}" for each in canaries)


def _as_json(canaries: Sequence[Canary]) -> str:
    return json.dumps([asdict(each) for each in canaries], indent=2)


def _as_env(canaries: Sequence[Canary]) -> str:
    """Assignments that a shell reads, the values alone."""
    counted: Counter[str] = Counter()
    lines = []
    for each in canaries:
        counted[each.kind] += 1
        lines.append(f"CANARY_{each.kind}_{counted[each.kind]}={shlex.quote(each.value)}")
    return "\n".join(lines)


_FORMATS = {"text": _as_text, "json": _as_json, "env": _as_env}
