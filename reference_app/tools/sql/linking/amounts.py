"""Amounts in a question, with their unit and how a figure is compared with them."""

from __future__ import annotations

import re
from dataclasses import dataclass

NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
_LARGE = {
    "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90, "a hundred": 100, "one hundred": 100, "hundred": 100, "two hundred": 200,
    "three hundred": 300, "four hundred": 400, "five hundred": 500, "a thousand": 1000, "half a": 0.5,
    "dozen": 12, "half a dozen": 6,
}  # fmt: skip
_WORDS = {**{word: float(number) for number, word in enumerate(NUMBERS)}, **_LARGE}
_BELOW = r"(?:less|fewer|lower|smaller) than|under|below|beneath|short of"
_ABOVE = r"(?:more|greater|higher|larger|better) than|over|above|exceeding|upwards of"
_MOST = (
    r"at most|up to|no more than|not more than|a maximum of|max(?:imum)?|no (?:dearer|heavier) than|within"
)
_LEAST = r"at least|no less than|not less than|a minimum of|min(?:imum)?|starting at|upward from"
_SPELT = "|".join(sorted(_WORDS, key=len, reverse=True)) + r"|a(?=\s(?:kilo|kilogram|kg|quid)\b)"
_NUMBER = rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d{{1,9}})(?:\.\d{{1,4}})?|{_SPELT}"
_UNIT = r"pounds?|gbp|quid|kilograms?|kilos?|kgs?|grams?|grammes?|g|stars?"
_AMOUNT = re.compile(
    rf"(?:\b(?:(?P<below>{_BELOW})|(?P<above>{_ABOVE})|(?P<most>{_MOST})|(?P<least>{_LEAST})"
    rf"|(?P<range>between|from|in the range of|anywhere from))\s+)?"
    rf"(?<![\w.-])(?P<pound>£\s?)?(?P<number>{_NUMBER})(?:[\s-]?(?P<unit>{_UNIT})\b)?"
    rf"(?:\s*(?:and|to|-|\u2013)\s*(?P<second_pound>£\s?)?(?P<second>{_NUMBER})"
    rf"(?:[\s-]?(?P<second_unit>{_UNIT})\b)?)?"
    r"(?P<more>\s+or\s+(?:more|above|over|heavier|higher|better|dearer)|\s+at\s+(?:the\s+)?least)?"
    r"(?P<fewer>\s+or\s+(?:less|below|under|cheaper|lighter|fewer|lower)"
    r"|,?\s+(?:at\s+(?:the\s+)?(?:very\s+)?most|max(?:imum)?|tops))?(?!\w)",
    re.IGNORECASE,
)
_SIGNS = {"below": "<", "above": ">", "most": "<=", "least": ">=", "more": ">=", "fewer": "<="}
OPPOSITE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "=": "<>"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """
    Attributes:
        start: Where it stands in the question, in characters.
        stop: Where it ends there.
        sign: `=`, `<`, `>`, `<=` or `>=`; `between` includes both ends.
        low: The number, or the first of two.
        high: The second of two.
        figure: What the unit says: `price`, `weight`, `rating`; empty without a unit.
        bare: A whole number with neither unit nor word that compares.
    """

    start: int
    stop: int
    sign: str
    low: float
    high: float = 0.0
    figure: str = ""
    bare: bool = False


def find_amounts(question: str) -> list[Amount]:
    """The amounts in their order."""
    return [amount for match in _AMOUNT.finditer(question) for amount in _read(match)]


def _read(match: re.Match[str]) -> list[Amount]:
    unit = (match["unit"] or match["second_unit"] or "").lower()
    figure = ""
    if match["pound"] or match["second_pound"] or unit.startswith(("pound", "gbp", "quid")):
        figure = "price"
    elif unit.startswith(("k", "g")):
        figure = "weight"
    elif unit.startswith("star"):
        figure = "rating"
    low = _read_number(match["number"]) * _scale(match["unit"] or match["second_unit"], figure)
    sign = next((sign for name, sign in _SIGNS.items() if match[name]), "=")
    start = match.start("pound") if match["pound"] else match.start("number")
    start = match.start() if sign != "=" or match["range"] else start
    if match["second"]:
        if sign != "=" or not (figure or match["range"]):
            return []  # "more than 3 and 5", "two and three": no range
        high = _read_number(match["second"]) * _scale(match["second_unit"] or match["unit"], figure)
        if high < low:
            return []  # "I've got £50 and £20"
        return [Amount(start=start, stop=match.end(), sign="between", low=low, high=high, figure=figure)]
    bare = sign == "=" and not figure and low == int(low)
    start = match.start("number") if bare else start
    return [Amount(start=start, stop=match.end(), sign=sign, low=low, figure=figure, bare=bare)]


def _scale(unit: str | None, figure: str) -> float:
    return 0.001 if figure == "weight" and (unit or "").lower().startswith("g") else 1.0


def _read_number(text: str) -> float:
    low = " ".join(text.lower().split())
    return {**_WORDS, "a": 1.0}[low] if low in _WORDS or low == "a" else float(text.replace(",", ""))
