"""Conditions of what is in stock, sold out, or on hand in every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.slots.records import Having
from reference_app.tools.sql.understanding.reading import CannotTellError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_app.tools.sql.understanding.reading import Reading
    from reference_app.tools.sql.understanding.subjects import Subject

SOLD_OUT = Having(figure="quantity", fold="sum", sign="=", value=0, label="sold out")
IN_STOCK = Having(figure="quantity", fold="sum", sign=">", value=0, label="in stock")
ALL_IN_STOCK = Having(figure="quantity", fold="min", sign=">", value=0, label="in stock in every store")
_SIGNS = {"<": "fewer than", ">": "more than", "<=": "at most", ">=": "at least"}
_ANY = {"any", "anywhere"}


def read_stock(reading: Reading, subject: Subject) -> tuple[tuple[Having, ...], bool]:
    """Conditions of the pieces in stock, and whether the question is about them at all."""
    stocked = is_of_stock(reading)
    places = [{*one.text.lower().split()} for one in reading.meanings("ask", "everywhere")]
    if _is_out(reading, subject):
        if any(_ANY & words for words in places):
            raise CannotTellError("sold out anywhere")
        return (SOLD_OUT,), True
    every = any(not ({"across", "over", "together"} | _ANY) & words for words in places)
    if every and subject.name == "product" and not reading.has("ask", "total", "count"):
        return (ALL_IN_STOCK,), True
    pieces = tuple(_read_pieces(reading)) if stocked or subject.name == "store" else ()
    if pieces:
        return pieces, True
    listed = stocked and not reading.has("ask", "count", "total", "much")
    single = reading.names_only and subject.name == "product"
    return ((IN_STOCK,) if listed and not single else ()), stocked


def is_of_stock(reading: Reading) -> bool:
    """Whether pieces in stock are meant, by word or by a store that is named."""
    return (
        reading.has("figure", "quantity") or bool(reading.values("city")) or reading.has("ask", "everywhere")
    )


def _is_out(reading: Reading, subject: Subject) -> bool:
    """Whether what is missing is wanted: "sold out", "a store without", "don't have"."""
    found = reading.meanings("ask", "sold_out")
    out = reading.asks("sold_out")
    here_and_there = len(reading.values("city")) > 1 or (
        reading.has("figure", "quantity") and not any("no" in one.text.lower().split() for one in found)
    )
    if out and here_and_there:
        raise CannotTellError("in stock here and sold out there")
    of_stores = subject.name == "store" and bool(reading.all(Things))
    if subject.name == "store":
        without = [one for one in reading.meanings("ask", "except") if one.text.lower() == "without"]
        reading.use_elsewhere(*without)
        out = out or bool(without)
    for one in reading.meanings("ask", "not"):
        after = reading.after(one)
        while after is not None and isinstance(after.to, Things):
            after = reading.after(after)
        if of_stores or (after is not None and after.meaning.name in ("quantity", "have")):
            reading.use_elsewhere(one)
            out = True
    return out


def _read_pieces(reading: Reading) -> Iterator[Having]:
    """Conditions such as "more than 20 in stock"."""
    for one, amount in reading.free(Amount):
        if not amount.figure and amount.sign in _SIGNS and not reading.has("figure", "price", "weight"):
            reading.use(one)
            label = f"with {_SIGNS[amount.sign]} {amount.low:g} pieces"
            yield Having(figure="quantity", fold="sum", sign=amount.sign, value=amount.low, label=label)
