"""Versions of prompt files: their check, lock and differences."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="prompts",
            module="pytest_llmops.features.prompts.command",
            help="versions of prompt files: check, lock, diff",
            page="docs/prompts.md",
        ),
    ]
