"""Warnings of bounds that no labels vouch for and of drops that none could see, once a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from pytest_llmops.calibration.record import Calibration, load_calibrations
from pytest_llmops.calibration.uncalibrated import find_uncalibrated, is_calibrated, tell_uncalibrated
from pytest_llmops.gates.foresight.blind import describe_blind
from pytest_llmops.plugin.distribution import is_worker
from pytest_llmops.plugin.items import GoldenWarning
from pytest_llmops.plugin.session import Session
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Golden


def warn_of_bounds(
    config: pytest.Config, goldens: Iterable[Golden], known: Mapping[str, Calibration]
) -> None:
    """
    Raises:
        UsageError: The project makes errors of warnings.
    """
    if is_worker(config):  # its controller says it
        return
    for golden in goldens:
        for told in (*find_uncalibrated(golden, known), *describe_blind(golden)):
            try:
                config.issue_config_time_warning(GoldenWarning(told), stacklevel=2)
            except GoldenWarning:
                raise pytest.UsageError(told) from None


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
    settings = Session.of(item.config).settings
    if not is_calibrated(metric, load_calibrations(settings.path(settings.calibration))):
        item.warn(GoldenWarning(tell_uncalibrated(metric.name)))
