"""
Bounds on scores as golden files write them, under `checks` for a case and under `suite` for all cases.

=======  ===============================================  =====================================
written  a metric where higher is better                  a metric where lower is better
=======  ===============================================  =====================================
">= 1"   that bound                                       that bound
true     the metric's own bound                           refused: it could mean two things
false    the opposite of the metric's own bound           the metric's own bound
none     not above the lowest score                       the metric's own bound
a word   the metric's own bound: `finish: stop`           the same
{...}    `min` is >=, `max` is <=; with neither, as true  as there; with neither, as none
=======  ===============================================  =====================================

Under `suite`, `max_drop` goes with the mean, or with the only statistic; without one it watches the mean.
`watch: false` ends the comparison of all its statistics with the baseline.
`min_gain` is a check of its own, `GAIN`: how much better than its rival the app has to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.bounds import (
    RECORD_ONLY,
    SIDES,
    check_failing,
    check_reach,
    explain_unreadable,
    invert,
    is_minimum,
    is_nearly_bound,
    parse_bound,
    usual_sign,
)
from pytest_llmops.documents.reading import is_number
from pytest_llmops.documents.values import described, plain
from pytest_llmops.errors import ComparisonError, MetricOptionError, hint
from pytest_llmops.printable import excerpt
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.records import GAIN, Bound, Check, SuiteCheck
from pytest_llmops.registry import create_metric, find_traits, metric_options, split_turn

LONGEST_NAME = 100

_CASE_WORDS = (*SIDES, "min_kappa", "pass_rate", "max_drop", RECORD_ONLY)
WATCH = "watch"
_SUITE_WORDS = ("max_drop", "min_gain", RECORD_ONLY, WATCH)
_STATISTIC = re.compile(r"mean|sum|min|max|p[1-9][0-9]?")
_OFFERED = ("mean", "sum", "min", "max", "p50", "p90", "p95", "p99", *_SUITE_WORDS)


def read_checks(
    name: str, written: Any, *, models: Mapping[str, Any] | None = None, past: bool = False
) -> tuple[tuple[Check, ...], Metric]:
    """
    Return the checks of one entry under `checks`, and the metric they are about.

    Args:
        name: The metric, as written.
        written: The entry. A list is the option `expected`, for a metric that has one.
        models: Encoder and judge of the file, for a metric that takes an option of that name, unless the
            entry has one.
        past: The file is of another revision, so that a bound that cannot fail is accepted.

    Raises:
        UnknownMetricError: The name is not registered.
        MetricOptionError: An option is unknown or its value cannot be.
        ComparisonError: The comparison cannot be read, could never hold, or never fail.
    """
    options: dict[str, Any] = {}
    turn, metric_of_turn = split_turn(name[:LONGEST_NAME])
    if turn:
        raise ComparisonError(
            f"a check of one turn goes under that turn: turns: [{{user: …, checks: {{{metric_of_turn}: …}}}}]"
        )
    if isinstance(written, dict):
        if not written:
            raise ComparisonError("is an empty mapping; write min, max or an option in it")
        options = {key: plain(value) for key, value in written.items() if key not in SIDES}
    elif isinstance(written, list):
        options = {"expected": plain(written)}
        if "expected" not in _options(name):
            raise ComparisonError('takes no list; write a comparison such as ">= 0.8", or a mapping')
    words = {word: options.pop(word) for word in _CASE_WORDS if word in options}
    min_kappa = _read_kappa(words["min_kappa"], name) if "min_kappa" in words else None
    pass_rate = _read_pass_rate(words["pass_rate"], name) if "pass_rate" in words else None
    record_only = read_switch(RECORD_ONLY, words.get(RECORD_ONLY, False))
    metric, options = _configure(name, options, words=_CASE_WORDS, models=models)
    if find_traits(name).over_repeats:
        raise ComparisonError(f"is over all cases; write it under suite: {{{name}: {{mean: …}}}}")
    bounds = (
        _read_sides(written, metric) if isinstance(written, dict | list) else [read_bound(written, metric)]
    )
    for bound in bounds:
        check_reach(bound, metric.range)
        if not record_only and not past:
            check_failing(bound, metric.range)
    max_drop = _read_drop(words["max_drop"], metric, past=past) if "max_drop" in words else None
    return tuple(
        Check(
            metric=name,
            comparison=bound.comparison,
            threshold=bound.threshold,
            options=options,
            min_kappa=min_kappa,
            pass_rate=pass_rate,
            max_drop=max_drop,
            record_only=record_only,
        )
        for bound in bounds
    ), metric


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
    Return the suite checks of one entry under `suite`, and the metric they are about.

    Args:
        name: The metric, as written.
        written: Statistics to comparisons, `max_drop`, `min_gain`, and options of the metric.
        cases: Number of cases in the file; a sum reaches that much further than one score.
        rival: The file names one, without which there is no gain.
        models: As in `read_checks`.
        checked: The metric as a case checks it. A metric that cannot be without options (`keywords`)
            may be written here without them when cases check it: the statistic is over those cases.
        past: As in `read_checks`.

    Raises:
        UnknownMetricError, MetricOptionError, ComparisonError: As `read_checks`.
    """
    if not isinstance(written, dict):
        raise ComparisonError(_explain_no_mapping(written))
    entry = split_entry(written)
    options = plain(dict(entry.options))
    try:
        metric, options = _configure(name, options, words=_OFFERED, models=models)
    except MetricOptionError:
        if checked is None or options:
            raise
        metric = checked
    words = entry.words
    gain = _read_gain(words["min_gain"], metric, rival=rival) if "min_gain" in words else None
    if not entry.statistics and gain is None and not words.keys() & {"max_drop", WATCH}:
        raise ComparisonError(
            "names no statistic; write mean, sum, min, max, p1 to p99, max_drop, or watch: false"
        )
    if find_traits(name).over_repeats:
        _refuse_all_but_mean(entry)
    watch = read_switch(WATCH, words.get(WATCH, True))
    if not entry.statistics and gain is None and "max_drop" not in words and checked is None:
        raise ComparisonError("watch is about the metric of a check, and no case has one of it")
    if not watch and "max_drop" in words:
        raise ComparisonError("max_drop has no effect with watch: false; write one of them")
    record_only = read_switch(RECORD_ONLY, words.get(RECORD_ONLY, False))
    if record_only and ("max_drop" in words or gain is not None):
        raise ComparisonError(
            f"{RECORD_ONLY} fails no build, so max_drop and min_gain have no effect with it"
        )
    drop = _read_drop(words["max_drop"], metric, past=past) if "max_drop" in words else None
    bounds = {
        statistic: _read_statistic(statistic, comparison, metric, cases, may_hold=record_only or past)
        for statistic, comparison in entry.statistics.items()
    }
    checks = make_suite_checks(
        name, bounds, max_drop=drop, min_gain=gain, options=options, record_only=record_only, watch=watch
    )
    return checks, metric


