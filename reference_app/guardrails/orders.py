"""Signs that a text orders a model about, as patterns kept in `orders.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REACH = 80  # characters before a verb that tell whether it is an order

_SENTENCE = re.compile(r"[.!?\n;:\"\u2018-\u201f#>*|]")
_SPACE = re.compile(r"\[(?:\\.|[^\]])*\]| ")  # in a class of characters a space is one
_PIECE = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """
    One thing attacks do.

    Attributes:
        meaning: Completes "it …".
        weight: Probability that a text with this sign alone is an attack.
        ordered: Counts only where the verb it begins with is an order, not in "do I have to ignore …?".
    """

    meaning: str
    pattern: re.Pattern[str]
    weight: float
    ordered: bool


def find_signs(text: str) -> list[Sign]:
    """The signs in the text, in the file's order."""
    signs, no_order, order_to = _load()

    def counts(sign: Sign, start: int) -> bool:
        before = _SENTENCE.split(text[max(0, start - REACH) : start])[-1]
        return not sign.ordered or bool(order_to.search(before)) or not no_order.search(before)

    return [s for s in signs if any(counts(s, match.start()) for match in s.pattern.finditer(text))]


@cache
def _load() -> tuple[tuple[Sign, ...], re.Pattern[str], re.Pattern[str]]:
    """The signs, what stands before a verb that is no order, and what makes one of it all the same."""
    import yaml

    data = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    pieces: dict[str, str] = {}

    def fill(pattern: str) -> str:
        return _PIECE.sub(lambda piece: pieces.get(piece[1], piece[0]), "".join(pattern.splitlines()))

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(_SPACE.sub(lambda m: m[0] if m[0][0] == "[" else r"\s+", pattern), re.IGNORECASE)

    for name, pattern in data["pieces"].items():
        pieces[name] = fill(pattern)
    signs = tuple(
        Sign(
            meaning=sign["meaning"],
            pattern=compiled("|".join(map(fill, sign["patterns"]))),
            weight=sign["weight"],
            ordered=sign.get("ordered", False),
        )
        for sign in data["signs"]
    )
    return signs, compiled(pieces["no_order"]), compiled(pieces["order_to"])
