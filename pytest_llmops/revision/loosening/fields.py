"""
Which fields of a record changed, and are not known to have become stricter.

The gate gets new keys. One that has no rule here counts as looser whatever its new value, so that a key is
watched from the day it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from pytest_llmops.bounds import is_bound_as_strict
from pytest_llmops.records import Bound

_FOR_PEOPLE = {"description", "metadata"}
_SEVERITY = ("allow", "warn", "fail")


class Changed(NamedTuple):
    """One field, named as golden files write it, with both values."""

    name: str
    before: Any
    after: Any


def looser_fields(was: Any, now: Any, compared: Collection[str]) -> Iterator[Changed]:
    """
    Fields of two records of one class that changed, but for those that became stricter.

    Args:
        compared: Fields that the caller compares itself.
    """
    for name in (each.name for each in fields(was) if each.compare):
        if name in compared or name in _FOR_PEOPLE:
            continue
        before, after = getattr(was, name), getattr(now, name)
        rule = _STRICTER.get(name)
        if before != after and not (rule and rule(before, after)):
            yield Changed(name, before, after)


def _is_more_severe(before: Any, after: Any) -> bool:
    known = before in _SEVERITY and after in _SEVERITY
    return after == "fail" or (known and _SEVERITY.index(after) > _SEVERITY.index(before))


def _is_larger(before: Any, after: Any) -> bool:
    return isinstance(before, int | float) and isinstance(after, int | float) and after > before


def _is_higher_bound(before: Any, after: Any) -> bool:
    return isinstance(before, Bound) and isinstance(after, Bound) and is_bound_as_strict(after, before)


def _never_records_more(before: Any, after: Any) -> bool:
    kept = [set(each.get("never", ())) if isinstance(each, Mapping) else set() for each in (before, after)]
    return isinstance(after, Mapping) and kept[0] <= kept[1]


_STRICTER: Mapping[str, Callable[[Any, Any], bool]] = {
    "live": lambda _, after: after is True,
    "skip": lambda _, after: not after,
    "xfail": lambda _, after: not after,
    "record_only": lambda _, after: not after,
    "model_errors": _is_more_severe,
    "record": _never_records_more,
    "never_record": lambda before, after: set(before) <= set(after),
    "require_spans": lambda before, after: not before or _is_larger(before, after),
    "passages": lambda _, after: after in {None, "scan"},
    "pass_rate": _is_higher_bound,
    "max_drop": lambda before, after: after == 0 or _is_larger(after, before),
}
"""Field to whether it became stricter, given that it changed."""
