"""Numbers and dates in an answer that can be changed, and the choice of the one that matters most."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_llmops.features.mutate.readings import Edit, Reading, order
from pytest_llmops.text.characters import fold

AROUND = 40
"""Characters before and after a value that are read with it."""
NEARBY_WORD = re.compile(r"[\s-]{0,2}([^\W\d_]+)")
"""The word behind a number."""
QUOTED_SOURCE = re.compile(r"et al|\([^()\d]{3,40},?\s*\Z")
"""The names of authors before a year or number."""
EXPECTED, ALSO_ASKED, OTHER, ASKED = range(4)
"""Tiers: said by the reference, by question and reference, by neither, by the question alone."""
_ARTICLE = re.compile(r"(?<!\w)(an?)\s\Z", re.IGNORECASE)
_VOWEL = re.compile(r"[aei]|o(?!ne\b)|8|11(?!\d)|18(?!\d)|11,|18,", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    A number or date of the answer.

    Attributes:
        tier: `EXPECTED`, `ALSO_ASKED`, `OTHER` or `ASKED`; the higher, the less it matters.
        options: What it can become, in order.
    """

    start: int
    end: int
    tier: int
    options: Sequence[str]


def pick(reading: Reading, places: Sequence[Place], kind: str) -> Sequence[Edit]:
    """Return the change of a place that matters most; what the question says itself is not changed."""
    ranked = [(place.tier, rank_of(reading, place.start)) for place in places]
    known = [(tier, rank) for tier, rank in ranked if tier <= OTHER]
    if not known:
        return []
    best = min(known)
    candidates = [place for place, rank in zip(places, ranked, strict=True) if rank == best]
    for place in order(candidates, reading.seed, kind, "place"):
        for option in order(place.options, reading.seed, kind, "option"):
            edit = edit_place(reading, place.start, place.end, option)
            if not reading.is_stated(edit):
                same = [other for other in places if other != place and _is_same(reading, place, other)]
                return [edit, *(edit_place(reading, other.start, other.end, option) for other in same)]
    return []


def _is_same(reading: Reading, place: Place, other: Place) -> bool:
    """Return whether an answer repeats a value: the same text before the same word."""
    one, two = (reading.prose[at.start : at.end + AROUND] for at in (place, other))
    length = place.end - place.start
    if other.end - other.start != length or one[:length] != two[:length]:
        return False
    following, others = (NEARBY_WORD.match(text[length:]) for text in (one, two))
    return (following and following[1]) == (others and others[1])


def ordinal_ending(number: int) -> str:
    """Return the English ending: `st` of 1st."""
    return "th" if 10 < number % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")  # noqa: PLR2004 - teens


def rank_of(reading: Reading, start: int) -> int:
    """Return the place of a sentence among those of the answer by weight."""
    return next(
        (rank for rank, sentence in enumerate(reading.sentences) if sentence.start <= start < sentence.end),
        len(reading.sentences),
    )


def tier_of_text(reading: Reading, text: str) -> int:
    folded = fold(text)
    return tier_of(expected=folded in fold(reading.reference or ""), asked=folded in fold(reading.question))


def tier_of(*, expected: bool, asked: bool) -> int:
    if expected:
        return ALSO_ASKED if asked else EXPECTED
    return ASKED if asked else OTHER


def edit_place(reading: Reading, start: int, end: int, new: str) -> Edit:
    """Return the replacement, with `a` or `an` before it put right."""
    old = reading.text[start:end]
    change = f"{old} \u2192 {new}"
    if reading.language and reading.language.code == "en":
        start, new = put_article_right(reading.text, start, end, new)
    return Edit(start=start, end=end, new=new, change=change)


def put_article_right(text: str, start: int, end: int, new: str) -> tuple[int, str]:
    """Return a replacement and its start, with `a` or `an` put right before it and at its end."""
    if new.endswith(" a") and re.match(r"\s[aeiouAEIOU]", text[end : end + 2]):
        return start, f"{new}n"
    article = _ARTICLE.search(text[max(0, start - 4) : start])
    if article and new[:1].isalnum():
        right = "an" if _VOWEL.match(new) else "a"
        if article[1].lower() != right:
            right = right.capitalize() if article[1][0].isupper() else right
            return start - len(article[0]), f"{right} {new}"
    return start, new