def _explain_no_mapping(written: Any) -> str:
    """Return why an entry under `suite` that is no mapping is refused, and the remedy."""
    remedy = ""
    if isinstance(written, bool):
        remedy = f"; write {{mean: {str(written).lower()}}}"
    elif isinstance(written, str):
        remedy = f'; write {{mean: "{written if parse_bound(written) else ">= 0.8"}"}}'
    return f"must be a mapping of statistics, not {described(written)}{remedy}"


def _refuse_all_but_mean(entry: SuiteEntry) -> None:
    """Refuse what an entry over repeats cannot have."""
    if [*entry.statistics] != ["mean"]:
        raise ComparisonError('has a mean and nothing else; write {mean: ">= 0.8"}')
    if wrong := entry.words.keys() - {RECORD_ONLY}:
        raise ComparisonError(f"takes no {min(wrong)}: what passes less often is found case by case")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteEntry:
    """
    The parts of an entry under `suite`, in a golden file or in a run file.

    Attributes:
        words: Those of `max_drop`, `min_gain`, `record_only` and `watch` that are written.
    """

    statistics: Mapping[str, Any]
    words: Mapping[str, Any]
    options: Mapping[str, Any]


def split_entry(written: Mapping[str, Any]) -> SuiteEntry:
    statistics = {key: value for key, value in written.items() if _STATISTIC.fullmatch(key)}
    words = {key: written[key] for key in _SUITE_WORDS if key in written}
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
    watch: bool = True,
) -> tuple[SuiteCheck, ...]:
    """
    Return the checks of one entry.

    Args:
        bounds: Statistic to its bound; None only watches for a drop.

    Raises:
        ComparisonError: `max_drop` could be about any of several statistics.
    """
    if max_drop is not None and len(bounds) > 1 and "mean" not in bounds:
        raise ComparisonError("max_drop beside several statistics is about the mean; write a mean too")
    only_gain = max_drop is None and min_gain is not None and watch
    watched: dict[str, Bound | None] = {} if only_gain else {"mean": None}
    checks = [
        SuiteCheck(
            metric=metric,
            statistic=statistic,
            comparison=bound.comparison if bound else None,
            threshold=bound.threshold if bound else None,
            max_drop=max_drop if statistic == "mean" or len(bounds) == 1 else None,
            options=options,
            record_only=record_only,
            watch=watch,
        )
        for statistic, bound in (bounds or watched).items()
    ]
    if min_gain is not None:
        checks.append(
            SuiteCheck(metric=metric, statistic=GAIN, comparison=">=", threshold=min_gain, options=options)
        )
    return tuple(checks)


