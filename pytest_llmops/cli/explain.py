"""`llmops explain CASE`: why each model call of its last run was replayed or made again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_verb(verbs: Any) -> None:
    parser = verbs.add_parser("explain", help="why a case's model calls were replayed or made again")
    parser.add_argument("case", metavar="CASE", help="an item id or a case id")
    parser.set_defaults(do=_explain)


def _explain(given: argparse.Namespace) -> int:
    from pytest_llmops.recorder.explanation import explain
    from pytest_llmops.settings import find_root, load_settings

    settings = load_settings(find_root(Path.cwd()))
    print(explain(settings.path(settings.home) / "explain", given.case))  # noqa: T201 - a command talks
    return 0
