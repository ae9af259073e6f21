"""
Languages whose grammar is known, and the one in which a text is written; lists: `languages.json`.

A list is of grammar alone (negations, quantifiers, conditions, pronouns), none of topics.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from threading import Lock
from typing import Any

import regex

from pytest_llmops.metrics.faithfulness.sentences import opposites_of
from pytest_llmops.text.characters import fold_typography

_WORD = regex.compile(r"[\p{Latin}\p{M}]+")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_HAN = regex.compile(r"\p{Han}")
_LATIN = regex.compile(r"\p{Latin}")
_LETTER = regex.compile(r"\p{L}")
_UNSPACED = frozenset({"zh", "ja"})
_FEWEST_WORDS = 6  # of a text that must have words of grammar; a shorter one may be a name and a number
_PROSE_WORDS = 10  # of a text that has hardly a word of grammar, and so is in no known language
_FEWEST_HITS = 0.12  # of the words of a text, those of grammar
_KANA_SHARE = 0.15
_CLEAR = 1.15  # times as many words of grammar as the next language
_stemming = Lock()  # a stemmer keeps the word that it is working on


@dataclass(frozen=True, eq=False)
class Language:
    """The words of grammar of one language, as `languages.json` has them."""

    code: str
    lists: Mapping[str, Any]

    @property
    def is_unspaced(self) -> bool:
        """It is written without spaces between words."""
        return self.code in _UNSPACED

    @cached_property
    def function(self) -> frozenset[str]:
        return frozenset(self.lists["function"].split())

    @cached_property
    def first(self) -> frozenset[str]:
        return frozenset(self.lists["first"].split())

    @cached_property
    def second(self) -> frozenset[str]:
        return frozenset(self.lists["second"].split())

    @cached_property
    def asks(self) -> frozenset[str]:
        return frozenset(self.lists["asks"].split())

    @cached_property
    def says(self) -> re.Pattern[str]:
        """Words by which a question states something: `did you know`."""
        return self.match_any(self.lists["says"].split("|"))

    @cached_property
    def offers(self) -> re.Pattern[str]:
        """Words by which a question offers something: `can I give you`, and not `can I help you`."""
        return re.compile(self.lists["offers"])

    @cached_property
    def greetings(self) -> frozenset[str]:
        return frozenset(self.lists["greetings"].split("|"))

    @cached_property
    def polite(self) -> frozenset[str]:
        """Stems of the words of greetings."""
        return frozenset(self.stem(word) for phrase in self.greetings for word in phrase.split())

    @cached_property
    def negations(self) -> re.Pattern[str]:
        if self.is_unspaced:
            return self.match_any(self.lists["negations"].split("|"))
        words, *phrases = self.lists["negations"].split("|")
        return self.match_any([*words.split(), *phrases])

    @cached_property
    def not_negations(self) -> re.Pattern[str]:
        """Phrases that have a negation and mean none: `no later than`."""
        return re.compile(self.lists["not_negation"] or r"(?!)", re.IGNORECASE)

    @cached_property
    def yes_or_no(self) -> re.Pattern[str]:
        """Beginnings of questions that ask for yes or no."""
        return re.compile(self.lists["asks_yes_or_no"])

    @cached_property
    def more_than_yes_or_no(self) -> re.Pattern[str]:
        """Words of questions that ask for more."""
        return re.compile(self.lists["asks_more"])

    @cached_property
    def marks(self) -> Mapping[str, re.Pattern[str]]:
        return {name: self.match_any(phrases.split("|")) for name, phrases in self.lists["marks"].items()}

    @cached_property
    def connectives(self) -> Mapping[str, re.Pattern[str]]:
        """Words that join a condition or a time."""
        times = {kind: self.match_any(self.lists[f"joins_{kind}"].split("|")) for kind in ("before", "after")}
        return {**{kind: self.marks[kind] for kind in ("even", "unless", "if")}, **times}

    @cached_property
    def articles(self) -> re.Pattern[str]:
        """An article or a possessive at the end of a text."""
        return re.compile(rf"(?<!\w)(?:{'|'.join(self.lists['articles'].split())})\W\Z", re.IGNORECASE)

    @cached_property
    def passive(self) -> re.Pattern[str]:
        return self.match_any(self.lists["passive"].split())

    @cached_property
    def logic(self) -> frozenset[str]:
        """
        Words of marks and negations, which turn a sentence; characters in a language without spaces.

        Words such as `a` and `is`, which turn nothing by themselves, are listed as plain.
        """
        written = [*self.lists["marks"].values(), self.lists["negations"]]
        words = {word for phrases in written for word in re.split(r"[\s|]+", phrases)}
        if self.is_unspaced:
            return frozenset(character for word in words for character in word)
        return frozenset(words - self.first - self.second - frozenset(self.lists["plain"].split()))

    @cached_property
    def breaks(self) -> re.Pattern[str]:
        """Places where a clause ends: marks, and before conjunctions."""
        if self.is_unspaced:
            return re.compile(r"[,\uff0c、;\uff1b:\uff1a()\uff08\uff09。]+")
        words = "|".join(sorted(self.lists["breaks"].split(), key=len, reverse=True))
        return re.compile(rf"[,;:()]+\s+|\s+[-\u2013\u2014]+\s+|[()]|\s+(?=(?:{words})\b)", re.IGNORECASE)

    @cached_property
    def openers(self) -> Mapping[str, re.Pattern[str]]:
        """Words at the beginning of an answer that mean yes, no or that it depends."""
        return {name: self._match_first(self.lists[name].split("|")) for name in ("yes", "no", "depends")}

    @cached_property
    def refusals(self) -> re.Pattern[str]:
        return self.match_any(self.lists["refusals"].split("|"))

    @lru_cache(maxsize=64)  # noqa: B019 - languages live as long as the process
    def words(self, name: str) -> frozenset[str]:
        """
        Return the words of a list.

        `agents` are prepositions before the one who does what a passive says, and `subjects` articles that
        only a subject has, where the order of words is free.
        """
        return frozenset(self.lists[name].split())

    @lru_cache(maxsize=64)  # noqa: B019 - as above
    def stems(self, name: str) -> frozenset[str]:
        """
        Return the stems of the words of a list.

        `times` are lengths of time, `speech` words of knowing and speaking, `information` nouns for what is
        known, `consults` verbs for calls on others, `faults` nouns for what a program reports when it breaks,
        and `materials` words for documents and what they say.
        """
        return frozenset(map(self.stem, self.words(name)))

    def list_opposites(self, word: str) -> frozenset[str]:
        """Return the opposites of a folded word by its prefix, and in English those of `opposites_of`."""
        prefixes = self.lists["prefixes"].split()
        by_prefix = {form for prefix in prefixes for form in (prefix + word, word.removeprefix(prefix))}
        return frozenset(by_prefix - {word}).union(opposites_of(word) if self.code == "en" else ())

    def oppose(self, word: str) -> frozenset[str]:
        """Return the stems of a word's opposites."""
        plain = word.casefold()
        own = self.list_opposites(plain).union(self._opposites.get(self.stem(plain), ()))
        return frozenset(map(self.stem, own)) | (own & self.logic)

    @cached_property
    def _opposites(self) -> Mapping[str, set[str]]:
        """The stem of a listed word to its opposites."""
        opposites: dict[str, set[str]] = {}
        for pair in filter(None, self.lists["opposites"].split("|")):
            one, other = pair.split()
            opposites.setdefault(self.stem(one), set()).add(other)
            opposites.setdefault(self.stem(other), set()).add(one)
        return opposites

    @cached_property
    def asks_back(self) -> re.Pattern[str]:
        return self.match_any(self.lists["asksback"].split("|"))

    def match_any(self, phrases: Sequence[str]) -> re.Pattern[str]:
        """Return a pattern of whole words, or of characters in a language without spaces, longest first."""
        joined = "|".join(
            re.escape(phrase).replace(r"\ ", r"\s+") for phrase in sorted(phrases, key=len, reverse=True)
        )
        return re.compile(joined if self.is_unspaced else rf"(?<![\w'])(?:{joined})(?![\w])", re.IGNORECASE)

    def _match_first(self, phrases: Sequence[str]) -> re.Pattern[str]:
        pattern = self.match_any(phrases).pattern
        return re.compile(rf"[\W_]*(?:{pattern})", re.IGNORECASE)

    @lru_cache(maxsize=65_536)  # noqa: B019 - languages live as long as the process
    def stem(self, word: str) -> str:
        """Stem a word by the language's Snowball stemmer."""
        if not self.lists["stemmer"]:
            return word
        with _stemming:
            stemmed: str = self._stemmer.stemWord(word)
        return stemmed

    @cached_property
    def _stemmer(self) -> Any:
        from pytest_llmops.errors import MissingExtraError

        try:
            from snowballstemmer import stemmer
        except ModuleNotFoundError:
            raise MissingExtraError("the metric supported", "local") from None
        return stemmer(self.lists["stemmer"])


