"""
The suite checks in a run file: written as in a golden file, so that both read the same.

With one golden file `{"recall@5": {"mean": ">= 0.9", "max_drop": 0.05}}`; with several, such a mapping
for each under its path. `max_drop` goes with the mean, or with a statistic that stands alone. A check
that only watches for a drop has `null` in the place of its bound. `min_gain` is a check of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_llmops.bounds import RECORD_ONLY, bound_of, format_bound, looks_like_bound, parse_bound
from pytest_llmops.detect.value_lists import mask_denied
from pytest_llmops.documents.reading import is_number
from pytest_llmops.errors import ComparisonError, hint
from pytest_llmops.golden.thresholds import make_suite_checks, split_entry
from pytest_llmops.records import GAIN, Bound, SuiteCheck
from pytest_llmops.statistics.summaries import NAMES


def dump_suite(suite: Mapping[str, Sequence[SuiteCheck]], cases: Iterable[str]) -> dict[str, Any]:
    """
    The suite of a run as JSON values.

    Args:
        suite: Golden file to its checks.
        cases: Item ids of the run; they name the golden file where it is not written.

    Raises:
        ValueError: The checks are none that a golden file can hold.
    """
    if len(suite) == 1 and any(suite.values()) and next(iter(suite)) == _golden_file(cases):
        return _dump_checks(next(iter(suite.values())))
    return {path: _dump_checks(checks) for path, checks in sorted(suite.items())}


def parse_suite(suite: Mapping[str, Any], cases: Iterable[str]) -> dict[str, tuple[SuiteCheck, ...]]:
    """
    Golden file to its suite checks; the file is "" where nothing names it.

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
            dumped.setdefault(check.metric, {}).update(
                {**mask_denied(check.options), "min_gain": check.threshold}
            )
            continue
        alone = sum(each.metric == check.metric and each.statistic != GAIN for each in checks) == 1
        if check.max_drop is not None and check.statistic != "mean" and not alone:
            raise ValueError(f"{check.metric}: max_drop beside several statistics is about the mean")
        bound = bound_of(check)
        written = format_bound(bound, digits=None) if bound else None
        shared = mask_denied(check.options)
        if check.max_drop is not None:
            shared["max_drop"] = check.max_drop
        if check.record_only:
            shared[RECORD_ONLY] = True
        dumped.setdefault(check.metric, {}).update({check.statistic: written, **shared})
    return dumped


def _parse_checks(suite: Mapping[str, Any]) -> tuple[SuiteCheck, ...]:
    return tuple(check for metric, written in suite.items() for check in _parse_entry(metric, written))


def _parse_entry(metric: str, written: Mapping[str, Any]) -> tuple[SuiteCheck, ...]:
    entry = split_entry(written)
    max_drop, min_gain = entry.words.get("max_drop"), entry.words.get("min_gain")
    if max_drop is not None and not (is_number(max_drop) and max_drop >= 0):
        raise ValueError(f"{metric}: max_drop must be a number from 0, not {max_drop!r}")
    if "min_gain" in entry.words and not is_number(min_gain):
        raise ValueError(f"{metric}: min_gain must be a number, not {min_gain!r}")
    for key, value in entry.options.items():
        if isinstance(value, str) and looks_like_bound(value):
            near = hint(key, NAMES)
            raise ValueError(
                f"{metric}: no statistic is named {key!r}.{near} Known: mean, sum, min, max, p1 … p99"
            )
    try:
        return make_suite_checks(
            metric,
            {name: _parse_bound(bound, f"{metric} {name}") for name, bound in entry.statistics.items()},
            max_drop=None if max_drop is None else float(max_drop),
            min_gain=None if min_gain is None else float(min_gain),
            options=entry.options,
            record_only=entry.words.get(RECORD_ONLY) is True,
        )
    except ComparisonError as error:
        raise ValueError(f"{metric}: {error}") from None


def _parse_bound(written: Any, place: str) -> Bound | None:
    bound = parse_bound(written) if isinstance(written, str) else None
    if written is not None and bound is None:
        raise ValueError(f'{place}: must be a comparison such as ">= 0.9", not {written!r}')
    return bound
