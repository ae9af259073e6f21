"""Candidates for golden cases from traces, LangSmith runs, data sets or CSV."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="import",
            module="pytest_llmops.features.importing.command",
            help="traces, LangSmith runs, data sets or CSV as candidates for golden cases",
            page="docs/golden-files.md",
        ),
    ]
