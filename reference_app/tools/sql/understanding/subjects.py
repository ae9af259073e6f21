"""What the rows of an answer are about: products, stores, categories or colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.values import Things
from reference_app.tools.sql.understanding.reading import CannotTellError

if TYPE_CHECKING:
    from reference_app.tools.sql.linking.links import Link
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

    def is_counted(self, reading: Reading) -> bool:
        """Whether the subject itself is counted: "how many stores"."""
        return self.link is not None and not self.each and reading.is_after(self.link, "ask", "count")


def find_subject(reading: Reading) -> Subject:
    """
    The first noun, unless another one is said to be counted by.

    Raises:
        CannotTellError: The question names nothing that rows could be about.
    """
    nouns = _find_nouns(reading)
    for link, name in nouns:
        grouped = reading.is_after(link, "ask", "each") or reading.word_before(link) in ("by", "per")
        if name != "product" and grouped:
            return Subject(name=name, link=link, each=True)
    if _is_by_store(reading):
        return Subject(name="store", each=True)
    if not nouns:
        return _find_implied(reading)
    link, name = nouns[0]
    if reading.has("ask", "where") and name == "product":
        return Subject(name="store")
    looked_up = bool(reading.named) and not reading.has("rank") and not reading.has("ask", "count")
    if name in ("category", "colour") and looked_up:
        return Subject(name="product", link=link)
    return Subject(name=name, link=link)


def _is_by_store(reading: Reading) -> bool:
    """Whether the stock of a product is wanted store by store."""
    if not reading.all(Things):
        return False
    every = any(
        {"each", "every"} & {*one.text.lower().split()} for one in reading.meanings("ask", "everywhere")
    )
    if every and (reading.has("ask", "count") or not reading.says("which")):
        return True
    each = len(reading.meanings("ask", "count")) > 1 or not reading.has("ask", "count", "total")
    return len(reading.values("city")) > 1 and each


def _find_implied(reading: Reading) -> Subject:
    if reading.refers_back:
        raise CannotTellError("a pronoun")
    if reading.has("ask", "where") and reading.has("ask", "sold_out"):
        return Subject(name="store")
    if reading.values("city"):
        stocked = (
            reading.has("figure", "quantity")
            or reading.has("noun", "piece")
            or reading.has("ask", "sold_out")
        )
        goods = reading.has("ask", "have") and not reading.has("noun", "store")
        return Subject(name="product" if stocked or goods else "store")
    figured = any(amount.figure for _, amount in reading.all(Amount)) or reading.has("figure")
    if figured or reading.values("colour") or reading.has("rank") or reading.has("comparative"):
        return Subject(name="product")
    raise CannotTellError("nothing is named")


def _find_nouns(reading: Reading) -> list[tuple[Link, str]]:
    found: list[tuple[Link, str]] = []
    categories = [one for one, things in reading.all(Things) if things.category]
    for one in reading.links:
        name = one.meaning.name if one.meaning.kind == "noun" else ""
        if isinstance(one.to, Things):
            found.append((one, "product"))
        elif name == "store" and any(_is_near(one, city) for city in reading.values("city")):
            continue  # "the store in Corveth" is one of them
        elif name == "category" and any(_is_near(one, each) for each in categories):
            continue
        elif name in _SUBJECTS:
            found.append((one, name))
    return found


def _is_near(one: Link, other: Link) -> bool:
    return 0 <= other.first - one.last < _NEAR or one.first == other.last
