"""Personal data and secrets in files, and invented ones to plant."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="scan",
            module="pytest_llmops.features.scan.command",
            help="personal data and secrets in traces, cassettes, logs or any text",
            page="docs/pii.md",
        ),
        Verb(
            name="canary",
            module="pytest_llmops.features.scan.canary",
            help="invented personal data and secrets to plant, which a scan finds",
            page="docs/pii.md",
        ),
    ]