@lru_cache(maxsize=1)
def _lists() -> Mapping[str, Mapping[str, Any]]:
    written = files("pytest_llmops.metrics").joinpath("languages.json").read_text("utf-8")
    lists: Mapping[str, Mapping[str, Any]] = json.loads(written)
    return lists


@lru_cache(maxsize=1)
def known_languages() -> Mapping[str, Language]:
    """Return the languages that can be read, by code."""
    return {code: Language(code, lists) for code, lists in _lists().items() if code != "other"}


@lru_cache(maxsize=1)
def _function_words() -> Mapping[str, Mapping[str, int]]:
    """
    Return words of grammar of all languages with Latin letters, also of those that cannot be read.

    Each has its place in the list; those of languages that can be read begin with articles.
    """
    known = {code: lists["function"] for code, lists in _lists().items() if code not in {"other", *_UNSPACED}}
    listed = {**known, **_lists()["other"]}
    return {code: {word: at for at, word in enumerate(words.split())} for code, words in listed.items()}


UNKNOWN = "?"
"""The code of a text in a language of which nothing is known."""


def count_words_apart(text: str, code: str, other: str) -> int:
    """Return how many words of grammar a text has that only the one language has, less those of the other."""
    mine, theirs = (_function_words().get(name, {}).keys() for name in (code, other))
    words = [word for word in _WORD.findall(fold_typography(text).casefold()) if len(word) > 1]
    return sum((word in mine - theirs) - (word in theirs - mine) for word in words)


