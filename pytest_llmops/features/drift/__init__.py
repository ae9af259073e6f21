"""Causes of answers that differ from an earlier run: prompt, model, data, tool output or references."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="drift",
            module="pytest_llmops.features.drift.command",
            help="why does a run answer otherwise than an earlier one?",
            page="docs/drift.md",
        ),
    ]