def read_bound(written: Any, metric: Metric) -> Bound:
    """
    Return the bound on that metric that a comparison or a word states.

    Raises:
        ComparisonError: It is neither.
    """
    if isinstance(written, bool) or written == "none":
        if written == "none" and metric.higher_is_better:
            return Bound(comparison="<=", threshold=metric.range[0])
        own = own_bound(metric)
        if metric.higher_is_better:
            return own if written is True else invert(own)
        if written is True:
            raise ComparisonError('true could mean two things here; write none, or a limit such as "<= 2"')
        return own
    if written and written == traits_of(metric).word:
        return own_bound(metric)
    usual = usual_sign(higher_is_better=metric.higher_is_better)
    if isinstance(written, int | float):
        raise ComparisonError(f'a number alone does not say which side is good; write "{usual} {written:g}"')
    if written is None:
        raise ComparisonError(f'is empty; write a comparison such as "{usual} 0.8", or the word none')
    if not isinstance(written, str):
        raise ComparisonError(f'must be a comparison such as "{usual} 0.8", not {described(written)}')
    if bound := parse_bound(written):
        return bound
    raise ComparisonError(explain_unreadable(written, usual))


def own_bound(metric: Metric, example: str = "") -> Bound:
    """
    Return the metric's own bound.

    Args:
        example: A bound as it is written where it is not written as in a golden file.

    Raises:
        ComparisonError: It has none, since no number is right for all kinds of text; with the remedy.
    """
    if metric.bound is None:
        usual = usual_sign(higher_is_better=metric.higher_is_better)
        written = example or f'"{usual} 0.7"'
        raise ComparisonError(
            "has no default bound, for what passes differs between kinds of text. Write one such as "
            f"{written}; labels of your own show which: llmops calibrate {metric.name} LABELS.jsonl "
            "--label FIELD"
        )
    return metric.bound


def read_switch(word: str, value: Any) -> bool:
    """
    Return the value of `record_only` or `watch`.

    Raises:
        ComparisonError: It is neither true nor false.
    """
    if not isinstance(value, bool):
        raise ComparisonError(f"{word} must be true or false, not {described(value)}")
    return value


