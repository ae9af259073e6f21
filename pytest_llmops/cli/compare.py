"""`llmops compare BASE.json RUN.json`: 0 not regressed, 1 regressed, 2 undecided, 3 broken."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from pytest_llmops.errors import RevisionError, RunFileError
from pytest_llmops.evaluation.comparing import compare_files
from pytest_llmops.reports.comparison import comparison_document, comparison_json
from pytest_llmops.reports.document import write_markdown, write_terminal
from pytest_llmops.reports.rivals import rivals_document
from pytest_llmops.settings import find_root, load_settings

_EXIT_CODES = {"passed": 0, "failed": 1, "regressed": 1, "undecided": 2, "error": 3}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "base", metavar="BASE.json|git:REF", help="a baseline or run, or that of a merge base"
    )
    parser.add_argument("run", metavar="RUN.json")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text")
    parser.set_defaults(do=_compare)


def _compare(given: argparse.Namespace) -> int:
    try:
        compared = compare_files(given.base, given.run, load_settings(find_root(Path.cwd())))
    except (RunFileError, RevisionError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command talks to its user
        return _EXIT_CODES["error"]
    comparison = compared.comparison
    if given.format == "json":
        print(json.dumps(comparison_json(comparison), indent=2))  # noqa: T201 - a command talks to its user
    else:
        write = write_markdown if given.format == "markdown" else write_terminal
        document = comparison_document(comparison)
        blocks = [*document.blocks, *rivals_document(compared.run).blocks]
        print("\n".join(write(replace(document, blocks=blocks))))  # noqa: T201 - as above
    return _EXIT_CODES[comparison.outcome]
