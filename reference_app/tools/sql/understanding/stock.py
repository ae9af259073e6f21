"""Conditions of what is in stock, sold out, or on hand in every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.slots.records import Having
from reference_app.tools.sql.understanding.reading import CannotTellError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_app.tools.sql.linking.links import Link
    from reference_app.tools.sql.understanding.reading import Reading
    from reference_app.tools.sql.understanding.subjects import Subject

SOLD_OUT = Having(figure="quantity", fold="sum", sign="=", value=0, label="sold out")
IN_STOCK = Having(figure="quantity", fold="sum", sign=">", value=0, label="in stock")
ALL_IN_STOCK = Having(figure="quantity", fold="min", sign=">", value=0, label="in stock in every store")
_SIGNS = {"<": "fewer than", ">": "more than", "<=": "at most", ">=": "at least"}
_NOT_ENOUGH = {"the", "exactly", "precisely", "only", "just"}
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
    counted = (
        reading.has("ask", "count") and reading.names_only and reading.says("shops", "stores", "branches")
    )
    placed = bool(reading.values("city")) or reading.has("ask", "everywhere")
    return counted or placed or reading.has("figure", "quantity")


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
        sign = ">=" if _is_wanted(reading, one, amount) else amount.sign
        if not amount.figure and sign in _SIGNS and not reading.has("figure", "price", "weight"):
            reading.use(one)
            label = f"with {_SIGNS[sign]} {amount.low:g} pieces"
            yield Having(figure="quantity", fold="sum", sign=sign, value=amount.low, label=label)


def _is_wanted(reading: Reading, one: Link, amount: Amount) -> bool:
    """Whether so many pieces are enough: "are there four camp chairs in Brindlewick?"."""
    after = reading.after(one)
    of_one = after is not None and isinstance(after.to, Things) and reading.names_only
    placed = len(reading.values("city")) == 1 and len(reading.all(Things)) == 1
    enough = reading.word_before(one) not in _NOT_ENOUGH and reading.words[0] != "is"
    return amount.bare and amount.low > 0 and of_one and placed and enough and reading.wants_yes
