"""Texts cut into sentences: an answer's are its claims, a context's are what could support them."""

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


@lru_cache(maxsize=1)
def load_english() -> dict[str, Any]:
    """Name to words, separated by blanks; `opposites` are pairs, the first of which is the more."""
    lists: dict[str, Any] = json.loads(
        files("pytest_llmops.metrics.faithfulness").joinpath("english.json").read_text("utf-8")
    )
    return lists


def join_phrases(name: str) -> str:
    """The phrases of a list as alternatives of a pattern, the longest first, however an apostrophe is set."""
    phrases = sorted(load_english()[name], key=len, reverse=True)
    return "|".join(
        re.escape(phrase).replace("n't", r"\s?n't").replace("'", r"\s?['\u2019]").replace(r"\ ", r"\s+")
        for phrase in phrases
    )


# A stop, what may close after it, white space, and something that can begin a sentence. Tokenized
# corpora put a space before the stop and write in lower case; there a stop is one when it stands alone.
_END = re.compile(
    r"""(?<=[.!?…])(["')\]\u201d\u2019]*)\s+(?=["'(\[\u201c\u2018]?[A-Z0-9])"""
    r"""|(?<=\s[.!?])\s+|(?<=[!?])\s+|(?<![ \t])[ \t]*\n\s*"""
)
_ABBREVIATIONS = frozenset(load_english()["abbreviations"].split())
_BEFORE_NUMBERS = frozenset(load_english()["before_numbers"].split())
_ITEM = re.compile(r"\(?(?:\d{1,2}|[a-z])[.)]")
_LONGEST_WORD = 40
_LAST_WORD = re.compile(r"([\w.]+)\.[\"')\]\u201d\u2019]*\s*\Z")
_MARK = re.compile(r"^\s*(?:[-*•#>]+|\(?\d{1,2}[.)]|\(?[a-z]\))\s+")
_LETTER_OR_DIGIT = re.compile(r"\w")
_LONGEST = 1_200  # characters; what is longer is a table or a list, and is cut at white space


_INTERJECTION = re.compile(
    rf"(?:{join_phrases('interjections')})(?=\s*[,.!;:]|\s+(?:and|but|yes|yeah|no|well)\b|\s*\Z)",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    rf"(?:{join_phrases('hedges')})(?:\s*,)?(?:\s+(?:but|that|and))?(?:\s*[,:])?(?=\s|\Z)", re.IGNORECASE
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
    """The sentences of a text, in order; items of a list and lines are sentences of their own."""
    sentences: list[Sentence] = []
    start = 0
    for end, following in [*_cuts(text), (len(text), len(text))]:
        if end < len(text) and _goes_on(text[start:end], text[following : following + 1]):
            continue
        sentences.extend(_kept(text, start, end))
        start = following
    return sentences


def drop_opener(sentence: str) -> str:
    """
    The sentence without what claims nothing: what opens it (`Yes,`, `I think that`, `According to it,`),
    and marks of citations (`[2]`, `[returns#window]`).

    Empty where nothing else is said.
    """
    rest = drop_citations(sentence).strip()
    while match := _INTERJECTION.match(rest) or _HEDGE.match(rest):
        rest = rest[match.end() :]
        between = _BETWEEN.match(rest)
        rest = rest[between.end() :] if between else rest
    return rest if _LETTER_OR_DIGIT.search(rest) else ""


def drop_citations(text: str) -> str:
    """The text without marks such as `[2]` and `[returns#window]`."""
    return _CITATION.sub("", text)


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    """Where a sentence ends, with the marks that close it, and where the next begins."""
    for match in _END.finditer(text):
        yield match.end(1) if match[1] else match.start(), match.end()


def _goes_on(piece: str, following: str) -> bool:
    """Whether the stop at the end of a piece belongs to an abbreviation, or to the number of an item."""
    if _ITEM.fullmatch(piece.strip()):
        return True
    matched = _LAST_WORD.search(piece[-_LONGEST_WORD:])
    if matched is None:
        return False
    word = matched[1].lower()
    before_number = word in _BEFORE_NUMBERS and following.isdigit()
    return before_number or word in _ABBREVIATIONS or bool(re.fullmatch(r"[A-Z]", matched[1]))


def _kept(text: str, start: int, end: int) -> Iterator[Sentence]:
    """The piece without white space and marks of a list, cut where it is too long; nothing of no word."""
    if mark := _MARK.match(text[start:end]):
        start += mark.end()
    while start < end:
        stop = end
        if end - start > _LONGEST:
            stop = text.rfind(" ", start + _LONGEST // 2, start + _LONGEST)
            stop = stop if stop > 0 else start + _LONGEST
        piece = text[start:stop]
        inner = piece.strip()
        if _LETTER_OR_DIGIT.search(inner):
            yield Sentence(text=inner, start=start + len(piece) - len(piece.lstrip()))
        start = stop


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
