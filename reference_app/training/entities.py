"""Invented values for the places of a phrasing, disjoint between the splits."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

PLACE = re.compile(r"\{(\w+)\}")
MADE_UP_SHARE = 0.6  # of products and cities in training, so that names are copied and not remembered
_LETTERS = string.ascii_uppercase
_WORD = re.compile(r"(?<![\w{])[a-z]{5,}(?![\w}])")
_LOWER_SHARE, _TYPO_SHARE, _BARE_SHARE = 0.2, 0.12, 0.1
_STARTS = re.findall(
    "[A-Z][a-z]+", "AlBarBelCorDalDorElFalGarHalIgKelLorMarNorOlParQuilRosSelTorUlVarWesYarZel"
)
_MIDDLES = re.findall(r"\w+", "a e i o u an en in or ar el il um ing ath eck")
_CITY_ENDS = re.findall(r"\w+", "ton ford by ham stead wick dale port combe sea worth bridge field")
_PRODUCT_ENDS = re.findall(r"\w+", "ler vik ra no lis den rix mo tan per sk win")
_NOUNS = re.findall(
    r"\w+", "tent jacket boots pack stove lamp mat gloves bottle rope shirt socks mug bag tarp poles"
)


class Entities:
    """
    Draws values; the digits of an order, a postcode or an amount decide its split.

    An order's number that is a multiple of 4 is for the test, as is an amount that is a multiple of 7, so
    that no list of used numbers has to be kept.
    """

    def __init__(self, random: Random, pools: Mapping[str, Sequence[str]], *, test: bool) -> None:
        self._random, self._pools, self._test = random, pools, test
        self._makers = {
            "order": lambda: f"FW-{self._number(10000, 59999, 4)}",
            "points": lambda: str(self._number(10, 2400, 7)),
            "count": lambda: str(self._number(1, 90, 7)),
            "days": lambda: str(self._number(2, 20, 7)),
            "price": lambda: str(self._number(30, 500, 7)),
            "money": lambda: f"{self._number(9, 480, 7)}.{random.choice(('00', '50', '90', '95'))}",
            "weight": lambda: f"{random.randint(0, 12)}.{self._number(10, 99, 7)}",
            "rating": lambda: f"{random.randint(2, 4)}.{self._number(10, 99, 7)}",
            "postcode": self._postcode,
            "tracking": self._tracking,
        }

    def draw(self, text: str) -> dict[str, str]:
        """A value for each place in the text; `product2` is another product than `product`."""
        values: dict[str, str] = {}
        for place in dict.fromkeys(PLACE.findall(text)):
            kind = place.rstrip("2")
            values[place] = self._value(kind)
            while place != kind and values[place] == values.get(kind):
                values[place] = self._value(kind)
        return values

    def _value(self, kind: str) -> str:
        if not self._test and kind in {"product", "city"} and self._random.random() < MADE_UP_SHARE:
            return self._make_up(_CITY_ENDS if kind == "city" else _PRODUCT_ENDS, kind)
        if kind in self._pools:
            return str(self._random.choice(self._pools[kind]))
        return self._makers[kind]()

    def _make_up(self, ends: Sequence[str], kind: str) -> str:
        pick = self._random
        name = f"{pick.choice(_STARTS)}{pick.choice(_MIDDLES)}{pick.choice(ends)}"
        if kind == "city":
            return name
        return f"{name}{pick.choice(('', '', f' {pick.randint(1, 90)}', f' {pick.choice(_NOUNS)}'))}"

    def _postcode(self) -> str:
        pick = self._random
        area = "".join(pick.sample(_LETTERS, pick.choice((1, 2))))
        return f"{area}{self._number(1, 30, 7)} {pick.randint(1, 9)}{''.join(pick.sample(_LETTERS, 2))}"

    def _tracking(self) -> str:
        pick = self._random
        head, mark = "".join(pick.sample(_LETTERS, 3)), "".join(pick.choices(_LETTERS + "23456789", k=3))
        return f"{head}-{self._number(2, 9, 7)}{mark}{pick.choice(('', '-GB', '-NO', '-FR'))}"

    def _number(self, low: int, high: int, divisor: int) -> int:
        while True:
            number = self._random.randint(low, high)
            if (number % divisor == 0) == self._test:
                return number


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its places filled; places without a value stay."""
    return PLACE.sub(lambda place: values.get(place[1], place[0]), text)


def blur(random: Random, text: str, values: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """
    The phrasing and its values as a customer in a hurry types them: lower case, no full stop, a typo.

    Two of three texts stay as they are. A plan copies a name in lower case as it is, and writes numbers of
    orders and postcodes in full and in capitals.
    """
    shown = dict(values)
    chance = random.random()
    if chance < _LOWER_SHARE:
        parts = re.split(r"(\{\w+\})", text)
        text = "".join(part if PLACE.fullmatch(part) else part.lower() for part in parts)
        text = text.rstrip(".?!")
        if random.random() < 0.5:  # noqa: PLR2004 - half of them
            shown = {place: value.lower() for place, value in shown.items()}
    elif chance < _LOWER_SHARE + _TYPO_SHARE and (words := list(_WORD.finditer(text))):
        word = random.choice(words)
        at = word.start() + random.randint(1, len(word[0]) - 2)
        text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    elif "order" in shown and random.random() < _BARE_SHARE:
        shown["order"] = shown["order"].replace("FW-", random.choice(("", "FW ", "#")))
    return text, shown
