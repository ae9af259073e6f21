"""Finds what somebody means by a name that is only nearly right, and never guesses between two."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SIMILAR = 5
LIKENESS = 0.85  # of a word and the one that was meant
_SIZE = re.compile(r",.*|\b(?:in )?size\b.*", re.IGNORECASE)
_FILLERS = frozenset(
    {"a", "an", "the", "your", "my", "in", "at", "of", "s", "store", "shop", "fellwind", "minus"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """
    What was found.

    Attributes:
        name: None if no name, or more than one, can be meant.
        similar: Names to ask about where `name` is None; may be empty.
    """

    name: str | None
    similar: tuple[str, ...] = ()


def find_name(asked: str, names: Sequence[str]) -> Match:
    """
    The name meant: all its words, or enough of them that no other fits as well, slips of the keys mended.

    Sizes are left out, and a number is never taken for another: `Skerry 4 tent` is not `Skerry 2 tent`.
    """
    words = {name: _words(name) for name in names}
    known = sorted(frozenset().union(*words.values()))
    plain = _SIZE.sub("", asked)
    meant = frozenset(_mend(word, known) for word in _words(plain))
    extra = {name: len(words[name] - meant) for name in names if meant and meant <= words[name]}
    if all(word.isdigit() for word in meant):
        extra = {}
    first = [name for name in extra if name.casefold().startswith(plain.strip().casefold())]
    closest = [name for name in extra if extra[name] == min(extra.values())]
    for found in (first, closest):
        if len(found) == 1:
            return Match(name=found[0])
    close = get_close_matches(plain, names, n=MAX_SIMILAR, cutoff=0.5)
    return Match(name=None, similar=tuple(closest[:MAX_SIMILAR] or close))


def _words(text: str) -> frozenset[str]:
    found = re.findall(r"\w+", text.casefold().replace("'", "").replace("\u2019", ""))
    return frozenset(word.removesuffix("s") for word in found if word not in _FILLERS)


def _mend(word: str, known: list[str]) -> str:
    if word in known or word[:1].isdigit():
        return word
    return next(iter(get_close_matches(word, known, n=1, cutoff=LIKENESS)), word)
