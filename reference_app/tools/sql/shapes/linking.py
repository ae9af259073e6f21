"""Values of the database, amounts and periods that a question names, each with the column it belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.tools.sql.guard.permissions import READABLE
from reference_app.tools.sql.shapes.periods import find_periods

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

# Kinds of values and where they stand; the first one that a query can reach is meant. A sort is several
# products with a word in common, such as "headlamp".
COLUMNS = {
    "category": "categories.name",
    "product": "products.name",
    "sort": "products.name",
    "city": "stores.city",
    "status": "orders.status",
    "country": "customers.country",
    "level": "customers.level",
    "carrier": "shipments.carrier",
    "reason": "refunds.reason",
    "colour": "products.colour",
}
ALIASES = {
    "country": {
        "uk": "United Kingdom", "britain": "United Kingdom", "great britain": "United Kingdom",
        "british": "United Kingdom", "irish": "Ireland", "german": "Germany", "french": "France",
        "dutch": "Netherlands", "holland": "Netherlands", "spanish": "Spain", "norwegian": "Norway",
        "polish": "Poland", "portuguese": "Portugal", "estonian": "Estonia",
    },
    "status": {"canceled": "cancelled", "sent back": "returned", "in processing": "processing"},
    "reason": {
        "defective": "faulty", "late arrival": "arrived late", "changed their mind": "changed mind",
        "change of mind": "changed mind", "damaged": "damaged in transit",
    },
    "colour": {"gray": "grey"},
    "carrier": {"kestrel": "Kestrel Express", "harebell": "Harebell Parcels"},
}  # fmt: skip
_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_WORD = re.compile(r"[^\W_]+(?:\.\d+)?")
_LONGEST = 7  # words in a value
_BELOW = r"(?:less|fewer|cheaper|lighter|lower) than|under|below"
_ABOVE = r"(?:more|greater|dearer|heavier|higher|better) than|over|above|exceeding"
_MOST = r"at most|up to|no more than|not more than|a maximum of"
_LEAST = r"at least|no less than|not less than|a minimum of|starting at"
_NUMBER = rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,9}})(?:\.\d{{1,4}})?|{'|'.join(_NUMBERS)}"
_UNIT = r"pounds?|gbp|quid|kilograms?|kilos?|kg|grams?|grammes?|g|stars?"
_AMOUNT = re.compile(
    rf"(?:\b(?:(?P<below>{_BELOW})|(?P<above>{_ABOVE})|(?P<most>{_MOST})|(?P<least>{_LEAST})"
    rf"|(?P<range>between|from|in the range of|of))\s+)?"
    rf"(?<![\w.-])(?P<pound>£\s?)?(?P<number>{_NUMBER})(?:[\s-]?(?P<unit>{_UNIT})\b)?"
    rf"(?:\s*(?:and|to|-|\u2013)\s*£?\s?(?P<second>{_NUMBER})(?:[\s-]?(?P<second_unit>{_UNIT})\b)?)?"
    r"(?P<more>\s+or\s+(?:more|above|heavier|higher|better))?"
    r"(?P<fewer>\s+or\s+(?:less|below|cheaper|lighter|fewer|lower))?(?!\w)",
    re.IGNORECASE,
)  # fmt: skip
_ORDER = re.compile(r"\bFW-\d{5}\b", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """
    A part of the question and the condition that it stands for.

    Attributes:
        start: Where it stands in the question, in characters.
        stop: Where it ends there.
        kind: `order`, `period`, `price`, `weight`, `stars`, `number`, or one of `COLUMNS`.
        conditions: By kind, SQL with `{}` for the column; most links have one, `cancelled` is a status and a
            reason.
        number: Of a `number` without a word that compares, else None.
    """

    start: int
    stop: int
    kind: str
    conditions: Mapping[str, str]
    number: int | None = None


def _stem(word: str) -> str:
    """Without the plural, so that question and value meet in one form; the form need not be a word."""
    low = word.lower()
    if len(low) > 3 and low.endswith(("ches", "shes", "xes", "sses")):  # noqa: PLR2004
        return low[:-2]
    if len(low) > 3 and low.endswith("s") and not low.endswith("ss"):  # noqa: PLR2004
        return low[:-1]
    return low


# "carrier" is a column before it is the last word of "Child carrier".
_SCHEMA_WORDS = {
    _stem(word)
    for table, columns in READABLE.items()
    for name in (table, *columns)
    for word in name.split("_")
}


class Values:
    """
    What the columns of `COLUMNS` hold.

    Args:
        sampled: By kind, distinct values.
    """

    def __init__(self, sampled: Mapping[str, Sequence[str]]) -> None:
        self.sampled = sampled
        self._whole: dict[tuple[str, ...], dict[str, str]] = {}
        for kind, values in sampled.items():
            for value in values:
                self._whole.setdefault(_stems(value), {})[kind] = value
        for kind, aliases in ALIASES.items():
            for alias, value in aliases.items():
                if value in sampled.get(kind, ()):
                    self._whole.setdefault(_stems(alias), {}).setdefault(kind, value)
        self._products = {name: _stems(re.split(r" for |,", name)[0]) for name in sampled.get("product", ())}

    def find(self, words: Sequence[str], *, capital: bool) -> dict[str, str] | None:
        """
        Conditions by kind, if the words name values.

        Args:
            words: Consecutive stems of the question.
            capital: Whether the first is written as a name.
        """
        whole = self._whole.get(tuple(words))
        if whole:
            return {kind: f"{{}} = {quote(value)}" for kind, value in whole.items()}
        named = [name for name, stems in self._products.items() if _holds(stems, words)]
        if len(words) == 1:
            # One word names a sort ("boots") or a brand ("Skerry"), never what is in between ("family").
            named = [
                name
                for name in named
                if len(words[0]) > 2  # noqa: PLR2004
                and words[0].isalpha()
                and words[0] not in _SCHEMA_WORDS
                and (
                    self._products[name][-1] == words[0] or (capital and self._products[name][0] == words[0])
                )
            ]
        if not named:
            return None
        if len(named) == 1:
            return {"product": f"{{}} = {quote(named[0])}"}
        return {"sort": f"{{}} IN ({', '.join(map(quote, sorted(named)))})"}


def link(question: str, values: Values, today: date) -> list[Link]:
    """What the question names, in its order; no two overlap."""
    found: list[Link] = []
    taken = [False] * len(question)
    for piece in _candidates(question, values, today):
        if not any(taken[piece.start : piece.stop]):
            found.append(piece)
            taken[piece.start : piece.stop] = [True] * (piece.stop - piece.start)
    return sorted(found, key=lambda piece: piece.start)


def quote(value: str) -> str:
    """The value as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def _candidates(question: str, values: Values, today: date) -> Iterator[Link]:
    for match in _ORDER.finditer(question):
        yield _link(match, "order", f"{{}} = {quote(match[0].upper())}")
    for period in find_periods(question, today):
        sides = (
            f"{{}} >= '{period.first}'" if period.first else "",
            f"{{}} < '{period.end}'" if period.end else "",
        )
        condition = " AND ".join(filter(None, sides))
        yield Link(start=period.start, stop=period.stop, kind="period", conditions={"period": condition})
    amounts = [_read_amount(match) for match in _AMOUNT.finditer(question)]
    yield from (amount for amount in amounts if amount.number is None)
    yield from _find_values(question, values)
    yield from amounts


