"""Names of products and cities as customers write them: a part of the name, plural, with a slip."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_NEAR = 5
SHORTEST_PART, SHORTEST_SLIP, LONG = 4, 5, 9  # letters
_WORD = re.compile(r"\d+|[^\W\d_]+")
_SIZE = re.compile(r",.*|\b(?:in )?size\b.*", re.IGNORECASE)
_FILLERS = frozenset("a an the your my in at of store shop fellwind minus".split())  # noqa: SIM905 - a line


def find_names(text: str, kinds: Mapping[str, str]) -> list[list[str]]:
    """
    Names that a text can mean, in tiers: the best first, each complete; empty where there is none.

    Every word of the text has to fit, and numbers exactly: `Skerry 4` is none of `Skerry 2 tent`.

    Args:
        text: As a customer wrote it; sizes are left out.
        kinds: Kind of thing by name, such as `{"Squall rain shell": "Jackets"}`; may be empty.

    Returns:
        The name itself; names that begin with the text; names whose thing fits, as `Skerry 2` does not fit
        `Footprint for Skerry 2`; names that fit; names that fit together with their kind (`Squall jacket`).
    """
    words, known = _read(text, kinds)
    if all(word.isdigit() for word in words):
        return []
    things = {name: _split(name.partition(" for ")[0]) for name in kinds}
    whole = {name: _split(name) for name in kinds}
    wide = {name: _split(f"{name} {kind}") for name, kind in kinds.items()}
    # `Jackets` are not what `Jackets with printed logo` begins with.
    general = {word for kind in kinds.values() for word in _split(kind)}
    tiers = [
        [name for name in kinds if set(whole[name]) == set(words)],
        [name for name in kinds if whole[name][: len(words)] == words and not general.issuperset(words)],
    ]
    tiers += [
        [name for name in kinds if all(_fits(word, parts[name], known) for word in words)]
        for parts in (things, whole, wide)
    ]
    return [tier for tier in tiers if tier]


def list_near(text: str, kinds: Mapping[str, str]) -> list[str]:
    """The names, at most five, that share the most words with a text for which `find_names` has none."""
    words, known = _read(text, kinds)
    words = [word for word in words if not word.isdigit()]
    shared = {
        name: sum(_fits(word, _split(f"{name} {kind}"), known) for word in words)
        for name, kind in kinds.items()
    }
    most = max(shared.values(), default=0)
    return [name for name in kinds if most and shared[name] == most][:MAX_NEAR]


def _read(text: str, kinds: Mapping[str, str]) -> tuple[list[str], set[str]]:
    """The words of a text, slips mended, and those of the names."""
    known = {word for name, kind in kinds.items() for word in _split(f"{name} {kind}")}
    return [_mend(word, known) for word in _split(_SIZE.sub("", text))], known


def _split(text: str) -> list[str]:
    words = _WORD.findall(text.casefold().replace("'", "").replace("\u2019", ""))
    return [word.removesuffix("s") for word in words if word not in _FILLERS]


def _mend(word: str, known: Collection[str]) -> str:
    """A word that is one letter off, or two in a long one."""
    if _fits(word, known, known) or len(word) < SHORTEST_SLIP or not word.isalpha():
        return word
    from rapidfuzz.distance import OSA
    from rapidfuzz.process import extractOne

    slips = 1 if len(word) < LONG else 2
    near = extractOne(word, sorted(known), scorer=OSA.distance, score_cutoff=slips)
    return str(near[0]) if near else word


def _fits(word: str, parts: Collection[str], known: Collection[str]) -> bool:
    """A lamp is a headlamp; a part from the middle counts only where it is no word by itself."""
    if word in parts or len(word) < SHORTEST_PART or not word.isalpha():
        return word in parts
    return any(part.endswith(word) or (word not in known and word in part) for part in parts)
