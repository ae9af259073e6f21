"""Families of metrics: what a marker or a fixture is named after, and the members that `metric=` may name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.registry import metric_options

_K = 5
_AT = re.compile(r"(?P<name>[a-z_]+)(?:@k|@(?P<k>[1-9][0-9]*))?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """
    Metrics of one kind.

    Attributes:
        members: The first is what the family stands for by itself.
        ranked: Of these, the ones that look at the first k of a ranking.
    """

    members: tuple[str, ...]
    ranked: tuple[str, ...] = ()


FAMILIES: Mapping[str, Family] = {
    "lexical": Family(
        members=(
            "rouge_l", "rouge_1", "rouge_2", "bleu", "chrf", "exact_match", "keywords", "keyword_overlap",
            "ngram_overlap", "regex", "json_schema",
        )
    ),
    "semantic": Family(members=("semantic", "bertscore", "cross_encoder")),
    "judge": Family(members=("judge", "reference_grade")),
    "pairwise": Family(members=("pairwise",)),
    "recall_at_k": Family(
        members=("recall", "precision", "hit", "ndcg", "mrr", "map"),
        ranked=("recall", "precision", "hit", "ndcg"),
    ),
    "faithfulness": Family(members=("faithfulness",)),
    "tool_calls": Family(members=("tool_calls", "tool_order", "denied_calls")),
    "pii_leak": Family(members=("pii_leak",)),
}  # fmt: skip


def find_metric(family: str, written: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """
    The name of the metric that arguments of a marker or fixture mean, and its options.

    Args:
        written: The options, with `metric` and, for what looks at a ranking, `k` among them.

    Raises:
        MetricOptionError: The family has no such metric, or the metric no use for `k`.
    """
    options = dict(written)
    members = FAMILIES[family].members
    named = options.pop("metric", None)
    if named is None:
        named = members[0]
    if not isinstance(named, str):
        raise MetricOptionError(f"metric is a name such as {members[0]!r}, not {named!r}")
    if not FAMILIES[family].ranked:
        if named not in members:
            raise MetricOptionError(_tell_stranger(family, named))
        return named, options
    return _find_ranked(family, named, options)


def check_arguments(family: str, written: Mapping[str, Any], arguments: Iterable[str]) -> None:
    """
    Refuse what is a misspelt argument; any other stranger the metric itself refuses.

    Args:
        written: What is left for the metric, as for `find_metric`.
        arguments: What the marker or fixture takes beside it.

    Raises:
        MetricOptionError: As `find_metric`, or with the near miss.
    """
    name, options = find_metric(family, written)
    taken = metric_options(name)
    for option in options:
        if option not in taken and (near := hint(option, (*arguments, *taken, "metric"))):
            raise MetricOptionError(f"{family} takes no {option!r}.{near}")


def _find_ranked(family: str, named: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    matched = _AT.match(named)
    name = matched["name"] if matched else named
    if name not in FAMILIES[family].members:
        raise MetricOptionError(_tell_stranger(family, named))
    written_k = int(matched["k"]) if matched and matched["k"] else None
    k = options.pop("k", written_k)
    if name not in FAMILIES[family].ranked:
        return name, options if k is None else {**options, "k": k}
    k = _K if k is None else k
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise MetricOptionError(f"k must be a whole number above 0, not {k!r}")
    if written_k not in {None, k}:
        raise MetricOptionError(f"{named} and k={k} contradict each other; write one of them")
    return f"{name}@{k}", options


def _tell_stranger(family: str, named: str) -> str:
    members = FAMILIES[family].members
    for other, found in FAMILIES.items():
        if named in found.members:
            argument = "" if named == found.members[0] else f'metric="{named}"'
            return f"{named!r} is no metric of {family}; write {other}({argument})"
    return f"{family} has no metric {named!r}.{hint(named, members)} Its metrics: {', '.join(members)}"
