"""`llmops comment RUN.json`: a comment on a pull request. Exit 0 for any verdict, 3 without a comparison."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import get_args

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.evaluation.comparing import compare_files
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.reports.comment import Format, Sides, write_comment, write_error
from pytest_llmops.settings import find_root, load_settings

_BROKEN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN.json")
    parser.add_argument(
        "--baseline", metavar="FILE|git:REF", help="compare with this (default: the accepted baseline)"
    )
    parser.add_argument(
        "--job",
        metavar="RESULT",
        help="how the job ended that made the run; by another word than success the comment is red",
    )
    parser.add_argument("--format", choices=get_args(Format), default="github")
    parser.add_argument("--link", metavar="URL", type=_read_link, help="of the report or the log")
    parser.set_defaults(do=_comment, prints_data=True)


def _read_link(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s<>]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no URL of http or https")
    return text


def _comment(given: argparse.Namespace) -> int:
    link = given.link or ""
    try:
        settings = load_settings(find_root(Path.cwd()))
        compared = compare_files(given.baseline or str(settings.path(settings.accepted)), given.run, settings)
    except (LLMOpsError, ValueError) as error:  # whatever it is, an earlier comment must not stay green
        print(write_error(str(error), job=given.job, link=link), end="")  # noqa: T201 - a command talks to its user
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return _BROKEN
    sides = Sides(
        comparison=compared.comparison,
        base=compared.base,
        run=compared.run,
        cases=cases_by_id(*compared.goldens),
    )
    print(write_comment(sides, job=given.job, link=link, style=given.format), end="")  # noqa: T201 - as above
    return 0
