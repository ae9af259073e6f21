"""`llmops canary`: invented personal data and secrets to plant, each of which a scan finds."""

from __future__ import annotations

import argparse
import json
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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


def _canary(args: argparse.Namespace) -> int:
    canaries = make_canaries(
        kinds=_read_kinds(args.kinds),
        count=read_count("--count", args.count),
        seed=None if args.seed is None else read_count("--seed", args.seed),
    )
    print(_FORMATS[args.format](canaries))  # noqa: T201 - a command talks to its user
    return 0


def _read_kinds(typed: str) -> list[str]:
    kinds = [kind for kind in typed.replace(" ", "").upper().split(",") if kind]
    for kind in kinds:
        if kind not in CANARY_KINDS:
            raise SettingsError(
                f"--kinds: there is no canary of kind {printable(kind)!r}.{hint(kind, CANARY_KINDS)} "
                f"Kinds: {', '.join(CANARY_KINDS)}."
            )
    return kinds


def _as_env(canaries: Sequence[Canary]) -> str:
    """Write the values as assignments that a shell reads."""
    number: Counter[str] = Counter()
    lines = []
    for canary in canaries:
        number[canary.kind] += 1
        lines.append(f"CANARY_{canary.kind}_{number[canary.kind]}={shlex.quote(canary.value)}")
    return "\n".join(lines)


_FORMATS: Mapping[str, Callable[[Sequence[Canary]], str]] = {
    "text": lambda canaries: "\n".join(
        f"{canary.kind}: {json.dumps(canary.text)[1:-1]}" for canary in canaries
    ),
    "json": lambda canaries: json.dumps([asdict(canary) for canary in canaries], indent=2),
    "env": _as_env,
}
