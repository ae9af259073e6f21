"""Words that only colour what they stand beside: "your lovely camp chair", "the orders you took"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.amounts import Amount
from reference_app.tools.sql.linking.lexicon import Meaning, load_lexicon, stem
from reference_app.tools.sql.linking.values import Things

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_POINTING = {"the", "that", "this", "your", "those", "these", "a", "an", "one"}
_TIGHTENING = {"single", "very", "absolute", "absolutely"}
_AMONG = {"the", "your", "a", "an", "what", "which"}


def find_fillers(words: Sequence[str], taken: Sequence[object]) -> Iterator[int]:
    """
    Places of words that may be passed over; of each word `taken` has what it stands for, or None.

    An opinion is one before what is pointed at ("that lovely tent", not "which tent is lovely?"); how a thing
    is made is one before a single product, which is no choice among several ("that folding camp chair"). A
    light word is one beside what it goes with: an order is taken, a piece stands on a shelf.
    """
    lexicon = load_lexicon()
    light = {word for one in taken for word in lexicon.light.get(_name(one), ())}
    yield from (place for place, one in enumerate(taken) if one is None and stem(words[place]) in light)
    for place, one in enumerate(taken):
        if one is not None:
            continue
        low = words[place].lower()
        end = place + 1
        while end < len(words) and taken[end] is None and words[end].lower() in lexicon.opinions:
            end += 1
        behind = taken[end] if end < len(words) else None
        if behind is None:
            continue
        start = place
        while start and taken[start - 1] is None and words[start - 1].lower() in lexicon.opinions:
            start -= 1
        before = words[start - 1].lower() if start else ""
        kind = behind.kind if isinstance(behind, Meaning) else ""
        things = behind if isinstance(behind, Things) else None
        if low in _TIGHTENING:
            if kind == "rank" and (before in _AMONG or not before):
                yield place
        elif before in _POINTING:
            single = things is not None and len(things.names) == 1 and not things.category
            several = before not in ("a", "an") and (things is not None or kind == "noun")
            opinion = low in lexicon.opinions and (single or several)  # not "is there a nice tent?"
            if opinion or (low in lexicon.making and single):
                yield place


def _name(one: object) -> str:
    """What a part of the question is, as `light` calls it."""
    if isinstance(one, Meaning):
        return "comparative" if one.kind == "comparative" else one.name
    if isinstance(one, Things):
        return "product"
    return "amount" if isinstance(one, Amount) else getattr(one, "kind", "")
