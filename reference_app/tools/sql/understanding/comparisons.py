"""Two products beside each other, one beside all others, and several added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.slots.records import Filter, Slots
from reference_app.tools.sql.slots.schema import FIGURES
from reference_app.tools.sql.understanding.filtering import read_than
from reference_app.tools.sql.understanding.ranks import MAX_COUNT, read_both_ends
from reference_app.tools.sql.understanding.reading import CannotTellError

if TYPE_CHECKING:
    from reference_app.tools.sql.linking.links import Link
    from reference_app.tools.sql.understanding.reading import Reading

PLAIN = ("price", "weight", "released")
_MAX_PIECES = 8
_SPENT = {"back", "out", "up", "with", "owe"}  # "what would both set me back": a sum


def read_comparison(reading: Reading) -> Slots | None:
    """Two named products, where the question compares them."""
    named = reading.named or _name_two(reading)
    compares = reading.has("comparative") or reading.has("rank") or reading.has("ask", "difference", "same")
    if not compares or len(named) != 2 or _is_bound(reading) or read_both_ends(reading):  # noqa: PLR2004
        return None
    both = {name for _, name in named}
    reading.use(
        *(one for one, things in reading.all(Things) if both < {*things.names})
    )  # "which boot is lighter"
    if any(not both <= {*things.names} and len(things.names) > 1 for _, things in reading.all(Things)):
        raise CannotTellError("a third product")
    ends = reading.meanings("comparative") + reading.meanings("rank")
    sizes = [one for one in ends if one.meaning.name == "size"]
    if len({one.meaning.high for one in sizes}) > 1:  # "the smaller one instead of the bigger one"
        reading.use(*sizes)
        ends = [one for one in ends if one not in sizes]
    figures = {one.meaning.name for one in ends} - {"any"}
    figures = {"released" if name == "age" else name for name in figures} or {*reading.figures()}
    if not figures and (reading.has("ask", "much") or reading.says("save")):
        figures = {"price"}
    reading.asks("much", "difference", "same", "count")
    reading.use(*ends, *(one for one, _ in named))
    figure = figures.pop() if len(figures) == 1 else ""
    if figure not in PLAIN:
        raise CannotTellError("compared by what")
    highs = {one.meaning.high for one in ends}
    (_, left), (_, right) = named
    high = highs.pop() if len(highs) == 1 else None
    return Slots(subject="product", figures=(figure,), compared=(left, right), high=high)


def read_reference(reading: Reading) -> tuple[Filter, ...]:
    """A product that narrows the others: "tents lighter than the Skerry 3", "as much as the Lapwing"."""
    named, ends = reading.named, reading.meanings("comparative")
    behind = [(one, name) for one, name in named if ends and one.first > ends[0].first]
    if len(ends) == 1 and len(behind) == 1 and not _is_bound(reading):
        if len(named) > 1 or reading.has("ask", "much", "difference"):
            raise CannotTellError(ends[0].text)
        return (read_than(reading, ends[0], *behind[0]),)
    same, figures = reading.meanings("ask", "same"), reading.figures("price", "weight")
    if len(same) == len(named) == len(figures) == 1:
        (one, name), figure = named[0], figures[0]
        reading.use(same[0], one)
        label = f"with the same {FIGURES[figure].label} as {name}"
        return (Filter(column=FIGURES[figure].value, sign="=", than=name, label=label),)
    return ()


def read_sum(reading: Reading) -> Slots | None:
    """Named products that are added up: "two camp chairs and a camp table together"."""
    counts: dict[str, int] = {}
    numbers: list[Link] = []
    for one, name in reading.named:
        before = reading.before(one)
        counted = before is not None and isinstance(before.to, Amount) and before.to.bare
        if before is not None and isinstance(before.to, Amount) and counted:
            numbers.append(before)
        count = int(before.to.low) if before is not None and isinstance(before.to, Amount) and counted else 1
        counts[name] = counts.get(name, 0) + count
    figures = reading.figures() or (["weight"] if reading.asks_weight else [])
    spent = any(one.text.lower().split()[-1] in _SPENT for one in reading.meanings("figure", "price"))
    several = len(reading.all(Things)) > 1
    wanted = bool(numbers) or (several and (spent or reading.has("ask", "total")))
    priced = reading.has("figure", "price", "weight") or reading.has("ask", "much", "total")
    stocked = (
        reading.has("ask", "count", "sold_out") or reading.values("city") or reading.has("noun", "store")
    )
    plain = (
        len(figures) <= 1 and {*figures} <= {"price", "weight"} and not reading.has("ask", "average", "each")
    )
    if not (wanted and priced and plain) or stocked:
        return None
    if (
        not reading.names_only
        or len(counts) > _MAX_PIECES
        or any(not 0 < n <= MAX_COUNT for n in counts.values())
    ):
        raise CannotTellError("a sum of what")
    reading.use(*numbers, *(one for one, _ in reading.named))
    reading.asks("much", "total")
    return Slots(
        subject="product", figures=(figures[0] if figures else "price",), pieces=tuple(counts.items())
    )


def _name_two(reading: Reading) -> list[tuple[Link, str]]:
    """Both products of a name that two share, where they are compared: "by how much is it lighter"."""
    found = reading.all(Things)
    two = len(found) == 1 and len(found[0][1].names) == 2  # noqa: PLR2004
    if not two or not reading.has("ask", "much", "difference"):
        return []
    return [(found[0][0], name) for name in found[0][1].names]


def _is_bound(reading: Reading) -> bool:
    """Whether an amount stands behind the comparative: "cheaper than £50"."""
    followed = [reading.after(one) for one in reading.meanings("comparative")]
    return any(
        one is not None and isinstance(one.to, Amount) and not reading.is_used(one) for one in followed
    )
