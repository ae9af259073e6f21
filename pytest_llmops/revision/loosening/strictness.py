"""
Whether a check asks for at least as much as it did, where that can be proven.

What cannot be proven is taken for less: who loosens a gate by another rubric has it read by a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pytest_llmops.bounds import excludes_equal, is_bound_as_strict, is_minimum
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.metrics.lexical.exact_match import ExactMatch
from pytest_llmops.metrics.lexical.keywords import Keywords
from pytest_llmops.metrics.pii_leak import PiiLeak
from pytest_llmops.metrics.words import fold
from pytest_llmops.records import Check
from pytest_llmops.registry import create_metric
from pytest_llmops.revision.loosening.fields import looser_fields

_COMPARED = {"metric", "comparison", "threshold", "options", "min_kappa"}


def is_as_strict(new: Check, old: Check) -> bool:
    """
    Whether every case that holds the new check would hold the old one.

    Other options than before are as strict where scores can only get worse by them: `keywords` with a
    further word, `exact_match` to the letter, a `pii_leak` that allows less, denies more or looks
    for more kinds.
    """
    if new.metric != old.metric or (new.min_kappa or 0) < (old.min_kappa or 0):
        return False
    if any(looser_fields(old, new, _COMPARED)):
        return False
    if has_same_options(new.metric, new.options, old.options):
        return is_bound_as_strict(new, old)
    made, was = _create(new.metric, new.options), _create(old.metric, old.options)
    low = is_minimum(old)
    if isinstance(made, Keywords) and isinstance(was, Keywords):
        return low and _requires_more(made, new, was, old)
    above, below = (was, made) if low else (made, was)
    return is_bound_as_strict(new, old) and _is_never_above(below, above)


def has_same_options(metric: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether options mean the same, a default written out included."""
    if dict(new) == dict(old):
        return True
    made = _create(metric, new)
    return made is not None and made == _create(metric, old)


def _create(metric: str, options: Mapping[str, Any]) -> Any:
    """The metric with those options; None where it is not known here."""
    try:
        return create_metric(metric, options)
    except LLMOpsError:
        return None


def _requires_more(new: Keywords, new_bound: Check, old: Keywords, old_bound: Check) -> bool:
    """
    Whether `keywords` keeps all that it required, and lets no more of it be missed.

    A score is the share of requirements met, so under a threshold below 1 a further word can excuse an
    old one: of 2 words `>= 0.5` lets 1 be missing, of 4 words 2.
    """
    if not is_minimum(new_bound):
        return False
    keeps = _words(old.none) <= _words(new.none) and _has_each(_choices(old), _choices(new))
    may_miss, might_miss = (
        (1 - bound.threshold) * (len(each.all) + len(each.none) + bool(each.any))
        for each, bound in ((new, new_bound), (old, old_bound))
    )
    if may_miss == might_miss:
        return keeps and (excludes_equal(new_bound) or not excludes_equal(old_bound))
    return keeps and may_miss < might_miss


def _choices(metric: Keywords) -> list[frozenset[str]]:
    """What must occur: of each entry one word."""
    entries = [*metric.all, *([metric.any] if metric.any else [])]
    return [frozenset(_words((each,) if isinstance(each, str) else each)) for each in entries]


def _has_each(old: list[frozenset[str]], new: list[frozenset[str]]) -> bool:
    """Whether each old choice has one of its own among the new ones, with no word besides."""
    left = sorted(new, key=len, reverse=True)
    for choice in sorted(old, key=len):
        if (found := next((each for each in left if each <= choice), None)) is None:
            return False
        left.remove(found)
    return True


def _words(words: tuple[str, ...]) -> Counter[str]:
    return Counter(map(fold, words))


def _is_never_above(below: Any, above: Any) -> bool:
    """Whether the one metric, by its options, scores no output above the other."""
    if isinstance(below, ExactMatch) and isinstance(above, ExactMatch):
        return not below.normalize  # to the letter
    if isinstance(below, PiiLeak) and isinstance(above, PiiLeak):
        fewer_kinds = not above.kinds or (bool(below.kinds) and set(below.kinds) <= set(above.kinds))
        allows, allows_too = ({word.casefold() for word in each.allow} for each in (above, below))
        denies, denies_too = ({word.casefold() for word in each.deny} for each in (below, above))
        return fewer_kinds and allows <= allows_too and denies <= denies_too
    return False