@lru_cache(maxsize=16_384)
def detect_language(text: str) -> str:
    """
    Return the code of a text's language, by its script and then by its words of grammar.

    Empty if it has too few words to tell, `?` if it is none that is known.
    """
    folded = fold_typography(text).casefold()
    letters = len(_LETTER.findall(folded))
    if not letters:
        return ""
    han, kana = len(_HAN.findall(folded)), len(_KANA.findall(folded))
    if (han + kana) * 3 > letters:  # a name in Latin letters may be longer than the sentence round it
        return "ja" if kana >= _KANA_SHARE * (han + kana) else "zh"
    if len(_LATIN.findall(folded)) * 2 < letters:
        return UNKNOWN
    words = [word for word in _WORD.findall(folded) if len(word) > 1]  # a letter may be a symbol
    known = _function_words()
    hits = Counter({code: sum(word in own for word in words) for code, own in known.items()})
    best, most = hits.most_common(1)[0]
    if len(words) < _FEWEST_WORDS:
        return _only_one([code for code in hits if hits[code] == most]) if most else ""
    if most < _FEWEST_HITS * len(words):
        return UNKNOWN if len(words) >= _PROSE_WORDS and _is_prose(text) else ""
    shared = known[best].keys() & set(words)
    tied = [code for code in hits if shared == known[code].keys() & set(words)]
    if len(shared) > 1:  # `le` and `de` are French before they are Spanish
        best = min(
            tied, key=lambda code: (code not in known_languages(), sum(known[code][word] for word in shared))
        )
    else:
        best = _only_one(tied)
    next_most = max(count for code, count in hits.items() if code not in tied)
    return best if most > 1 and most >= _CLEAR * next_most else ""


def _only_one(codes: Sequence[str]) -> str:
    """Return the code, or the only one of a readable language: `is` is English before it is Dutch."""
    readable = [code for code in codes if code in known_languages()]
    return next(iter(codes if len(codes) == 1 else readable if len(readable) == 1 else ()), "")


def _is_prose(text: str) -> bool:
    """Return whether a text has no figures and hardly a capital: it is no list of names and values."""
    folded = fold_typography(text)
    capitals = sum(letter.isupper() for letter in folded)
    return capitals <= len(folded.split()) / 3 and not any(map(str.isdigit, folded))
