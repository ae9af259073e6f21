"""Which of two bounds asks for more."""

from __future__ import annotations

from pytest_llmops.records import Bound

SIDES = {">=": "low", ">": "low", "<=": "high", "<": "high"}


def is_bound_as_strict(new: Bound, old: Bound) -> bool:
    """Whether no score holds the new bound and misses the old one."""
    if SIDES[new.comparison] != SIDES[old.comparison]:
        return False
    if new.threshold == old.threshold:
        return old.comparison in {">=", "<="} or new.comparison in {">", "<"}
    return (new.threshold > old.threshold) == (SIDES[old.comparison] == "low")
