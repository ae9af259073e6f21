"""
The suite checks in a run file: written as in a golden file, so that both read the same.

With one golden file `{"recall@5": {"mean": ">= 0.9", "max_drop": 0.05}}`; with several, such a mapping
for each under its path. `max_drop` goes with the mean, or with a statistic that stands alone. A check
that only watches for a drop has `null` in the place of its bound. `min_gain` is a check of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from pytest_llmops.errors import hint
from pytest_llmops.records import GAIN, Sign, SuiteCheck
from pytest_llmops.statistics.summaries import NAMES

_BOUND = re.compile(r"\s*(?P<comparison>>=|>|<=|<)\s*(?P<threshold>\S+)\s*\Z")


def dump_suite(suite: Mapping[str, Sequence[SuiteCheck]], cases: Iterable[str]) -> dict[str, Any]:
    """
    The suite of a run as JSON values.

    Args:
        suite: Golden file to its checks.
        cases: Item ids of the run; they tell the golden file where it is not written.

    Raises:
        ValueError: The checks are none that a golden file can hold.
    """
    if len(suite) == 1 and any(suite.values()) and next(iter(suite)) == _golden_file(cases):
        return _dump_checks(next(iter(suite.values())))
    return {path: _dump_checks(checks) for path, checks in sorted(suite.items())}


def parse_suite(suite: Mapping[str, Any], cases: Iterable[str]) -> dict[str, tuple[SuiteCheck, ...]]:
    """
    Golden file to its suite checks; the file is "" where nothing tells it.

    Raises:
        ValueError: What is wrong, with the metric.
    """
    for key, value in suite.items():
        if not isinstance(value, Mapping):
            raise ValueError(f"{key}: must be a mapping of statistics, not {value!r}")  # noqa: TRY004
    if all(isinstance(each, Mapping) for value in suite.values() for each in value.values()):
        return {path: _parse_checks(checks) for path, checks in suite.items()}
    return {_golden_file(cases): _parse_checks(suite)}


def _golden_file(cases: Iterable[str]) -> str:
    paths = {case.partition("::")[0] if "::" in case else "" for case in cases}
    return paths.pop() if len(paths) == 1 else ""


def _dump_checks(checks: Sequence[SuiteCheck]) -> dict[str, Any]:
    dumped: dict[str, dict[str, Any]] = {}
    for check in checks:
        if check.statistic == GAIN:
            dumped.setdefault(check.metric, {}).update({**check.options, "min_gain": check.threshold})
            continue
        alone = sum(each.metric == check.metric and each.statistic != GAIN for each in checks) == 1
        if check.max_drop is not None and check.statistic != "mean" and not alone:
            raise ValueError(f"{check.metric}: max_drop beside several statistics is about the mean")
        bound = None
        if check.comparison is not None and check.threshold is not None:
            bound = f"{check.comparison} {_shortest(check.threshold)}"
        shared: dict[str, Any] = {**check.options}
        if check.max_drop is not None:
            shared["max_drop"] = check.max_drop
        if check.record_only:
            shared["record_only"] = True
        dumped.setdefault(check.metric, {}).update({check.statistic: bound, **shared})
    return dumped


def _shortest(number: float) -> str:
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def _parse_checks(suite: Mapping[str, Any]) -> tuple[SuiteCheck, ...]:
    checks: list[SuiteCheck] = []
    for metric, told in suite.items():
        max_drop = told.get("max_drop")
        if max_drop is not None and not (_is_finite(max_drop) and max_drop >= 0):
            raise ValueError(f"{metric}: max_drop must be a number from 0, not {max_drop!r}")
        statistics = {key: told[key] for key in told if key in NAMES}
        for key, value in told.items():
            if key not in statistics and isinstance(value, str) and _BOUND.match(value):
                near = hint(key, NAMES)
                raise ValueError(
                    f"{metric}: no statistic is named {key!r}.{near} Known: mean, sum, min, max, p1 … p99"
                )
        own = {*statistics, "max_drop", "min_gain", "record_only"}
        options = {key: told[key] for key in told if key not in own}
        alone = len(statistics) < 2  # noqa: PLR2004 - the mean stands for none
        if max_drop is not None and not alone and "mean" not in statistics:
            raise ValueError(f"{metric}: max_drop beside several statistics is about the mean; there is none")
        if "min_gain" in told:
            gains = _parse_gain(metric, told["min_gain"], options)
            statistics = statistics if max_drop is None else statistics or {"mean": None}
        else:
            gains, statistics = (), statistics or {"mean": None}
        for name, bound in statistics.items():
            comparison, threshold = _parse_bound(bound, f"{metric} {name}")
            checks.append(
                SuiteCheck(
                    metric=metric,
                    statistic=name,
                    comparison=comparison,
                    threshold=threshold,
                    max_drop=float(max_drop) if max_drop is not None and (alone or name == "mean") else None,
                    options=options,
                    record_only=told.get("record_only") is True,
                )
            )
        checks += gains
    return tuple(checks)


def _parse_gain(metric: str, value: Any, options: Mapping[str, Any]) -> tuple[SuiteCheck, ...]:
    if not _is_finite(value):
        raise ValueError(f"{metric}: min_gain must be a number, not {value!r}")
    check = SuiteCheck(
        metric=metric, statistic=GAIN, comparison=">=", threshold=float(value), options=options
    )
    return (check,)


def _parse_bound(bound: Any, place: str) -> tuple[Sign | None, float | None]:
    if bound is None:
        return None, None
    matched = _BOUND.match(bound) if isinstance(bound, str) else None
    try:
        threshold = float(matched["threshold"]) if matched else math.nan
    except ValueError:
        threshold = math.nan
    if matched is None or not math.isfinite(threshold):
        raise ValueError(f'{place}: must be a comparison such as ">= 0.9", not {bound!r}')
    return cast("Sign", matched["comparison"]), threshold


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
