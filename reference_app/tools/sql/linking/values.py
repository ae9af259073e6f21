"""What the columns of the database hold, and which of it the words of a question mean."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from reference_app.tools.sql.linking.lexicon import LONG, SIMILAR, TAIL, WORD, load_lexicon, stem, stems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reference_app.tools.sql.linking.lexicon import Stems

# Kinds of values and where they stand.
COLUMNS = {
    "category": "categories.name",
    "product": "products.name",
    "city": "stores.city",
    "status": "orders.status",
    "country": "customers.country",
    "level": "customers.level",
    "carrier": "shipments.carrier",
    "reason": "refunds.reason",
    "colour": "products.colour",
}
_UNITS = (("w",), ("l",), ("ml",), ("g",))
_NUMBER = re.compile(r"\d")
_REMEMBERED = 8192  # words whose likeness to names is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """
    Products that a part of the question means.

    Attributes:
        label: What they are called in a sentence.
        names: Of the products.
        category: A category's name, where one is meant.
        all_of_it: Whether the names are all of the category, with what only goes with them.
    """

    label: str
    names: tuple[str, ...]
    category: str = ""
    all_of_it: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Name:
    text: str
    words: Stems
    core: int  # of the words, how many stand before "for" or a comma


class Values:
    """
    What the columns of `COLUMNS` hold.

    Args:
        sampled: By kind, distinct values.
        categories: By product, its category.
    """

    def __init__(self, sampled: Mapping[str, Sequence[str]], categories: Mapping[str, str]) -> None:
        self.sampled, self.categories = sampled, categories
        self._lexicon = load_lexicon()
        self._names = [
            _Name(text=name, words=stems(name), core=len(stems(TAIL.split(name)[0])))
            for name in sampled.get("product", ())
        ]
        self._phrases: dict[tuple[str, Stems], str] = {}
        for kind, values in sampled.items():
            aliases = self._lexicon.values.get(kind, {}).items()
            known = {**{alias: value for alias, value in aliases if value in values}}
            known |= {stems(value): value for value in values}
            self._phrases |= {(kind, phrase): value for phrase, value in known.items() if kind != "product"}
        held = sampled.get("category", ())
        self._phrases |= {
            ("category", phrase): name for phrase, name in self._lexicon.categories.items() if name in held
        }
        if "colour" in sampled:
            self._phrases |= {("colour", phrase): " ".join(phrase) for phrase in self._lexicon.absent_colours}
        self._words = self._lexicon.words | {word for _, phrase in self._phrases for word in phrase}
        self._name_words = {word for name in self._names for word in name.words}
        self._longest = max((len(phrase) for _, phrase in self._phrases), default=0)
        self._find_same = lru_cache(_REMEMBERED)(self._compare)
        self._find_alone = lru_cache(_REMEMBERED)(self._mean)
        self._find_city = lru_cache(_REMEMBERED)(self._compare_cities)

    def find_values(self, words: Stems) -> dict[str, str]:
        """Values by kind that the stems name."""
        if len(words) > self._longest:
            return {}
        found = {kind: self._phrases[kind, words] for kind in COLUMNS if (kind, words) in self._phrases}
        if not found and len(words) == 1 and len(words[0]) > LONG and words[0] not in self._words:
            city = self._find_city(words[0])
            found = {"city": city} if city else {}
        return found

    def _compare_cities(self, word: str) -> str:
        """The one town that a misspelt word means."""
        cities = {words: city for (kind, words), city in self._phrases.items() if kind == "city"}
        near = [city for phrase, city in cities.items() if _is_like(word, phrase[0], LONG + 1)]
        return near[0] if len(near) == 1 else ""

    def find_category(self, words: Stems) -> Things | None:
        """The products of a category that the stems name, without what only goes with them."""
        name = self._phrases.get(("category", words))
        if name is None:
            return None
        own = [one for one, category in self.categories.items() if category == name]
        kept = [one for one in own if not _starts(one, self._lexicon.accessories)]
        return Things(label=name, names=tuple(sorted(kept)), category=name, all_of_it=len(kept) == len(own))

    def is_accessory(self, name: str) -> bool:
        """Whether a product only goes with another one, or is a set of pieces."""
        return bool(TAIL.search(name)) or _starts(name, self._lexicon.accessories)

    def find_products(self, texts: Sequence[str]) -> Things | None:
        """The products that consecutive words name, all of them where several can be meant."""
        words = tuple(map(stem, texts))
        words = self._lexicon.aliases.get(words, words)
        if _NUMBER.match(words[0]):
            if words[1:2] in _UNITS:  # "the 20 W solar panel"
                return self.find_products([*texts[2:], *texts[:2]]) if len(texts) > 2 else None  # noqa: PLR2004 - number, unit and a name
            return None
        if len(words) == 1:
            found = list(self._find_alone(texts[0], words[0]))
        elif all(map(self._find_same, words)):
            found = [name for name in self._names if self._holds(name, words)]
        else:
            return None
        whole = [name for name in found if name.words[: name.core] == words or name.words == words]
        plural = texts[-1].lower() != words[-1] and len(found) > len(whole)
        if whole and not (plural and not any(_ends_plural(name.text) for name in whole)):
            found = whole
        if not found:
            return None
        names = tuple(sorted(name.text for name in found))
        return Things(label=names[0] if len(names) == 1 else " ".join(texts), names=names)

    def _mean(self, text: str, word: str) -> tuple[_Name, ...]:
        return tuple(name for name in self._names if self._means(text, word, name))

    def _means(self, text: str, word: str, name: _Name) -> bool:
        """Whether one word alone stands for a product: its last word, or the name that is its first."""
        core = name.words[: name.core]
        if word in self._lexicon.describing or not word.isalpha():
            return False
        nouns = [each for each in core if each.isalpha() and len(each) > 2]  # noqa: PLR2004
        first = nouns[0] if nouns[0] not in self._lexicon.describing or len(nouns) == 1 else ""
        if nouns[0] == "fellwind":
            first = nouns[1]
        if word == nouns[-1] or self._is_meant(word, nouns[-1], alone=True):
            return True
        return bool(first) and (text.lower() == first or self._is_meant(text.lower(), first, alone=True))

    def _holds(self, name: _Name, words: Stems) -> bool:
        """Whether the words stand in the name in their order, the first before its "for"."""
        at = 0
        for place, word in enumerate(words):
            same = self._find_same(word)
            found = next((n for n in range(at, len(name.words)) if name.words[n] in same), None)
            if found is None or (place == 0 and found >= name.core):
                return False
            at = found + 1
        return True

    def _compare(self, word: str) -> frozenset[str]:
        """The words of names that a word means."""
        return frozenset(other for other in self._name_words if word == other or self._is_meant(word, other))

    def _is_meant(self, word: str, other: str, *, alone: bool = False) -> bool:
        return word not in self._words and not _NUMBER.search(word) and _is_like(word, other, LONG + alone)


def _is_like(word: str, other: str, at_least: int) -> bool:
    """Whether one is the other with a slip of the keys; a short word alone may be another word."""
    from rapidfuzz.distance import OSA
    from rapidfuzz.fuzz import ratio

    short = min(len(word), len(other)) < at_least - 1
    if short or word[0] != other[0] or word.rstrip("s") == other.rstrip("s"):
        return False
    slip = len(word) >= at_least and OSA.distance(word, other, score_cutoff=1) <= 1
    return bool(slip or ratio(word, other) >= SIMILAR)


def _starts(name: str, beginnings: Sequence[str]) -> bool:
    words = stems(TAIL.split(name)[0])
    return any(set(stems(beginning)) <= set(words) for beginning in beginnings)


def _ends_plural(name: str) -> bool:
    last: str = WORD.findall(TAIL.split(name)[0])[-1]
    return stem(last) != last.lower()
