"""Where a customer writes from, in the documents' words: countries and the European Union."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PLACES = Path(__file__).with_name("places.yaml")
_WORD = re.compile(r"[^\W\d_]+")
_NAMED = re.compile(r"\bEU\b|\bEuropean Union\b")
_LONGEST = 2  # words of a place's name


def add_country(text: str) -> str:
    """The text, and in brackets the countries of the places that it names, with the union that each is in."""
    words = [found[0] for found in _WORD.finditer(text)]
    runs = [" ".join(words[at : at + size]) for at in range(len(words)) for size in range(1, _LONGEST + 1)]
    found = [_places()[run] for run in dict.fromkeys(runs) if run in _places()]
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
