"""Families of metrics: each has a marker and a fixture of its name, and members that `metric=` may name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.registry import family_members, find_traits, metric_options

_K = 5
_AT = re.compile(r"(?P<name>[a-z_]+)(?:@k|@(?P<k>[1-9][0-9]*))?\Z")
# The metric of a family without one of its own name.
_USUAL = {"lexical": "rouge_l", "recall_at_k": "recall"}


def find_metric(family: str, written: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """
    Find the metric and its options for the arguments of a marker or fixture.

    Args:
        written: The options, with `metric` and, for metrics of rankings, `k` among them.

    Raises:
        MetricOptionError: The family has no such metric, or the metric no use for `k`.
    """
    options = dict(written)
    usual = _USUAL.get(family, family)
    named = options.pop("metric", None)
    if named is None:
        named = usual
    if not isinstance(named, str):
        raise MetricOptionError(f"metric is a name such as {usual!r}, not {named!r}")
    if _is_ranked(usual):
        return _find_ranked(family, named, options)
    if _family_of(named) != family:
        raise MetricOptionError(_describe_stranger(family, named))
    return named, options


def check_arguments(family: str, written: Mapping[str, Any], arguments: Iterable[str]) -> None:
    """
    Refuse a misspelt argument; the metric itself refuses other unknown ones.

    Args:
        written: Options of the metric, as for `find_metric`.
        arguments: The other arguments of the marker or fixture.

    Raises:
        MetricOptionError: As `find_metric`, or with the near miss.
    """
    name, options = find_metric(family, written)
    taken = metric_options(name)
    for option in options:
        if option not in taken and (near := hint(option, (*arguments, *taken, "metric"))):
            raise MetricOptionError(f"{family} takes no {option!r}.{near}")


def _family_of(member: str) -> str:
    """The family that has a metric of that name, `recall` for `recall@k`; empty for none."""
    if "@" in member:
        return ""
    for traits in map(find_traits, (member, f"{member}@k")):
        if traits.name.removesuffix("@k") == member and traits.family:
            return traits.family
    return ""


def _is_ranked(member: str) -> bool:
    """Return whether it looks at the first k of a ranking."""
    return bool(find_traits(f"{member}@k").family)


def _find_ranked(family: str, named: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    match = _AT.match(named)
    name = match["name"] if match else named
    if _family_of(name) != family:
        raise MetricOptionError(_describe_stranger(family, named))
    written_k = int(match["k"]) if match and match["k"] else None
    k = options.pop("k", written_k)
    if not _is_ranked(name):
        return name, options if k is None else {**options, "k": k}
    k = _K if k is None else k
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise MetricOptionError(f"k must be a whole number above 0, not {k!r}")
    if written_k not in {None, k}:
        raise MetricOptionError(f"{named} and k={k} contradict each other; write one of them")
    return f"{name}@{k}", options


def _describe_stranger(family: str, named: str) -> str:
    if other := _family_of(named):
        argument = "" if named == _USUAL.get(other, other) else f'metric="{named}"'
        return f"{named!r} is no metric of {family}; write {other}({argument})"
    members = [name.removesuffix("@k") for name in family_members(family)]
    return f"{family} has no metric {named!r}.{hint(named, members)} Its metrics: {', '.join(members)}"
