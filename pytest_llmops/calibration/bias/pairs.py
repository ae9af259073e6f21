"""Scores of pairs as verdicts whose bias can be looked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_llmops.calibration.bias.findings import Verdict
from pytest_llmops.calibration.bias.self_preference import judges_of
from pytest_llmops.documents.value_readers import is_number
from pytest_llmops.judges.model import family_of
from pytest_llmops.records import Score

_TIE = 0.5
_PAIR = 2


def read_verdicts(
    rows: Sequence[Mapping[str, Any]],
    scores: Sequence[Sequence[Score]],
    labels: Sequence[float | None],
    families: Iterable[str],
) -> list[Verdict]:
    """
    A verdict for each row that was scored.

    Args:
        rows: With `outputs`, and with `systems` where it is known who wrote them.
        scores: Of each row, one a repeat; the first is the verdict, the others were asked again.
        labels: As of `Labels` of pairs.
        families: The judge's, or those of a panel.
    """
    own = set(families)
    return [
        Verdict(
            value=_side(first.value),
            label=label,
            orders=_orders(first),
            length_difference=_difference(first, row),
            own=_own(row.get("systems"), own),
            again=tuple(_side(each.value) for each in again),
        )
        for row, (first, *again), label in (
            (row, score, label) for row, score, label in zip(rows, scores, labels, strict=True) if score
        )
    ]


def families_of(scores: Iterable[Score]) -> tuple[str, ...]:
    """Whose models judged."""
    return tuple(sorted({family for score in scores for _, family in judges_of(score)}))


def _side(value: float) -> float:
    """1 the first, 0 the second, 0.5 neither; a panel's mean is the side it leans to."""
    return _TIE if value == _TIE else float(value > _TIE)


def _first(score: Score) -> Mapping[str, Any]:
    evidence = score.evidence[0] if score.evidence else None
    return evidence if isinstance(evidence, Mapping) else {}


def _orders(score: Score) -> tuple[float, float] | None:
    orders = _first(score).get("orders")
    if not isinstance(orders, list | tuple) or len(orders) != _PAIR:
        return None
    if not all(map(is_number, orders)):
        return None
    return _side(orders[0]), _side(orders[1])


def _difference(score: Score, row: Mapping[str, Any]) -> int:
    lengths = _first(score).get("lengths")
    if (
        isinstance(lengths, list | tuple)
        and len(lengths) == _PAIR
        and all(type(each) is int for each in lengths)
    ):
        return int(lengths[0] - lengths[1])
    first, second = map(_length, row["outputs"])
    return first - second


def _length(output: Any) -> int:
    return len(str(output.get("text", "")) if isinstance(output, Mapping) else str(output))


def _own(systems: Any, families: set[str]) -> int:
    if not isinstance(systems, list | tuple) or len(systems) != _PAIR:
        return 0
    first, second = (isinstance(system, str) and family_of(system) in families for system in systems)
    return int(first) - int(second)