def _configure(
    name: str, options: Mapping[str, Any], *, words: Iterable[str], models: Mapping[str, Any] | None = None
) -> tuple[Metric, dict[str, Any]]:
    """
    Create the metric, and return it with its options, the file's encoder or judge among them.

    Args:
        words: Keys that are no options, so that a misspelt one is reported as such.
    """
    known = _options(name)
    options = {**{option: model for option, model in (models or {}).items() if option in known}, **options}
    try:
        return create_metric(name, options), options
    except MetricOptionError:
        for option in options:
            if option not in known and (near := hint(option[:60], words)):
                raise ComparisonError(f"does not know {excerpt(option)}.{near}") from None
        raise


def _options(name: str) -> tuple[str, ...]:
    if len(name) > LONGEST_NAME:
        raise ComparisonError("no metric has so long a name")
    return metric_options(name)


def _read_sides(written: Any, metric: Metric) -> list[Bound]:
    """The sides of a mapping; with neither `min` nor `max` the metric's own bound."""
    bounds = []
    for side, comparison in SIDES.items():
        if side in written:
            value = written[side]
            if not is_number(value):
                is_quoted = isinstance(value, str) and is_nearly_bound(value)
                remedy = "; write it without quotes" if is_quoted else ""
                raise ComparisonError(f"{side} must be a number, not {described(value)}{remedy}")
            bounds.append(Bound(comparison=comparison, threshold=float(value)))
    if len(bounds) == len(SIDES) and bounds[0].threshold > bounds[1].threshold:
        raise ComparisonError(f"min {bounds[0].threshold:g} is above max {bounds[1].threshold:g}")
    return bounds or [own_bound(metric)]


def _read_kappa(value: Any, metric: str) -> float:
    if "judge" not in _options(metric):
        raise ComparisonError(f"min_kappa is for judges, and {metric} asks none")
    if not is_number(value) or not 0 <= value <= 1:
        raise ComparisonError(f"min_kappa must be a number from 0 to 1, not {described(value)}")
    return float(value)


def _read_pass_rate(value: Any, metric: str) -> Bound:
    if not find_traits(metric).excusable:
        raise ComparisonError("takes no pass_rate: a leak is excused in no repeat")
    bound = parse_bound(value) if isinstance(value, str) else None
    if not bound or not is_minimum(bound):
        raise ComparisonError(f'pass_rate must be a comparison such as ">= 0.8", not {described(value)}')
    if not 0 <= bound.threshold <= 1 or bound == Bound(comparison=">", threshold=1.0):
        raise ComparisonError(f"pass_rate goes from 0 to 1, so {excerpt(value)} can never hold")
    if bound == Bound(comparison=">=", threshold=0.0):
        raise ComparisonError(f"pass_rate {excerpt(value)} always holds, so the check could not fail")
    return bound


def _read_drop(value: Any, metric: Metric, *, past: bool) -> float:
    """A `max_drop`, in the metric's own unit."""
    if not is_number(value):
        raise ComparisonError(f"max_drop must be a number such as 0.05, not {described(value)}")
    if value < 0:
        raise ComparisonError(f"max_drop must be 0 or more, not {value:g}")
    low, high = metric.range
    if value > high - low or (value == high - low and not past):
        raise ComparisonError(
            f"max_drop {value:g} can never be exceeded: the metric goes from {high:g} to {low:g}"
        )
    return float(value)


def _read_statistic(statistic: str, written: Any, metric: Metric, cases: int, *, may_hold: bool) -> Bound:
    """
    The bound on a statistic of a metric.

    Args:
        may_hold: Accepts a bound that every run holds.
    """
    low, high = metric.range
    reach = (low * cases, high * cases) if statistic == "sum" else (low, high)
    try:
        bound = read_bound(written, metric)
        check_reach(bound, reach)
        if not may_hold:
            check_failing(bound, reach)
    except ComparisonError as error:
        raise ComparisonError(f"{statistic}: {error}") from None
    return bound


def _read_gain(value: Any, metric: Metric, *, rival: bool) -> float:
    """A `min_gain`, in the metric's own unit."""
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
