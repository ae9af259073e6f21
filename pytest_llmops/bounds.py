"""Bounds such as `>= 0.8`: reading, checking, inverting, comparing and printing."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from pytest_llmops.errors import ComparisonError
from pytest_llmops.printable import excerpt
from pytest_llmops.records import Bound, Check, Sign, SuiteCheck

RECORD_ONLY = "record_only"
"""Key of a check that records its score and fails no build."""

SIDES: Mapping[str, Sign] = {"min": ">=", "max": "<="}
"""Names of the two sides in a mapping or a marker."""

_SIGNS: Mapping[Sign, Callable[[Any, float], Any]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_INVERSE: Mapping[Sign, Sign] = {">=": "<", ">": "<=", "<=": ">", "<": ">="}
_MIRRORED: Mapping[str, Sign] = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}
_TOGGLED: Mapping[Sign, Sign] = {">=": ">", ">": ">=", "<=": "<", "<": "<="}

_BOUND = re.compile(
    r"\s*(?P<sign>>=|>|<=|<)\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*\Z",
    re.ASCII | re.IGNORECASE,
)
_BEGUN = re.compile(r"\s*[<>]=?\s*\S+\s*\Z")
_NEARLY = re.compile(
    r"\s*(?P<sign>=>|=<|==?|≥|≤|[<>]\s*=|[<>])?"
    r"\s*(?P<number>[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:e[-+]?\d+)?)\s*(?P<percent>%?)\s*\Z",
    re.ASCII | re.IGNORECASE,
)
_MEANT: Mapping[str, Sign] = {"=>": ">=", "≥": ">=", "=<": "<=", "≤": "<=", **{sign: sign for sign in _SIGNS}}


def parse_bound(text: str) -> Bound | None:
    """Return the bound that a text states; None if it states none, or one whose number is too large."""
    bound = _match(text)
    return bound if bound and math.isfinite(bound.threshold) else None


def explain_unreadable(text: str, usual: Sign) -> str:
    """
    Return the reason for which `parse_bound` returns None, and the remedy.

    Args:
        usual: The side that is good, for a text without a sign.
    """
    if _match(text):
        return f"{excerpt(text)} is too large a number"
    bare = text.strip().lower()
    if bare in {"true", "false", "none"}:
        advice = f"write {bare} without quotes"
    elif (near := _NEARLY.match(text)) and math.isfinite(number := float(near["number"].replace(",", "."))):
        number /= 100 if near["percent"] else 1
        sign = _MEANT.get("".join((near["sign"] or "").split()), usual)
        advice = f'did you mean "{sign} {number:g}"?'
    else:
        advice = f'write a comparison such as "{usual} 0.8", true, false or none'
    return f"cannot read {excerpt(text)}; {advice}"


def is_nearly_bound(text: str) -> bool:
    """Return whether a text is a number, with a sign or without, that may be meant as a bound."""
    return _NEARLY.match(text) is not None


def looks_like_bound(text: str) -> bool:
    """Return whether a text begins as a bound does, with anything in the place of its number."""
    return _BEGUN.match(text) is not None


def format_bound(bound: Bound | Check, *, digits: int | None = 6) -> str:
    """
    Return `>= 0.8`.

    Args:
        digits: Significant ones; None for as many as distinguish the number from all others.
    """
    return f"{bound.comparison} {format_number(bound.threshold, digits=digits)}"


def format_number(number: float, *, digits: int | None = None) -> str:
    short = f"{number:.{digits or 6}g}"
    return short if digits or float(short) == number else repr(number)


def bound_of(check: Check | SuiteCheck) -> Bound | None:
    """Return the bound of a check; None for a suite check that only watches for a drop."""
    if check.comparison is None or check.threshold is None:
        return None
    return Bound(comparison=check.comparison, threshold=check.threshold)


def holds(value: Any, bound: Bound | Check) -> Any:
    """Return whether a value is on the right side, or each value of an array, without a tolerance."""
    return _SIGNS[bound.comparison](value, bound.threshold)


def is_minimum(bound: Bound | Check) -> bool:
    """Return whether higher scores hold the bound."""
    return bound.comparison in {">=", ">"}


def excludes_equal(bound: Bound | Check) -> bool:
    return bound.comparison in {">", "<"}


def usual_sign(*, higher_is_better: bool) -> Sign:
    return ">=" if higher_is_better else "<="


def invert(bound: Bound) -> Bound:
    """Return the bound that exactly those scores hold that miss this one."""
    return Bound(comparison=_INVERSE[bound.comparison], threshold=bound.threshold)


def toggle_equal(bound: Bound) -> Bound:
    """Return `> 0.5` for `>= 0.5`, and the other way round."""
    return Bound(comparison=_TOGGLED[bound.comparison], threshold=bound.threshold)


def mirror(comparison: str) -> str:
    """Return the comparison with its sides swapped: `<=` for `>=`; `==` stays."""
    return _MIRRORED.get(comparison, comparison)


def is_bound_as_strict(new: Bound | Check, old: Bound | Check) -> bool:
    """Return whether every score that holds the new bound holds the old one."""
    if is_minimum(new) != is_minimum(old):
        return False
    if new.threshold == old.threshold:
        return excludes_equal(new) or not excludes_equal(old)
    return (new.threshold > old.threshold) == is_minimum(old)


def always_holds(bound: Bound, reach: tuple[float, float]) -> bool:
    """Return whether every value within the reach holds the bound."""
    low, high = reach
    return bool(holds(low if is_minimum(bound) else high, bound))


def check_reach(bound: Bound, reach: tuple[float, float]) -> None:
    """
    Raise ComparisonError for a bound that no score holds, or that lies beyond all scores.

    Args:
        reach: Lowest and highest value of the score.
    """
    low, high = reach
    if not low <= bound.threshold <= high:
        raise ComparisonError(f'"{format_bound(bound)}" is out of range; {_describe_reach(reach)}')
    if always_holds(invert(bound), reach):
        raise ComparisonError(f'"{format_bound(bound)}" can never hold; {_describe_reach(reach)}')


def check_failing(bound: Bound, reach: tuple[float, float]) -> None:
    """
    Raise ComparisonError for a bound that every score holds, which would look like a check and check nothing.

    Args:
        reach: Lowest and highest value of the score.
    """
    if always_holds(bound, reach):
        raise ComparisonError(
            f'"{format_bound(bound)}" can never fail, since {_describe_reach(reach)}; '
            f"write a bound that can, or {{{RECORD_ONLY}: true}} to record the score only"
        )


def _match(text: str) -> Bound | None:
    match = _BOUND.match(text)
    return match and Bound(comparison=cast("Sign", match["sign"]), threshold=float(match["number"]))


def _describe_reach(reach: tuple[float, float]) -> str:
    low, high = reach
    return f"it goes from {low:g} to {high:g}" if math.isfinite(high) else f"it is {low:g} or more"


def describe_check(check: Check | SuiteCheck) -> str:
    """Return `keywords >= 1`, `recall@5 mean >= 0.9` or `tokens mean, max_drop 5`."""
    name = f"{check.metric} {check.statistic}" if isinstance(check, SuiteCheck) else check.metric
    if check.record_only:
        return f"{name} (recorded only)"
    if bound := bound_of(check):
        return f"{name} {format_bound(bound)}"
    if isinstance(check, SuiteCheck) and check.max_drop is not None:
        return f"{name}, max_drop {check.max_drop:g}"
    return name
