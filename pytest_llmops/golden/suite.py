"""
What a golden file asks of all its cases together: statistics of a metric, and how far they may drop.

`max_drop` goes with the mean, or with the statistic that stands alone; with none it watches the mean.
`min_gain` is a check of its own, `GAIN`: how much better than its rival the app has to be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.bounds import RECORD_ONLY, check_failing, check_reach, parse_bound
from pytest_llmops.documents.value_readers import is_number
from pytest_llmops.documents.values import described, plain
from pytest_llmops.errors import ComparisonError, MetricOptionError
from pytest_llmops.golden.thresholds import configure_metric, read_bound, read_drop, read_record_only
from pytest_llmops.protocols import Metric
from pytest_llmops.records import GAIN, Bound, SuiteCheck

_OFFERED = ("mean", "sum", "min", "max", "p50", "p90", "p95", "p99", "max_drop", "min_gain")
_STATISTIC = re.compile(r"mean|sum|min|max|p[1-9][0-9]?")
_WORDS = ("max_drop", "min_gain", RECORD_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteEntry:
    """
    What is written under a metric of `suite`, in a golden file or in a run file.

    Attributes:
        words: Those of `max_drop`, `min_gain` and `record_only` that are there.
    """

    statistics: Mapping[str, Any]
    words: Mapping[str, Any]
    options: Mapping[str, Any]


def split_entry(written: Mapping[str, Any]) -> SuiteEntry:
    statistics = {key: value for key, value in written.items() if _STATISTIC.fullmatch(key)}
    words = {key: written[key] for key in _WORDS if key in written}
    options = {key: value for key, value in written.items() if key not in {*statistics, *words}}
    return SuiteEntry(statistics=statistics, words=words, options=options)


def make_suite_checks(  # noqa: PLR0913 - the parts of an entry, each read
    metric: str,
    bounds: Mapping[str, Bound | None],
    *,
    max_drop: float | None,
    min_gain: float | None,
    options: Mapping[str, Any],
    record_only: bool,
) -> tuple[SuiteCheck, ...]:
    """
    The checks of one entry.

    Args:
        bounds: Statistic to its bound; None only watches for a drop.

    Raises:
        ComparisonError: `max_drop` could be about any of several statistics.
    """
    if max_drop is not None and len(bounds) > 1 and "mean" not in bounds:
        raise ComparisonError("max_drop beside several statistics is about the mean; write a mean too")
    watched: dict[str, Bound | None] = {} if max_drop is None and min_gain is not None else {"mean": None}
    checks = [
        SuiteCheck(
            metric=metric,
            statistic=statistic,
            comparison=bound.comparison if bound else None,
            threshold=bound.threshold if bound else None,
            max_drop=max_drop if statistic == "mean" or len(bounds) == 1 else None,
            options=options,
            record_only=record_only,
        )
        for statistic, bound in (bounds or watched).items()
    ]
    if min_gain is not None:
        checks.append(
            SuiteCheck(metric=metric, statistic=GAIN, comparison=">=", threshold=min_gain, options=options)
        )
    return tuple(checks)


def read_suite(  # noqa: PLR0913 - an entry, and what of its file it depends on
    name: str,
    written: Any,
    *,
    cases: int,
    rival: bool = False,
    models: Mapping[str, Any] | None = None,
    checked: Metric | None = None,
    past: bool = False,
) -> tuple[tuple[SuiteCheck, ...], Metric]:
    """
    The suite checks that one entry under `suite` asks for, and the metric they are about.

    Args:
        name: The metric, as written.
        written: Statistics to comparisons, `max_drop`, `min_gain`, and options of the metric.
        cases: How many cases the file has; a sum reaches that much further than one score.
        rival: The file names one, without which there is no gain.
        models: As in `read_checks`.
        checked: The metric as a case checks it. A metric that cannot be without options (`keywords`)
            may stand here without them when cases check it: the statistic is over those cases.
        past: As in `read_checks`.

    Raises:
        UnknownMetricError, MetricOptionError, ComparisonError: As `read_checks`.
    """
    if not isinstance(written, dict):
        remedy = f"; write {{mean: {_quoted(written)}}}" if isinstance(written, str | bool) else ""
        raise ComparisonError(f"must be a mapping of statistics, not {described(written)}{remedy}")
    entry = split_entry(written)
    options = plain(dict(entry.options))
    try:
        metric, options = configure_metric(name, options, words=_OFFERED, models=models)
    except MetricOptionError:
        if checked is None or options:
            raise
        metric = checked
    words = entry.words
    gain = _gain(words["min_gain"], metric, rival=rival) if "min_gain" in words else None
    if not entry.statistics and "max_drop" not in words and gain is None:
        raise ComparisonError("names no statistic; write mean, sum, min, max, p1 to p99, or max_drop")
    record_only = read_record_only(words.get(RECORD_ONLY, False))
    if record_only and ("max_drop" in words or gain is not None):
        raise ComparisonError(f"{RECORD_ONLY} fails no build, so max_drop and min_gain say nothing beside it")
    drop = read_drop(words["max_drop"], metric, past=past) if "max_drop" in words else None
    bounds = {
        statistic: _bound(statistic, value, metric, cases, weak=record_only or past)
        for statistic, value in entry.statistics.items()
    }
    checks = make_suite_checks(
        name, bounds, max_drop=drop, min_gain=gain, options=options, record_only=record_only
    )
    return checks, metric


def _bound(statistic: str, value: Any, metric: Metric, cases: int, *, weak: bool) -> Bound:
    low, high = metric.range
    try:
        bound = read_bound(value, metric)
        reach = (low * cases, high * cases) if statistic == "sum" else (low, high)
        check_reach(bound, reach)
        if not weak:
            check_failing(bound, reach)
    except ComparisonError as error:
        raise ComparisonError(f"{statistic}: {error}") from None
    return bound


def _gain(value: Any, metric: Metric, *, rival: bool) -> float:
    if not rival:
        raise ComparisonError(
            "min_gain compares with a rival; name one at the top of the file: rival: shop.bot:old"
        )
    if not is_number(value):
        raise ComparisonError(f"min_gain must be a number such as 0.1, not {described(value)}")
    low, high = metric.range
    if abs(value) > high - low:
        raise ComparisonError(
            f"min_gain {value:g} is more than two scores differ by; they go from {low:g} to {high:g}"
        )
    if value <= low - high:
        raise ComparisonError(
            f"min_gain {value:g} can never fail, since two scores differ by {high - low:g} at most"
        )
    return float(value)


def _quoted(value: bool | str) -> str:  # noqa: FBT001  # the value is what is shown
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if parse_bound(value) else '">= 0.8"'
