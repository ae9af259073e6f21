"""A small project with a regression that the gate catches."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="demo",
            module="pytest_llmops.features.demo.command",
            help="see a regression being caught: half a minute, no key, no network",
        ),
    ]
