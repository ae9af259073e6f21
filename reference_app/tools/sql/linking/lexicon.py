"""The words of `words.yaml`, by their stems."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("words.yaml")
TAIL = re.compile(r" for |,")  # behind it stands what the product goes with
WORD = re.compile(r"[^\W_]+(?:\.\d+)?")
SIMILAR = 86  # of 100, at least, is the likeness of a misspelt word and the one that is meant
LONG = 5  # characters of a word that may be misspelt
Stems = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """
    What a phrase stands for.

    Attributes:
        kind: `stop`, `noun`, `figure`, `ask`, `rank` or `comparative`.
        name: Of the noun, figure or ask; of a rank or comparative its figure.
        high: Whether a rank or comparative looks for the high end.
    """

    kind: str
    name: str
    high: bool = False


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """
    Attributes:
        meanings: By phrase.
        aliases: Words of customers to words of product names.
        categories: Phrases to the category that they mean.
        values: By kind, phrases to the value that they mean.
        accessories: Beginnings of what is left out when a category's noun is used.
        describing: Words of names that name nothing alone.
        everyday: Words that name a product in a question for goods, and mean other things elsewhere.
        opinions: Words of praise.
        making: Words for how a product is made.
        real_words: Words that look like a slip of the keys and are none.
        absent_colours: Colours that no product has.
        gaps: Words that may stand within a phrase.
        light: By what they go with, words that add nothing beside it.
        rewrites: Patterns, and the words that are read instead.
        services: Words of services and rules.
        foreign: Phrases of other languages, and the English ones.
    """

    meanings: Mapping[Stems, Meaning]
    aliases: Mapping[Stems, Stems]
    categories: Mapping[Stems, str]
    values: Mapping[str, Mapping[Stems, str]]
    accessories: tuple[str, ...]
    describing: frozenset[str]
    everyday: frozenset[str]
    opinions: frozenset[str]
    making: frozenset[str]
    real_words: frozenset[str]
    absent_colours: frozenset[Stems]
    gaps: frozenset[str]
    light: Mapping[str, frozenset[str]]
    rewrites: tuple[tuple[re.Pattern[str], str], ...]
    services: frozenset[str]
    foreign: Mapping[str, str]

    @cached_property
    def words(self) -> frozenset[str]:
        """Words that are no slip of the keys: those of every phrase, and others."""
        return self.real_words.union(*self.meanings, *self.light.values(), *self.absent_colours)

    @cached_property
    def loose(self) -> dict[Stems, Meaning]:
        """The meanings of phrases without the words that may stand within them."""
        return {
            phrase: meaning for phrase, meaning in self.meanings.items() if self.shorten(phrase) == phrase
        }

    def shorten(self, phrase: Stems) -> Stems:
        """A phrase of two words and more without its gaps; empty where it begins or ends with one."""
        if len(phrase) == 1 or {phrase[0], phrase[-1]} & self.gaps:
            return ()
        return tuple(word for word in phrase if word not in self.gaps)


def stem(word: str) -> str:
    """Without the plural, so that question and value meet in one form; the form need not be a word."""
    low = word.lower()
    if len(low) > 4 and low.endswith(("ies", "ie")):  # noqa: PLR2004
        return low.removesuffix("s")[:-2] + "y"
    if len(low) > 3 and low.endswith(("ches", "shes", "xes", "sses")):  # noqa: PLR2004
        return low[:-2]
    if len(low) > 3 and low.endswith("s") and not low.endswith("ss"):  # noqa: PLR2004
        return low[:-1]
    return low


def stems(text: str) -> Stems:
    """The stems of a text's words."""
    return tuple(stem(word) for word in WORD.findall(text))


@cache
def load_lexicon() -> Lexicon:
    """The words of the file."""
    import yaml

    data: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    meanings: dict[Stems, Meaning] = {}
    for phrase in _split(data["stop"]):
        meanings[phrase] = Meaning(kind="stop", name="")
    for kind, group in (("noun", "nouns"), ("figure", "figures"), ("ask", "asks")):
        for name, phrases in data[group].items():
            meanings |= {phrase: Meaning(kind=kind, name=name) for phrase in _split(phrases)}
    for kind, group in (("rank", "ranks"), ("comparative", "comparatives")):
        for head, phrases in data[group].items():
            name, end = head.split()
            meaning = Meaning(kind=kind, name=name, high=end == "high")
            meanings |= dict.fromkeys(_split(phrases), meaning)
    return Lexicon(
        meanings=meanings,
        aliases={alias: stems(value) for alias, value in _invert(data["aliases"]).items()},
        categories=_invert(data["categories"]),
        values={kind: _invert(values) for kind, values in data["values"].items()},
        accessories=tuple(data["accessories"]),
        describing=frozenset(map(stem, data["describing"].split())),
        everyday=frozenset(map(stem, data["everyday"].split())),
        opinions=frozenset(data["opinions"].split()),
        making=frozenset(data["making"].split()),
        real_words=frozenset(map(stem, data["real_words"].split())),
        absent_colours=frozenset(_split(data["absent_colours"])),
        gaps=frozenset(data["gaps"].split()),
        light={name: frozenset(map(stem, words.split())) for name, words in data["light"].items()},
        rewrites=tuple(
            (re.compile(pattern, re.IGNORECASE), words) for pattern, words in data["rewrites"].items()
        ),
        services=frozenset(map(stem, data["services"].split())),
        foreign={one: words for phrases, words in data["foreign"].items() for one in phrases.split("|")},
    )


def _split(phrases: str) -> list[Stems]:
    return [stems(phrase) for phrase in phrases.split("|") if phrase.strip()]


def _invert(values: Mapping[str, str]) -> dict[Stems, str]:
    return {phrase: value for value, phrases in values.items() for phrase in _split(phrases)}
