"""What the rows of an answer are about: products, stores, categories or colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.lexicon import Meaning
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.understanding.reading import CannotTellError

if TYPE_CHECKING:
    from reference_app.tools.sql.linking.question import Link
    from reference_app.tools.sql.understanding.reading import Reading

_SUBJECTS = ("product", "store", "category", "colour")
_NEAR = 2  # words between "store" and the town that it is in


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    Attributes:
        link: The noun; None where only values say it.
        each: Whether a row for each one is wanted, as in "per store".
    """

    name: str
    link: Link | None = None
    each: bool = False


def find_subject(reading: Reading) -> Subject:
    """
    The first noun, unless another one is said to be counted by.

    Raises:
        CannotTellError: The question names nothing that rows could be about.
    """
    nouns = _find_nouns(reading)
    for link, name in nouns:
        before = reading.before(link)
        each = before is not None and isinstance(before.to, Meaning) and before.to.name == "each"
        if name != "product" and (each or reading.word_before(link) in ("by", "per")):
            return Subject(name=name, link=link, each=True)
    per_store = [one for one in reading.meanings("ask", "everywhere") if {"each", "every"} & {*one.text.lower().split()}]
    if per_store and reading.all(Things) and (reading.has("ask", "count") or not reading.says("which")):
        return Subject(name="store", link=per_store[0], each=True)
    here_and_there = len(reading.values("city")) > 1 and not reading.has("ask", "count", "total")
    if here_and_there and reading.all(Things):
        return Subject(name="store", each=True)
    if not nouns:
        return _find_implied(reading)
    link, name = nouns[0]
    if reading.has("ask", "where") and name == "product":
        return Subject(name="store")
    if name in ("category", "colour") and _is_looked_up(reading):
        return Subject(name="product", link=link)
    return Subject(name=name, link=link)


def _find_implied(reading: Reading) -> Subject:
    if reading.refers_back():
        raise CannotTellError("a pronoun")
    if reading.has("ask", "where") and reading.has("ask", "sold_out"):
        return Subject(name="store")
    if reading.values("city"):
        stocked = reading.has("figure", "quantity") or reading.has("ask", "sold_out", "have")
        return Subject(name="product" if stocked else "store")
    if any(amount.figure for _, amount in reading.all(Amount)) or reading.values("colour") or reading.has("figure") or reading.has("rank") or reading.has("comparative"):
        return Subject(name="product")
    raise CannotTellError("nothing is named")


def _find_nouns(reading: Reading) -> list[tuple[Link, str]]:
    found: list[tuple[Link, str]] = []
    cities = reading.values("city")
    categories = [one for one, things in reading.all(Things) if things.category]
    for one in reading.links:
        if isinstance(one.to, Things):
            found.append((one, "product"))
        elif isinstance(one.to, Meaning) and one.to.kind == "noun" and one.to.name in _SUBJECTS:
            name = one.to.name
            if name == "store" and any(_is_near(one, city) for city in cities):
                continue
            if name == "category" and any(_is_near(one, each) for each in categories):
                continue
            found.append((one, name))
    return found


def _is_near(one: Link, other: Link) -> bool:
    return -_NEAR <= other.first - one.last <= 1 or 0 <= one.first - other.last <= 0


def _is_looked_up(reading: Reading) -> bool:
    """Whether the colour or category of one product is wanted, not a count of all with it."""
    single = [things for _, things in reading.all(Things) if len(things.names) == 1]
    return bool(single) and not reading.has("rank") and not reading.has("ask", "count")
