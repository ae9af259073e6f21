"""What a sentence says by its words: content, names, numbers, negation, direction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.metrics.faithfulness.english import load_english
from pytest_llmops.metrics.words import FUNCTION_WORDS

if TYPE_CHECKING:
    from snowballstemmer import stemmer as Stemmer  # noqa: N812  # its factory, for the annotation

_WORD = re.compile(r"\d+(?:st|nd|rd|th)\b|\d+(?:[.,:]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?|[^\W_]+")
_ENGLISH = load_english()
NEGATIONS = frozenset(_ENGLISH["negations"].split())
_PAIRS = tuple((up, down) for up, down in map(str.split, _ENGLISH["opposites"]))
_RISING = frozenset(up for up, _ in _PAIRS)
_FALLING = frozenset(down for _, down in _PAIRS) - _RISING
OPPOSITES = {word: other for pair in reversed(_PAIRS) for word, other in (pair, pair[::-1])}
AUXILIARIES = frozenset(_ENGLISH["auxiliaries"].split())
_FIRST_PERSON = frozenset(_ENGLISH["first_person"].split())
_CALENDAR = frozenset(_ENGLISH["calendar"].split())
_NUMBERS: Mapping[str, str] = _ENGLISH["numbers"]
_ALSO_WORDS = frozenset({"one", "zero"})  # as in "no one": no number that an answer is held to
_IRREGULAR = {"can't": "can", "won't": "will"}
_ORDINAL_END = re.compile(r"(\d+)(?:st|nd|rd|th)\Z")
_OPPOSED_AT_MOST = 3
_HEADING = 0.7  # share of words with a capital, from which on capitals make no name


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """
    A sentence's words.

    Attributes:
        stems: Of the content words, in order; numbers as digits.
        neighbours: Pairs of content words that follow each other.
        names: Stems of the words with a capital inside the sentence.
        numbers: As digits; months and days of the week by name.
        direction: 1 where it speaks of more than of less (rise, high, allow), -1 the other way, else 0.
        speaks_of_self: In the first person.
    """

    stems: tuple[str, ...]
    neighbours: frozenset[tuple[str, str]]
    names: frozenset[str]
    numbers: frozenset[str]
    negated: bool
    direction: int
    speaks_of_self: bool
    asks: bool


@lru_cache(maxsize=16_384)
def read_wording(sentence: str) -> Wording:
    """The words of one sentence."""
    written = _split(sentence)
    lower = [word.lower() for word in written]
    content = [word for word in lower if word not in FUNCTION_WORDS and word not in NEGATIONS]
    stems = tuple(_number(word) or _stem(word.removesuffix("'s")) for word in content)
    capitals = sum(word[:1].isupper() for word in written)
    named = [
        word.lower()
        for at, word in enumerate(written)
        if at and word[0].isupper() and capitals < _HEADING * len(written)
    ]
    rising = sum(word in _RISING for word in lower) - sum(word in _FALLING for word in lower)
    return Wording(
        stems=stems,
        neighbours=frozenset(pairwise(stems)),
        names=frozenset(_stem(word.removesuffix("'s")) for word in named if word not in FUNCTION_WORDS),
        numbers=frozenset(_numbers(lower)),
        negated=any(word in NEGATIONS for word in lower),
        direction=(rising > 0) - (rising < 0),
        speaks_of_self=any(word in _FIRST_PERSON for word in lower),
        asks=sentence.rstrip("\"')]\u201d\u2019 ").endswith("?"),
    )


def oppose(sentence: str) -> list[str]:
    """
    The sentence turned into its opposite, for the first few words that have one, and by its negation.

    Where the evidence is nearer to one of these than to the sentence, it says the opposite of it.
    """
    parts = re.findall(r"\w+(?:['\u2019]\w+)?|\W+", sentence)
    lower = [part.lower().replace("\u2019", "'") for part in parts]
    places = [at for at, word in enumerate(lower) if word in OPPOSITES][:_OPPOSED_AT_MOST]
    opposed = [
        "".join([*parts[:at], _as_written(OPPOSITES[lower[at]], parts[at]), *parts[at + 1 :]])
        for at in places
    ]
    return [*opposed, _negate(sentence, parts, lower)]


def _negate(sentence: str, parts: Sequence[str], lower: Sequence[str]) -> str:
    for at, word in enumerate(lower):
        if word in {"not", "never", "no"}:
            return "".join([*parts[:at], *parts[at + 2 :]])
        if word.endswith("n't"):
            return "".join([*parts[:at], _IRREGULAR.get(word, parts[at][:-3]), *parts[at + 1 :]])
    for at, word in enumerate(lower):
        if word in AUXILIARIES and (at == 0 or parts[at].islower()):  # not the month of May
            return "".join([*parts[: at + 1], " not", *parts[at + 1 :]])
    return f"It is not true that {sentence[:1].lower()}{sentence[1:]}"


def _as_written(word: str, instead_of: str) -> str:
    return word.capitalize() if instead_of[:1].isupper() else word


def _split(sentence: str) -> list[str]:
    plain = sentence.replace("\u2019", "'")
    return _WORD.findall(re.sub(r"n't\b", " not", plain))


def _numbers(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word in _CALENDAR:
            yield word
        elif word not in _ALSO_WORDS and (number := _number(word)):
            yield number


def _number(word: str) -> str:
    """Digits without separators and endings; empty for what is no number."""
    if matched := _ORDINAL_END.match(word):
        return matched[1]
    return word.replace(",", "") if word[0].isdigit() else _NUMBERS.get(word, "")


_stemming = Lock()


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    """Porter's second English stemmer (Snowball), which keeps the word that it works on."""
    with _stemming:
        stemmed: str = _stemmer().stemWord(word)
    return stemmed


@lru_cache(maxsize=1)
def _stemmer() -> Stemmer:
    try:
        from snowballstemmer import stemmer
    except ModuleNotFoundError:
        raise MissingExtraError("the embedded faithfulness scorer", "local") from None
    return stemmer("english")
