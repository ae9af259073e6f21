"""
Floors of criteria: the least that each of them needs, whatever the others have, since a mean hides one.

The evidence of a judge's score contains `criteria`, name to `score`, `floor` and `reason`. A criterion of
several opinions or repeats is below its floor if at least half of them are.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmops.documents.reading import is_number
from pytest_llmops.documents.values import described
from pytest_llmops.errors import MetricOptionError, hint
from pytest_llmops.printable import printable
from pytest_llmops.records import Score

Floor = float | None
"""The least score of a criterion; None for no floor."""

_PLACE = 0.5
"""Of floors by default on any scale: the middle, which is 3 of 1 to 5."""

_REASON = 160


def default_floor(scale: tuple[float, float]) -> float:
    """The floor of a criterion that has none written: the middle of the scale."""
    low, high = scale
    return low + _PLACE * (high - low)


def read_floors(
    written: Any, criteria: Mapping[str, Floor], scale: tuple[float, float], metric: str
) -> dict[str, Floor]:
    """
    Read the option `floors`: a number for all criteria, `false` for none, or names with either.

    Args:
        criteria: Name to the floor that it has where the option does not name it.

    Raises:
        MetricOptionError: A criterion is unknown, or a floor is none that a score can miss.
    """
    if written is None:
        return dict(criteria)
    if not isinstance(written, Mapping):
        return dict.fromkeys(criteria, read_floor(written, scale, f"{metric}: floors"))
    for name in written:
        if name not in criteria:
            near = hint(str(name), criteria)
            raise MetricOptionError(
                f"{metric}: floors: there is no criterion {name!r}.{near} There are: {', '.join(criteria)}."
            )
    read = {name: read_floor(floor, scale, f"{metric}: floors: {name}") for name, floor in written.items()}
    return {**criteria, **read}


def read_floor(written: Any, scale: tuple[float, float], place: str) -> Floor:
    """
    Read one floor; `false` is none.

    Raises:
        MetricOptionError: It is no number of the scale, or its lowest, which no score misses.
    """
    if written is False:
        return None
    low, high = scale
    if not is_number(written) or not low < written <= high:
        raise MetricOptionError(
            f"{place} must be a number above {low:g}, {high:g} at most, or false for none, "
            f"not {described(written)}"
        )
    return float(written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """One criterion of one answer; `reason` is the judge's."""

    name: str
    score: float
    floor: Floor
    reason: str = ""

    @property
    def is_below(self) -> bool:
        return self.floor is not None and self.score < self.floor

    def describe(self) -> str:
        text = f"{printable(self.name, 40)} {self.score:g} is below its floor {self.floor:g}"
        return f"{text}: {printable(self.reason, _REASON)}" if self.reason else text


def graded_criteria(score: Score) -> list[Graded]:
    """The criteria of a score; none where its evidence has none, as of metrics that are no judges."""
    first = score.evidence[0] if score.evidence and isinstance(score.evidence[0], Mapping) else {}
    criteria = first.get("criteria")
    if not isinstance(criteria, Mapping):
        return []
    return [
        Graded(
            name=str(name),
            score=float(entry["score"]),
            floor=float(entry["floor"]) if is_number(entry.get("floor")) else None,
            reason=str(entry.get("reason") or ""),
        )
        for name, entry in criteria.items()
        if isinstance(entry, Mapping) and is_number(entry.get("score"))
    ]


def missed_floors(score: Score) -> list[Graded]:
    """The criteria of a score that are below their floors."""
    return [criterion for criterion in graded_criteria(score) if criterion.is_below]


def criteria_alone(score: Score) -> tuple[Mapping[str, Any], ...]:
    """The evidence of a score without all but its criteria's scores, as a baseline keeps it."""
    return criteria_evidence({criterion.name: criterion.score for criterion in graded_criteria(score)})


def criteria_evidence(scores: Mapping[str, float]) -> tuple[Mapping[str, Any], ...]:
    """The evidence of a score whose criteria had these scores."""
    return ({"criteria": {name: {"score": score} for name, score in scores.items()}},) if scores else ()


def is_mostly_below(scores: Sequence[float], floor: float) -> bool:
    """True if at least half of the scores are below a floor: of an even number the lower middle counts."""
    return statistics.median_low(scores) < floor


def combine_criteria(opinions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """
    The criteria of a panel: of each the lower middle of its members' scores, and the lowest's reason.

    Args:
        opinions: The criteria of each member, as in the evidence.
    """
    combined = {}
    for name, entry in opinions[0].items():
        entries = [opinion[name] for opinion in opinions]
        lowest = min(entries, key=lambda entry: entry["score"])
        middle = statistics.median_low(entry["score"] for entry in entries)
        floor = {"floor": entry["floor"]} if "floor" in entry else {}
        combined[name] = {"reason": lowest["reason"], "score": middle, **floor}
    return combined
