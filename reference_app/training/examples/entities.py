"""Invented values for the places of a phrasing, disjoint between the splits."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

PLACE = re.compile(r"\{(\w+)\}")
_LETTERS = string.ascii_uppercase
_WORD = re.compile(r"(?<![\w{])[a-z]{5,}(?![\w}])")
_LOWER_SHARE, _TYPO_SHARE = 0.2, 0.12


class Entities:
    """
    Draws values; the digits of an order, a postcode or an amount decide its split.

    An order's number whose last two digits make a multiple of 4 is for the test, as is an amount that is a
    multiple of 7, so that no list of used numbers has to be kept.
    """

    def __init__(self, random: Random, pools: Mapping[str, Sequence[str]], *, test: bool) -> None:
        self._random, self._pools, self._test = random, pools, test

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
        pick = self._random
        if kind in self._pools:
            return str(pick.choice(self._pools[kind]))
        match kind:
            case "order":
                return f"FW-{self._number(10000, 59999, 4)}"
            case "points":
                return str(self._number(10, 2400, 7))
            case "count":
                return str(self._number(1, 90, 7))
            case "price":
                return str(self._number(30, 500, 7))
            case "money":
                return f"{self._number(9, 480, 7)}.{pick.choice(('00', '50', '90', '95'))}"
            case "kilos":
                return f"{pick.randint(1, 3)}.{pick.randint(1, 9)}"
            case "weight":
                return f"{pick.randint(0, 12)}.{self._number(10, 99, 7)}"
            case "rating":
                return f"{pick.randint(2, 4)}.{self._number(10, 99, 7)}"
            case "postcode":
                area = "".join(pick.sample(_LETTERS, pick.choice((1, 2))))
                return (
                    f"{area}{self._number(1, 30, 7)} {pick.randint(1, 9)}{''.join(pick.sample(_LETTERS, 2))}"
                )
            case "tracking":
                head, mark = (
                    "".join(pick.sample(_LETTERS, 3)),
                    "".join(pick.choices(_LETTERS + "23456789", k=3)),
                )
                return f"{head}-{self._number(2, 9, 7)}{mark}{pick.choice(('', '-GB', '-NO', '-FR'))}"
        raise KeyError(kind)

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

    Two of three texts stay as they are. A value in lower case is what a plan has to copy, except for numbers of
    orders and postcodes, which are written in capitals only.
    """
    shown = dict(values)
    chance = random.random()
    if chance < _LOWER_SHARE:
        text = "".join(
            part if PLACE.fullmatch(part) else part.lower() for part in re.split(r"(\{\w+\})", text)
        )
        text = text.rstrip(".?!")
        if random.random() < 0.5:  # noqa: PLR2004 - half of them
            shown = {place: value.lower() for place, value in shown.items()}
    elif chance < _LOWER_SHARE + _TYPO_SHARE and (words := list(_WORD.finditer(text))):
        word = random.choice(words)
        at = word.start() + random.randint(1, len(word[0]) - 2)
        text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text, shown
