"""Scores of stored rows, and their agreement with labels of people."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.hookspecs import Verb, hookimpl


@hookimpl
def llmops_verbs() -> Sequence[Verb]:
    return [
        Verb(
            name="score",
            module="pytest_llmops.features.calibrate.score_command",
            help="score the rows of a JSONL file, without an app",
            page="docs/metrics/calibration.md",
        ),
        Verb(
            name="calibrate",
            module="pytest_llmops.features.calibrate.command",
            help="how far does a metric agree with people's labels?",
            page="docs/metrics/calibration.md",
        ),
    ]
