"""Ends of an order: the cheapest, the three newest, the second heaviest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.slots.records import Rank
from reference_app.tools.sql.understanding.reading import CannotTellError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.tools.sql.linking.links import Link
    from reference_app.tools.sql.understanding.reading import Reading

MAX_COUNT = 50
_RANKED = ("price", "weight", "released", "quantity", "opened")
_ORDINALS = {"second": 2, "third": 3, "fourth": 4}


def read_rank(reading: Reading, age: str) -> tuple[Rank | None, str]:
    """
    The end that is wanted, and of which figure; without an end the figure that the list is ordered by.

    Args:
        reading: Counts the words as used.
        age: The figure of "newest" and "oldest".
    """
    ordering = _find_ordering(reading)
    reading.use(*ordering)
    ends = [one for one in reading.meanings("rank") if not reading.is_used(one)] or _find_of_two(reading)
    firsts = [one for one in reading.meanings("ask", "first") if one.text.lower() == "first"]
    tops = reading.meanings("ask", "top")
    figures = {one.meaning.name for one in ends} - {"any"}
    highs = {one.meaning.high for one in ends}
    if not ends and firsts and not ordering:  # "your first store"
        ends, figures, highs = firsts, {"age"}, {False}
    if not ends and not tops:
        return None, ordering[0].meaning.name if ordering else ""
    both = len(highs) > 1 and len(ends) == 2  # noqa: PLR2004 - "the cheapest and the dearest"
    if len(figures) > 1 or (len(highs) > 1 and not both):
        raise CannotTellError("more than one end")
    reading.use(*ends, *tops)
    named = reading.figures(*_RANKED)
    figure = figures.pop() if figures else named[0] if len(named) == 1 else ""
    count, place = _read_count(reading, [*ends, *tops])
    if both and (count, place) != (1, 0):
        raise CannotTellError("how many of both ends")
    rank = Rank(high=not both and (highs.pop() if highs else True), count=count, place=place, both=both)
    return rank, age if figure == "age" else figure


def read_both_ends(reading: Reading) -> str:
    """The figure of which both ends are compared: "between your cheapest and your dearest tent"."""
    ranks = reading.meanings("rank")
    ends = {(one.meaning.name, one.meaning.high) for one in ranks}
    names = {name for name, _ in ends}
    apart = reading.has("ask", "difference", "much", "range") or reading.says("between", "from")
    if len(ends) != 2 or len(names) != 1 or not names <= {"price", "weight"} or not apart:  # noqa: PLR2004
        return ""
    reading.use(*ranks)
    reading.asks("difference", "much")
    return names.pop()


def read_order(reading: Reading) -> bool | None:
    """Whether the highest comes first in the list; None where the question does not say."""
    firsts = reading.meanings("ask", "first", "descending")
    reading.use(*firsts)
    if reading.has("ask", "descending"):
        return True
    ordering = _find_ordering(reading)
    if ordering:
        return ordering[0].meaning.high
    sorted_by = any("by" in first.text.lower().split() for first in firsts)
    return (
        False
        if sorted_by or any(reading.word_before(one) == "by" for one in reading.meanings("figure"))
        else None
    )


def _find_ordering(reading: Reading) -> list[Link]:
    """Ends that only order: "cheapest first"."""
    firsts = reading.meanings("ask", "first")
    return [one for one in reading.meanings("rank") if any(reading.before(first) is one for first in firsts)]


def _find_of_two(reading: Reading) -> list[Link]:
    """Of two, the cheaper one is the cheapest: "which backpack is cheaper?"."""
    ends = [one for one in reading.meanings("comparative") if one.meaning.name != "any"]
    two = [len(things.names) for _, things in reading.all(Things)] == [2]
    return ends if two and not reading.free(Amount) else []


def _read_count(reading: Reading, ends: Sequence[Link]) -> tuple[int, int]:
    """How many places are wanted ("the three cheapest"), or which one ("second cheapest")."""
    for one in ends:
        before = reading.before(one)
        if before is not None and before in reading.meanings("ask", "ordinal"):
            reading.use(before)
            return _ORDINALS[before.text.lower()], _ORDINALS[before.text.lower()]
    for link, amount in reading.free(Amount):
        beside = any(link.first in (one.last, one.first - 1) for one in ends)
        after = reading.after(link)  # "which three products are the cheapest"
        counted = after is not None and (isinstance(after.to, Things) or after.meaning.kind == "noun")
        if amount.bare and (beside or counted):
            reading.use(link)
            if not 0 < amount.low <= MAX_COUNT:
                raise CannotTellError(link.text)
            return int(amount.low), 0
    return 1, 0
