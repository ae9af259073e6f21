"""The products, categories and materials that questions and documents name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_app.documents.knowledge import Section

MATERIALS = ("down", "fleece", "foam", "leather", "merino", "rubber", "silk", "wool")
_TRADE_NAME = re.compile(r"[A-Z]\S*(?: [A-Z]\S*| -?\d+)*")


class Names:
    """The products, categories and materials that a text names; of a product its trade name is enough."""

    def __init__(self, products: Mapping[str, str], sections: Sequence[Section]) -> None:
        """`products` have their category."""
        ordinary = set(
            re.findall(r"\b[a-z]+\b", " ".join(one.text for one in sections))
        )  # as "sun" of "Sun hat"
        self._meant: dict[str, str] = {}
        for name, category in products.items():
            trade = _TRADE_NAME.match(name.removeprefix("Fellwind "))
            short = trade[0].lower() if trade and trade[0].lower() not in ordinary else name.lower()
            self._meant.setdefault(short, name)
            self._meant |= dict.fromkeys(re.findall(r"([a-z]{3,})s\b", category.lower()), category)
        self._meant |= {material: material for material in MATERIALS}
        words = sorted(map(re.escape, self._meant), key=len, reverse=True)
        self._pattern = re.compile(rf"\b({'|'.join(words)})s?\b", re.IGNORECASE)

    def find(self, text: str) -> list[str]:
        """In the order in which the text names them."""
        return list(dict.fromkeys(self._meant[found.lower()] for found in self._pattern.findall(text)))
