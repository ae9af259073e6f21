"""The choice of a shape for a question, by the phrasings that are nearest to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from reference_app.tools.sql.shapes.shape import Shape, fill_shape, load_shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reference_app.tools.sql.shapes.linking import Link

    Encode = Callable[[Sequence[str]], NDArray[np.float32]]

# What stands for a value of a kind, in phrasings and in questions alike.
MASKS = {
    "category": "products",
    "sort": "products",
    "product": "this item",
    "city": "town",
    "status": "done",
    "country": "abroad",
    "level": "gold",
    "carrier": "the carrier",
    "reason": "some reason",
    "colour": "coloured",
    "order": "number 5",
    "period": "last year",
    "price": "below 5 pounds",
    "weight": "below 5 kg",
    "stars": "5 stars",
    "number": "5",
}
# Words that turn a query into another one, though vectors of texts with and without them are near.
CUES = {
    "count": r"how many|numbers? of|count|how often|quantity|how large",
    "amount": r"how much|sum|money|pounds?|worth|value|turnover|revenue|sales",
    "average": r"average|mean",
    "each": r"each|per|by|every|split|distributed",
    "low": r"cheapest|least|lowest|smallest|lightest|worst|poorest|fewest",
    "high": r"most|dearest|priciest|highest|largest|heaviest|best|greatest|biggest|top",
    "new": r"newest|latest|recent(?:ly)?|youngest|last$|released last|opened last",
    "old": r"oldest|first|longest",
    "price": r"prices?|priced|priciest|costs?|expensive|cheapest|dearest",
    "weight": r"weighs?|weight|heavy|heaviest|light|lightest|heavier|lighter",
    "rating": r"rates?|rated|ratings?|reviews?|reviewed",
    "sale": r"sold|bought|buy|best-selling|worst-selling|sells?",
    "refund": r"refunds?|refunded|pay back|paid back|money back",
    "spent": r"spent|redeem(?:ed)?|used",
    "store": r"stores?|shops?|branch(?:es)?|city|cities",
    "time": r"when|since when|what day|date",
}
# A shape that does not say these would answer another question, not a near one.
STRONG_CUES = {
    "none": r"no|not|never|without|except|neither|sold out|out of stock|ran out|run out|missing",
    "share": r"percent(?:age)?|share|proportion|ratio",
    "rank": r"second|third|fourth|fifth|median",
    "than": r"than",
}
THRESHOLD = 0.62
CUE = 0.06  # what a cue costs that only one of question and phrasing has
STRONG_CUE = 0.35
UNUSED = 0.15  # what a value costs that has no place in the shape, or a name that the database does not hold
_NAME = re.compile(r"(?<=[\w,] )[A-Z][^\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The query of a question.

    Attributes:
        sql: None where the nearest phrasings are of what the database cannot or may not answer.
        score: Likeness of question and phrasing less what is unused, at most 1.
    """

    shape: str
    sql: str | None
    score: float


class Planner:
    """May be used from many threads; the phrasings are encoded at the first question."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode

    def rank(self, question: str, links: Sequence[Link]) -> list[Plan]:
        """Plans of all shapes that can be filled, the best first."""
        phrasings, vectors = self._phrasings
        masked = _mask(question, links)
        likeness = (vectors @ self._encode(masked).T).max(axis=1)
        cues = find_cues(masked[0])
        strangers = len(_NAME.findall(_replace(question, links)))
        best: dict[str, Plan] = {}
        for (shape, said), near in zip(phrasings, likeness, strict=True):
            if shape.lacks(links):
                continue
            places = [shape.place(link) for link in links]
            differing = cues ^ said
            score = float(near) - UNUSED * (places.count(None) + strangers)
            score -= sum(STRONG_CUE if cue in STRONG_CUES else CUE for cue in differing)
            if shape.name not in best or score > best[shape.name].score:
                sql = fill_shape(shape, links) if shape.table else None
                best[shape.name] = Plan(shape=shape.name, sql=sql, score=score)
        return sorted(best.values(), key=lambda plan: -plan.score)

    def plan(self, question: str, links: Sequence[Link]) -> Plan | None:
        """The best plan, or None if no phrasing is near enough."""
        best = self.rank(question, links)[0]
        return best if best.score >= THRESHOLD else None

    @cached_property
    def _phrasings(self) -> tuple[list[tuple[Shape, frozenset[str]]], NDArray[np.float32]]:
        texts = [(shape, _fill(text)) for shape in load_shapes() for text in shape.phrasings]
        return [(shape, find_cues(text)) for shape, text in texts], self._encode([text for _, text in texts])


def find_cues(text: str) -> frozenset[str]:
    """The names of the cues in a text."""
    cues = {**CUES, **STRONG_CUES}.items()
    return frozenset(name for name, words in cues if re.search(rf"\b(?:{words})\b", text))


def _fill(phrasing: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda kind: MASKS[kind[1]], phrasing)


def _mask(question: str, links: Sequence[Link]) -> list[str]:
    """The question in the words of the phrasings, and the same without what is aside; lower case."""
    texts = (
        _replace(question, links),
        _replace(question, links, aside=("colour", "period", "price", "weight")),
    )
    return list(dict.fromkeys(" ".join(text.lower().strip(" ?.!").split()) for text in texts))


def _replace(question: str, links: Sequence[Link], aside: Sequence[str] = ()) -> str:
    text, at = "", 0
    for link in links:
        before = question[at : link.start]
        before = re.sub(r"\b(?:the|an?) $", "", before) if link.kind == "product" else before
        text += before + ("" if link.kind in aside else MASKS[link.kind])
        at = link.stop
    return text + question[at:]
