"""The queue of answers that need a person."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="review",
            module="pytest_llmops.features.review.command",
            help="look at the answers that need a person",
            page="docs/review.md",
        ),
    ]
