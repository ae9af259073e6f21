"""The first golden set of a project, and the workflow that runs it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="init",
            module="pytest_llmops.features.init.command",
            help="write a first golden set for your app, and a workflow that runs it",
        ),
    ]
