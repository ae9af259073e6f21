"""`llmops comment RUN.json`: a comment on a pull request. Exit 0 for any verdict, 3 without a comparison."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import get_args

from pytest_llmops.errors import LLMOpsError, describe_error
from pytest_llmops.evaluation.comparing import open_sides
from pytest_llmops.printable import printable
from pytest_llmops.reports.comment import Format, write_comment, write_error
from pytest_llmops.settings import find_root, load_settings

_BROKEN = 3
_LONGEST = 4_000  # characters of an error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN.json")
    add_comparison_arguments(parser, "comment")
    parser.add_argument("--format", choices=get_args(Format), default="github")
    parser.add_argument("--link", metavar="URL", type=_read_link, help="of the report or the log")
    parser.set_defaults(do=_comment, prints_data=True)


def add_comparison_arguments(parser: argparse.ArgumentParser, written: str) -> None:
    """Add what a report of a run file is compared with; `written` is the name of that report."""
    parser.add_argument(
        "--baseline",
        metavar="FILE|git:REF|none",
        help="compare with this (default: the accepted baseline, if there is one)",
    )
    parser.add_argument(
        "--job",
        metavar="RESULT",
        help=f"how the job ended that made the run; by another word than success the {written} is red",
    )


def _read_link(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s<>]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no URL of http or https")
    return text


def _comment(given: argparse.Namespace) -> int:
    link = given.link or ""
    try:
        comment = _write(given, link)
    except Exception as error:  # noqa: BLE001 - whatever it is, an earlier comment must not stay green
        why = str(error) if isinstance(error, LLMOpsError) else describe_error(error)
        print(write_error(why, job=given.job, link=link), end="")  # noqa: T201 - a command talks to its user
        print(printable(why, _LONGEST), file=sys.stderr)  # noqa: T201 - as above
        return _BROKEN
    print(comment, end="")  # noqa: T201 - as above
    return 0


def _write(given: argparse.Namespace, link: str) -> str:
    sides = open_sides(given.run, given.baseline, load_settings(find_root(Path.cwd())))
    return write_comment(sides, job=given.job, link=link, style=given.format)