def _find_values(question: str, values: Values) -> Iterator[Link]:
    words = list(_WORD.finditer(question))
    stems = [_stem(word[0]) for word in words]
    for length in range(min(_LONGEST, len(words)), 0, -1):
        for first in range(len(words) - length + 1):
            start, stop = words[first].start(), words[first + length - 1].end()
            capital = first > 0 and words[first][0][0].isupper()
            conditions = values.find(stems[first : first + length], capital=capital)
            if conditions:
                kind = next(kind for kind in COLUMNS if kind in conditions)
                yield Link(start=start, stop=stop, kind=kind, conditions=conditions)


def _read_amount(match: re.Match[str]) -> Link:
    unit = (match["unit"] or match["second_unit"] or "").lower()
    kind = "number"
    if match["pound"] or unit.startswith(("pound", "gbp", "quid")):
        kind = "price"
    elif unit.startswith(("k", "g")):
        kind = "weight"
    elif unit.startswith("star"):
        kind = "stars"
    scale = 0.001 if unit.startswith("g") and kind == "weight" else 1
    first = _read_number(match["number"]) * scale
    if match["second"]:
        condition = f"{{}} BETWEEN {first:.10g} AND {_read_number(match['second']) * scale:.10g}"
        return _link(match, kind, condition)
    signs = {"below": "<", "above": ">", "most": "<=", "least": ">=", "more": ">=", "fewer": "<="}
    sign = next((sign for name, sign in signs.items() if match[name]), None)
    condition = f"{{}} {sign or '='} {first:.10g}"
    start = match.start() if sign else match.start("pound") if match["pound"] else match.start("number")
    bare = sign is None and kind == "number" and first == int(first)
    return Link(
        start=start,
        stop=match.end(),
        kind=kind,
        conditions={kind: condition},
        number=int(first) if bare else None,
    )


def _read_number(text: str) -> float:
    low = text.lower()
    return float(_NUMBERS.index(low)) if low in _NUMBERS else float(text.replace(",", ""))


def _link(match: re.Match[str], kind: str, condition: str) -> Link:
    return Link(start=match.start(), stop=match.end(), kind=kind, conditions={kind: condition})


def _holds(name: Sequence[str], words: Sequence[str]) -> bool:
    size = len(words)
    return any(tuple(name[at : at + size]) == tuple(words) for at in range(len(name) - size + 1))


def _stems(text: str) -> tuple[str, ...]:
    return tuple(_stem(word) for word in _WORD.findall(text))
