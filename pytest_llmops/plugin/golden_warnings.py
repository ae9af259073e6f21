"""Warnings about uncalibrated bounds and about drops that no check would find, once a file."""

from __future__ import annotations

import pytest

from pytest_llmops.calibration.record import describe_uncalibrated, is_calibrated, load_calibrations
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.plugin.distribution import is_worker
from pytest_llmops.plugin.session import session_of
from pytest_llmops.protocols import Metric


class GoldenWarning(pytest.PytestWarning):
    """An undecided verdict, a known failure that the settings let pass, an uncalibrated bound."""


def warn_of_doubts(config: pytest.Config, evaluation: Evaluation) -> None:
    """
    Raises:
        UsageError: The project makes errors of warnings.
    """
    if is_worker(config):  # its controller says it
        return
    for doubt in evaluation.source.doubts():
        try:
            config.issue_config_time_warning(GoldenWarning(doubt), stacklevel=2)
        except GoldenWarning:
            raise pytest.UsageError(doubt) from None


def warn_of_marker(item: pytest.Item, metric: Metric, seen: set[tuple[str, str]]) -> None:
    """
    Args:
        seen: Files and metrics that were warned of.

    Raises:
        GoldenWarning: The project makes errors of warnings.
    """
    place = (str(item.path), metric.name)
    if metric.bound is not None or place in seen:
        return
    seen.add(place)
    settings = session_of(item.config).settings
    if not is_calibrated(metric, load_calibrations(settings.path(settings.calibration))):
        item.warn(GoldenWarning(describe_uncalibrated(metric.name)))
