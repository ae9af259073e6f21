"""The best of several apps or settings on one golden set, or no winner; AutoRAG trials too."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="choose",
            module="pytest_llmops.features.choose.command",
            help="which of several apps or settings is best on one golden set, or no winner",
            page="docs/choose.md",
        ),
    ]
