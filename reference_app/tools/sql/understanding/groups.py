"""Questions about categories and colours: how many products, what average, which is first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.slots.records import Having, Slots
from reference_app.tools.sql.understanding.filtering import read_filters
from reference_app.tools.sql.understanding.ranks import read_rank
from reference_app.tools.sql.understanding.reading import CannotTellError
from reference_app.tools.sql.understanding.stock import SOLD_OUT, read_stock

if TYPE_CHECKING:
    from reference_app.tools.sql.understanding.reading import Reading
    from reference_app.tools.sql.understanding.subjects import Subject

_SIGNS = {"<": "fewer than", ">": "more than", "<=": "at most", ">=": "at least", "=": "exactly"}


def compose_groups(reading: Reading, subject: Subject) -> Slots:
    """The slots of a question whose rows are categories or colours."""
    name = subject.name
    rank, ranked = read_rank(reading, "released")
    average, plain = reading.asks("average"), reading.figures("price", "weight")
    if rank is not None and ranked in ("price", "weight"):
        plain = [ranked]
        if not average:
            if not subject.each:
                raise CannotTellError("the end of a group")
            filters = read_filters(reading, ranked)
            return Slots(
                subject="product", figures=(ranked,), filters=filters, rank=replace(rank, within=name)
            )
    having, stocked = read_stock(reading, subject)
    possible = reading.names_only and reading.says("can", "may", "could")
    if SOLD_OUT in having or reading.values("city") or possible:
        raise CannotTellError("the stock of a group")
    counted = subject.is_counted(reading)
    sizes = _read_sizes(reading) if name == "category" and reading.has("noun", "product") else ()
    filters = read_filters(reading, plain[0] if plain else "")
    reading.asks("total", "count", "much")
    if average:
        if not plain:
            raise CannotTellError("the average of what")
        return Slots(subject=name, figures=(plain[0],), each="avg", filters=filters, rank=rank)
    if reading.has("figure", "quantity"):
        return Slots(subject=name, figures=("quantity",), filters=filters, rank=rank)
    if stocked or (plain and not filters) or reading.has("figure", "released", "opened"):
        raise CannotTellError("a figure of a group")
    if counted and not filters and name == "category":
        return Slots(subject="", figures=("categories",))
    fold = "count" if counted else ""
    return Slots(subject=name, figures=("products",), filters=filters, having=sizes, rank=rank, fold=fold)


def _read_sizes(reading: Reading) -> tuple[Having, ...]:
    """Conditions such as "with fewer than 6 products"."""
    found = []
    for one, amount in reading.free(Amount):
        if not amount.figure and not amount.bare and amount.sign in _SIGNS:
            reading.use(one)
            label = f"with {_SIGNS[amount.sign]} {amount.low:g} products"
            found.append(
                Having(figure="products", fold="count", sign=amount.sign, value=amount.low, label=label)
            )
    return tuple(found)
