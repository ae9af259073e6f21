"""Bounds on metrics of which no number is right for all kinds of text, and whether labels vouch for them."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_llmops.calibration.record import Calibration, has_no_bound
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Check, Golden, SuiteCheck
from pytest_llmops.registry import create_metric


def find_uncalibrated(golden: Golden, known: Mapping[str, Calibration]) -> list[str]:
    """
    A sentence, with the place of the first bound, for each such metric whose scores no labels were held
    against as the file makes them.

    Args:
        known: What is recorded, by signature.
    """
    every: list[Check | SuiteCheck] = [
        *golden.suite,
        *(each for case in golden.cases for each in case.checks),
    ]
    return [
        f"{golden.path}:{golden.bound_lines[name]}: {describe_uncalibrated(name)}"
        for name in golden.bound_lines
        if has_no_bound(name)
        and not all(
            is_calibrated(create_metric(name, check.options), known)
            for check in every
            if check.metric == name and check.comparison is not None
        )
    ]


def is_calibrated(metric: Metric, known: Mapping[str, Calibration]) -> bool:
    """Whether labels were held against scores that are made as by this metric."""
    alike = getattr(metric, "is_scored_alike", None)
    return any(
        each.metric == metric.name and (alike is None or alike(signature))
        for signature, each in known.items()
    )


def describe_uncalibrated(metric: str) -> str:
    """What to do about a bound of which nobody knows what it passes."""
    return (
        f"what a bound on {metric} passes differs between kinds of text, and none of your labels shows it: "
        f"llmops calibrate {metric} LABELS.jsonl --label FIELD --save"
    )
