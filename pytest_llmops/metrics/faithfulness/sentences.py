"""
Sentences of a text, their words, names, numbers and polarity, and their opposites; lists: `english.json`.

The weights of `model.json` were fitted to these readings, so a change here needs new weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.metrics.words import FUNCTION_WORDS

if TYPE_CHECKING:
    from snowballstemmer import stemmer as Stemmer  # noqa: N812  # its factory, for the annotation

_ENGLISH: Mapping[str, Any] = json.loads(
    files("pytest_llmops.metrics.faithfulness").joinpath("english.json").read_text("utf-8")
)
NEGATIONS = frozenset(_ENGLISH["negations"].split())
AUXILIARIES = frozenset(_ENGLISH["auxiliaries"].split())
NUMBER_WORDS: Mapping[str, str] = _ENGLISH["numbers"]
HEADING = 0.7
"""The share of words with a capital from which on capitals make no name."""

# A stop, what may close after it, white space, and something that can begin a sentence. Tokenized
# corpora put a space before the stop and write in lower case; there a stop counts only with that space.
_END = re.compile(
    r"""(?<=[.!?…])(["')\]\u201d\u2019]*)\s+(?=["'(\[\u201c\u2018]?[A-Z0-9])"""
    r"""|(?<=\s[.!?])\s+|(?<=[!?])\s+|(?<![ \t])[ \t]*\n\s*"""
)
_ABBREVIATIONS = frozenset(_ENGLISH["abbreviations"].split())
_BEFORE_NUMBERS = frozenset(_ENGLISH["before_numbers"].split())
_ITEM = re.compile(r"\(?(?:\d{1,2}|[a-z])[.)]")
_LONGEST_WORD = 40
_LAST_WORD = re.compile(r"([\w.]+)\.[\"')\]\u201d\u2019]*\s*\Z")
_MARK = re.compile(r"^\s*(?:[-*•#>]+|\(?\d{1,2}[.)]|\(?[a-z]\))\s+")
_LETTER_OR_DIGIT = re.compile(r"\w")
_LONGEST = 1_200  # characters; a longer sentence is a table or a list, and is cut at white space


def _join_phrases(name: str) -> str:
    """Return the phrases of a list as alternatives of a pattern, the longest first, with any apostrophe."""
    phrases = sorted(_ENGLISH[name], key=len, reverse=True)
    return "|".join(
        re.escape(phrase).replace("n't", r"\s?n't").replace("'", r"\s?['\u2019]").replace(r"\ ", r"\s+")
        for phrase in phrases
    )


_INTERJECTION = re.compile(
    rf"(?:{_join_phrases('interjections')})(?=\s*[,.!;:]|\s+(?:and|but|yes|yeah|no|well)\b|\s*\Z)",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    rf"(?:{_join_phrases('hedges')})(?:\s*,)?(?:\s+(?:but|that|and))?(?:\s*[,:])?(?=\s|\Z)", re.IGNORECASE
)
_CITATION = re.compile(r"\s?(?<!\w)\[[\w./#:,;-]{1,80}\]")
_BETWEEN = re.compile(r"[\s,.!;:]*(?:(?:and|but)\b[\s,]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence and its place in the text, in characters."""

    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def split_sentences(text: str) -> list[Sentence]:
    """Return the sentences of a text, in order; items of a list and lines are sentences, too."""
    sentences: list[Sentence] = []
    start = 0
    cuts = [(match.end(1) if match[1] else match.start(), match.end()) for match in _END.finditer(text)]
    for end, following in [*cuts, (len(text), len(text))]:
        if end == len(text) or not _continues(text[start:end], text[following : following + 1]):
            sentences.extend(_trim(text, start, end))
            start = following
    return sentences


def _continues(piece: str, following: str) -> bool:
    """Return whether the stop that ends a piece belongs to an abbreviation, or to the number of an item."""
    if _ITEM.fullmatch(piece.strip()):
        return True
    match = _LAST_WORD.search(piece[-_LONGEST_WORD:])
    if match is None:
        return False
    word = match[1].lower()
    before_number = word in _BEFORE_NUMBERS and following.isdigit()
    return before_number or word in _ABBREVIATIONS or bool(re.fullmatch(r"[A-Z]", match[1]))


def _trim(text: str, start: int, end: int) -> Iterator[Sentence]:
    """Yield the piece without white space and marks of a list, in parts if it is long; nothing of no word."""
    if mark := _MARK.match(text[start:end]):
        start += mark.end()
    while start < end:
        stop = end
        if end - start > _LONGEST:
            stop = text.rfind(" ", start + _LONGEST // 2, start + _LONGEST)
            stop = stop if stop > 0 else start + _LONGEST
        piece = text[start:stop]
        if _LETTER_OR_DIGIT.search(piece):
            yield Sentence(text=piece.strip(), start=start + len(piece) - len(piece.lstrip()))
        start = stop


def drop_opener(sentence: str) -> str:
    """
    Drop the parts of a sentence that claim nothing: openers (`Yes,`, `I think that`, `According to it,`) and
    marks of citations (`[2]`, `[returns#window]`).

    Empty if nothing is left.
    """
    rest = drop_citations(sentence).strip()
    while match := _INTERJECTION.match(rest) or _HEDGE.match(rest):
        rest = rest[match.end() :]
        between = _BETWEEN.match(rest)
        rest = rest[between.end() :] if between else rest
    return rest if _LETTER_OR_DIGIT.search(rest) else ""


def drop_citations(text: str) -> str:
    """Drop marks such as `[2]` and `[returns#window]`."""
    return _CITATION.sub("", text)


_WORD = re.compile(r"\d+(?:st|nd|rd|th)\b|\d+(?:[.,:]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)?|[^\W_]+")
_PAIRS = tuple((up, down) for up, down in map(str.split, _ENGLISH["opposites"]))
_RISING = frozenset(up for up, _ in _PAIRS)
_FALLING = frozenset(down for _, down in _PAIRS) - _RISING
_OPPOSITES = {word: other for pair in reversed(_PAIRS) for word, other in (pair, pair[::-1])}
_OPPOSITES_OF: dict[str, list[str]] = {}
for _up, _down in _PAIRS:
    _OPPOSITES_OF.setdefault(_up, []).append(_down)
    _OPPOSITES_OF.setdefault(_down, []).append(_up)
_FIRST_PERSON = frozenset(_ENGLISH["first_person"].split())
_CALENDAR = frozenset(_ENGLISH["calendar"].split())
_ALSO_WORDS = frozenset({"one", "zero"})  # as in "no one": no number that an answer must support
_IRREGULAR = {"can't": "can", "won't": "will"}
_ORDINAL_END = re.compile(r"(\d+)(?:st|nd|rd|th)\Z")
_OPPOSED_AT_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """
    A sentence's words.

    Attributes:
        stems: Of the content words, in order; numbers as digits.
        neighbours: Pairs of content words that follow each other.
        names: Stems of the words with a capital inside the sentence.
        numbers: As digits; months and days of the week by name.
        negated: It has a negation, or several.
        direction: 1 if it speaks of more than of less (rise, high, allow), -1 for the other way, else 0.
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
    """Read the words of one sentence."""
    written = _WORD.findall(re.sub(r"n't\b", " not", sentence.replace("\u2019", "'")))
    lower = [word.lower() for word in written]
    content = [word for word in lower if word not in FUNCTION_WORDS and word not in NEGATIONS]
    stems = tuple(_number(word) or _stem(word.removesuffix("'s")) for word in content)
    is_heading = sum(word[:1].isupper() for word in written) >= HEADING * len(written)
    named = [word.lower() for word in written[1:] if word[0].isupper() and not is_heading]
    numbers = {word if word in _CALENDAR else _number(word) for word in lower if word not in _ALSO_WORDS}
    rising = sum(word in _RISING for word in lower) - sum(word in _FALLING for word in lower)
    return Wording(
        stems=stems,
        neighbours=frozenset(pairwise(stems)),
        names=frozenset(_stem(word.removesuffix("'s")) for word in named if word not in FUNCTION_WORDS),
        numbers=frozenset(numbers - {""}),
        negated=not NEGATIONS.isdisjoint(lower),
        direction=(rising > 0) - (rising < 0),
        speaks_of_self=not _FIRST_PERSON.isdisjoint(lower),
        asks=sentence.rstrip("\"')]\u201d\u2019 ").endswith("?"),
    )


def oppose(sentence: str) -> list[str]:
    """
    Return opposites of the sentence: one for each of the first few words that have one, and its negation.

    Evidence that is nearer to one of these than to the sentence contradicts it.
    """
    parts = re.findall(r"\w+(?:['\u2019]\w+)?|\W+", sentence)
    lower = [part.lower().replace("\u2019", "'") for part in parts]
    opposed = []
    for at in [at for at, word in enumerate(lower) if word in _OPPOSITES][:_OPPOSED_AT_MOST]:
        opposite = _OPPOSITES[lower[at]]
        if parts[at][:1].isupper():
            opposite = opposite.capitalize()
        opposed.append("".join([*parts[:at], opposite, *parts[at + 1 :]]))
    return [*opposed, _negate(sentence, parts, lower)]


def opposites_of(word: str) -> Sequence[str]:
    """Return the opposites of a word, folded, as `english.json` pairs them."""
    return _OPPOSITES_OF.get(word, ())


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


def _number(word: str) -> str:
    """Return digits without separators and endings; empty for any other word."""
    if match := _ORDINAL_END.match(word):
        return match[1]
    return word.replace(",", "") if word[0].isdigit() else NUMBER_WORDS.get(word, "")


_stemming = Lock()  # a stemmer keeps the word that it is working on


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    """Stem a word by Porter's second English stemmer (Snowball)."""
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
