"""Where a customer writes from, in the documents' words: countries and the European Union."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PLACES = Path(__file__).with_name("places.yaml")
_WORD = re.compile(r"[^\W\d_]+")
_NAMED = re.compile(r"\bEU\b|\bEuropean Union\b")
_LONGEST = 2  # words of a place's name
_PREPOSITIONS = frozenset(
    {"to", "in", "from", "of", "at", "near", "for", "nach", "aus", "von", "a", "en", "para"}
)
_COLOURS = frozenset({"red", "blue", "green", "brown", "grey", "black", "white", "yellow", "orange"})
_JOINS = frozenset({"and", "or", "und", "oder", "y", "o"})


def add_country(text: str) -> str:
    """The text, and in brackets the countries of the places that it names, with the union that each is in."""
    found: list[tuple[str, str]] = []
    words = list(_WORD.finditer(text))
    for at, word in enumerate(words):
        before = words[at - 1][0].lower() if at else ""
        joined = before in _JOINS and bool(found)
        behind = words[at + 1][0].lower() if at + 1 < len(words) else ""
        if (before not in _PREPOSITIONS and not joined) or behind in _COLOURS:
            continue
        ends = (each.end() for each in words[at : at + _LONGEST])
        names = [text[word.start() : end] for end in ends]
        found += [_places()[name] for name in names if name in _places()][-1:]
    named = dict.fromkeys(part for country, union in found for part in (country, union) if part)
    if not named or (_NAMED.search(text) and all(union for _, union in found)):
        return text
    return f"{text} ({', '.join(named)})"


@cache
def _places() -> dict[str, tuple[str, str]]:
    """Country and union by each name; a name counts with its capital alone, as `island` is none."""
    import yaml

    unions = yaml.safe_load(PLACES.read_text(encoding="utf-8"))
    return {
        name: (country, union)
        for union, countries in unions.items()
        for country, names in countries.items()
        for name in (country, *names)
    }
