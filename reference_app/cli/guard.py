"""`python -m reference_app guard`: the guards as a filter of JSON lines."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from reference_app.errors import GuardLinesError
from reference_app.guardrails.lines import LineError, judge_line
from reference_app.settings import SHOP_HOST, read_guards

JUDGED = 0
UNJUDGED = 3


def run_guard(arguments: Sequence[str]) -> int:
    """0 each line was judged, 3 at least one could not be; a file that cannot be read is raised."""
    options = _parser().parse_args(arguments)
    guards = read_guards()
    if options.file is None or options.file == "-":
        return _judge(sys.stdin.buffer, guards)
    try:
        with Path(options.file).open("rb") as lines:
            return _judge(lines, guards)
    except OSError as error:
        raise GuardLinesError(f"{options.file} cannot be read: {error.strerror}.") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference_app guard",
        description="Read JSON lines and write one decision for each, in their order.",
        epilog='A line is {"text": …}, {"answer": …} or {"task": …, "allowed_tools": […], "call": …}. '
        "Exit status: 0 each line was judged, 1 the file cannot be read, 2 wrong arguments, 3 a line could "
        "not be judged. REFERENCE_APP_GUARDRAILS switches guards off.",
    )
    parser.add_argument("--file", metavar="FILE", help="read this file instead of stdin")
    return parser


def _judge(lines: BinaryIO | Iterable[bytes], guards: frozenset[str]) -> int:
    status = JUDGED
    for number, line in enumerate(lines, 1):
        try:
            decision = judge_line(line.rstrip(b"\r\n"), guards, hosts=(SHOP_HOST,))
        except LineError as error:
            status = UNJUDGED
            decision = {"allowed": False, "guard": "line", "line": number, "error": f"The line {error}."}
        sys.stdout.write(json.dumps(decision) + "\n")
        sys.stdout.flush()
    return status
