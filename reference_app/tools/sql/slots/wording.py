"""What was understood, in words for the customer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import NUMBERS
from reference_app.tools.sql.slots.schema import FIGURES, PLURALS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.tools.sql.linking.values import Things
    from reference_app.tools.sql.slots.records import Slots

_SIGNS = {
    "=": "of exactly", "<>": "other than", "<": "below", ">": "above", "<=": "of at most",
    ">=": "of at least",
}  # fmt: skip
_ENDS = {
    ("price", True): "the highest price", ("price", False): "the lowest price",
    ("weight", True): "the highest weight", ("weight", False): "the lowest weight",
    ("released", True): "the latest release date", ("released", False): "the earliest release date",
    ("opened", True): "the latest opening date", ("opened", False): "the earliest opening date",
    ("rating", True): "the best average rating", ("rating", False): "the lowest average rating",
}  # fmt: skip
_NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_MAX_NAMES = 6
_PLACES = {2: "second", 3: "third", 4: "fourth", 5: "fifth"}


def describe(slots: Slots) -> str:
    """What a query looks for: `products in the category Jackets with a price from £50 to £100`."""
    label = join_words([FIGURES[name].label for name in slots.figures])
    if slots.order_id:
        return f"{'total' if slots.fold else 'contents'} of order {slots.order_id}"
    if slots.compared:
        return f"{label} of {slots.compared[0]} and {slots.compared[1]}"
    if slots.pieces:
        parts = [name if count == 1 else f"{count} × {name}" for name, count in slots.pieces]  # noqa: RUF001
        return f"total {label} of {join_words(parts)}"
    rows = _say_rows(slots)
    if not slots.subject:
        return f"{label} {rows}".strip()
    if slots.fold:
        heads = {"count": "number of", "sum": f"total {label} of", "avg": f"average {label} of"}
        return f"{heads.get(slots.fold, f'lowest and highest {label} of')} {rows}"
    return _say_figures(slots, rows)


def _say_rows(slots: Slots) -> str:
    """The subject and its conditions; of one figure over all the conditions alone."""
    plural = PLURALS.get(slots.subject, f"{slots.subject}s") if slots.subject else ""
    things = join_words([one.label for one in slots.filters if one.things])
    if slots.subject == "product":
        head = things or plural
    else:
        word = "with" if slots.subject == "store" else "of"
        head = " ".join(filter(None, [plural, f"{word} {things}" if things else ""]))
    conditions = [one.label for one in slots.having] + [one.label for one in slots.filters if not one.things]
    return " ".join(filter(None, [head, *conditions]))


def _say_figures(slots: Slots, rows: str) -> str:
    """The rows with what is shown of them."""
    label = FIGURES[slots.figures[0]].label
    each = "average " if slots.each else ""
    if slots.rank:
        bare = not slots.filters and not slots.having
        return f"{_say_end(slots, each)} {'of all' if bare else 'among'} {rows}"
    stocked = slots.figures[0] == "quantity" and slots.having  # that is said by "in stock"
    shown = join_words([FIGURES[name].label for name in slots.figures[1 if stocked else 0 :]])
    names = [name for one in slots.filters for things in one.things for name in things.names]
    if len(names) == 1 and slots.subject == "product" and not slots.having:
        return f"{shown} of {rows}"
    order = {True: f", highest {label} first", False: f", lowest {label} first", None: ""}[slots.descending]
    return f"{rows}, with {each}{shown}{order}" if shown else rows


def _say_end(slots: Slots, each: str) -> str:
    assert slots.rank is not None  # noqa: S101 - the caller has looked
    rank, figure = slots.rank, slots.figures[0]
    end = _ENDS.get((figure, rank.high)) if not each else None
    end = end or f"the {'highest' if rank.high else 'lowest'} {each}{FIGURES[figure].label}"
    if rank.both:
        other = _say_end(replace(slots, rank=replace(rank, both=False, high=not rank.high)), each)
        end = f"{end} and {other}"
    if rank.place:
        end = end.replace("the ", f"the {_PLACES.get(rank.place, rank.place)} ", 1)
    elif rank.count > 1:
        end = f"{NUMBERS[rank.count] if rank.count < len(NUMBERS) else rank.count} with {end}"
    return f"{end} in each {rank.within}" if rank.within else end


def join_words(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))


def say_things(things: Sequence[Things], *, excepted: bool) -> str:
    """The products that a condition is of."""
    parts = []
    for one in things:
        if one.category:
            parts.append(
                f"products in the category {one.category}{'' if one.all_of_it else ' (without accessories)'}"
            )
        elif len(one.names) > 1:
            names = f" ({join_words(one.names)})" if len(one.names) <= _MAX_NAMES else ""
            parts.append(f"products called {one.label!r}{names}")
        else:
            parts.append(one.names[0])
    return ("products other than " if excepted else "") + " or ".join(parts)


def say_value(kind: str, texts: Sequence[str], *, excepted: bool) -> str:
    """A condition of a value."""
    words = {"city": "in", "colour": "in", "country": "from", "status": "that are", "level": "of the level"}
    words |= {"carrier": "by", "reason": "because of"}
    return f"{'not ' if excepted else ''}{words.get(kind, 'of')} {' or '.join(texts)}"


def say_amount(figure: str, sign: str, values: Sequence[float]) -> str:
    """A condition of a figure."""
    unit = FIGURES[figure].unit
    shown = [say_figure(value, unit) for value in values]
    label = FIGURES[figure].label.removeprefix("average ")
    end = f"from {shown[0]} to {shown[1]}" if sign == "between" else f"{_SIGNS[sign]} {shown[0]}"
    return f"with a {label} {end}"


def say_than(figure: str, sign: str, name: str) -> str:
    """A comparison with a product."""
    label, dated = FIGURES[figure].label, FIGURES[figure].unit == "date"
    ends = {">": "later" if dated else "higher", "<": "earlier" if dated else "lower"}
    return f"with a {ends[sign]} {label} than {name}"


def say_period(figure: str, first: date | None, end: date | None) -> str:
    """A condition of a day; `end` is not in it any more."""
    verb = {"released": "released", "products": "released", "opened": "opened"}.get(figure, "")
    last = end - timedelta(days=1) if end else None
    if first and last and end:
        words = f"on {say_day(first)}" if first == last else f"from {say_day(first)} to {say_day(last)}"
        if (first.day, end.day, first.year) == (1, 1, last.year):
            months = 12 * (end.year - first.year) + end.month - first.month
            words = {1: f"in {first:%B} {first.year}", 12: f"in {first.year}"}.get(months, words)
    else:
        words = f"since {say_day(first)}" if first else f"before {say_day(end)}" if end else ""
    return f"{verb} {words}".strip()


def say_day(day: date) -> str:
    """`29 March 2025`."""
    return f"{day.day} {day:%B} {day.year}"


def say_figure(value: float, unit: str) -> str:
    """`£55`, `£12.50`, `2.1 kg`, `4 stars`."""
    if unit == "£":
        return f"£{value:,.0f}" if round(value, 2) == round(value) else f"£{value:,.2f}"
    if unit == "kg":
        return f"{round(value, 3):g} kg"
    number = f"{round(value, 2):g}" if abs(value) < 100_000 else f"{value:,.0f}"  # noqa: PLR2004
    if unit == "in stock":
        return f"{number} in stock"
    plural = PLURALS.get(unit, f"{unit}s")
    return f"{number} {unit if value == 1 else plural}"
