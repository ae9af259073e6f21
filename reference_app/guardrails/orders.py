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


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """
    All signs, and how to tell an order.

    Attributes:
        no_order: Matches what stands before a verb that is no order.
        order_to: Matches what makes one of it all the same.
    """

    signs: tuple[Sign, ...]
    no_order: re.Pattern[str]
    order_to: re.Pattern[str]

    def find(self, text: str) -> list[Sign]:
        """The signs in the text, in the file's order."""
        return [
            sign
            for sign in self.signs
            if any(
                not sign.ordered or self._is_order(text, one.start()) for one in sign.pattern.finditer(text)
            )
        ]

    def _is_order(self, text: str, start: int) -> bool:
        """Whether the verb that begins at `start` tells the reader to do it."""
        before = _SENTENCE.split(text[max(0, start - REACH) : start])[-1]
        return bool(self.order_to.search(before)) or not self.no_order.search(before)


@cache
def load_signs() -> Signs:
    import yaml

    data = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    pieces: dict[str, str] = {}

    def compiled(pattern: str) -> re.Pattern[str]:
        return re.compile(
            _SPACE.sub(lambda one: one[0] if one[0][0] == "[" else r"\s+", pattern), re.IGNORECASE
        )

    def filled(pattern: str) -> str:
        return _PIECE.sub(lambda piece: pieces.get(piece[1], piece[0]), "".join(pattern.splitlines()))

    for name, pattern in data["pieces"].items():
        pieces[name] = filled(pattern)
    return Signs(
        signs=tuple(
            Sign(
                meaning=sign["meaning"],
                pattern=compiled("|".join(filled(pattern) for pattern in sign["patterns"])),
                weight=sign["weight"],
                ordered=sign.get("ordered", False),
            )
            for sign in data["signs"]
        ),
        no_order=compiled(pieces["no_order"]),
        order_to=compiled(pieces["order_to"]),
    )
