"""`llmops comment RUN.json`: a comment on a pull request. Exit 0 whatever the verdict; 3 without a run."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import get_args

from pytest_llmops.cli.compare import compare_files
from pytest_llmops.errors import RevisionError, RunFileError
from pytest_llmops.golden.identity import cases_by_id
from pytest_llmops.reports.comment import Format, write_comment, write_lack
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
    settings = load_settings(find_root(Path.cwd()))
    try:
        compared = compare_files(given.baseline or str(settings.path(settings.accepted)), given.run, settings)
    except (RunFileError, RevisionError) as error:
        print(write_lack(str(error), given.job, given.link or ""), end="")  # noqa: T201 - a command talks to its user
        print(error, file=sys.stderr)  # noqa: T201 - as above
        return _BROKEN
    comment = write_comment(
        compared.comparison,
        compared.base,
        compared.run,
        cases=cases_by_id(*compared.goldens),
        job=given.job,
        link=given.link or "",
        style=given.format,
    )
    print(comment, end="")  # noqa: T201 - as above
    return 0
