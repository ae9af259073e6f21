"""`llmops explain CASE`: why each model call of its last run was replayed or made again."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_llmops.recorder.explanation import explain
from pytest_llmops.settings import find_root, load_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("case", metavar="CASE", help="an item id or a case id")
    parser.set_defaults(do=_explain)


def _explain(given: argparse.Namespace) -> int:
    settings = load_settings(find_root(Path.cwd()))
    print(explain(settings.path(settings.home) / "explain", given.case))  # noqa: T201 - a command talks
    return 0
