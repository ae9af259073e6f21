"""Sentences of an answer: which are claims, and which may always be said."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import regex

from pytest_llmops.metrics.facts.values import Value, agree, read_values
from pytest_llmops.metrics.faithfulness.sentences import drop_citations, drop_opener, split_sentences
from pytest_llmops.metrics.language import Language
from pytest_llmops.metrics.support.reading import Reading
from pytest_llmops.text.characters import fold
from pytest_llmops.text.words import split_words

_EMPHASIS = re.compile(r"\*\*|__|`")
_END = regex.compile(r"(?<=[。\uff01\uff1f｡])[」』\u201d\uff09)]*|(?<=[.!?])\s+(?=[\p{Lo}¿¡])|\n+")
_QUESTION = re.compile(r"[?\uff1f][\"'\u201d\u2019」』)]*\s*\Z")
_NAMED_GREETING = re.compile(
    r"(?:dear|hello|hi|hallo|bonjour|hola|liebe|lieber|guten tag|querido|cher|chère)\s+\w+\Z"
)
_AFTER_VERDICT = re.compile(r"\s*[,\uff0c、;:.。!\uff01]\s*")
_TAG = re.compile(r",\s*(?!please\b|bitte\b|por favor\b)\w+(?:[' ]\w+){0,2}\s*\?*\Z")  # `…, isn't it?`
_HEADING_WORDS = 3
_SAYS_NOTHING = 4  # words of a sentence that has no content word, such as `Yes, you can.`
_DECIMAL = re.compile(r"\d{1,12}(?:\.\d{1,12})?")
_WILDCARD = "*"
_WILDCARDS_AT_MOST = 8


def split(text: str) -> list[str]:
    """Return the sentences of a text without marks of citations; lines and items of a list are some, too."""
    plain = _EMPHASIS.sub("", drop_citations(text))
    return [
        sentence.text
        for piece in _END.split(plain)
        if piece.strip()
        for sentence in split_sentences(piece.strip())
    ]


def is_claim(sentence: str, language: Language, known_values: Sequence[Value] | None = None) -> bool:
    """
    Return whether a sentence says something that a source must support.

    Greetings, plain questions and headings of few words say nothing; all else is a claim.

    Args:
        known_values: Values of the user's question; a question of the answer with another one is a claim.
            By default none is.
    """
    folded = fold(sentence).strip(" .,;:!-\u2013\u2014·*#")
    if not folded or folded in language.greetings or _NAMED_GREETING.match(folded):
        return False
    if _QUESTION.search(sentence):
        return not _is_plain_question(folded, language) or (
            known_values is not None and _adds_value(folded, known_values)
        )
    is_heading = sentence.rstrip().endswith((":", "\uff1a"))
    if is_heading and not any(map(str.isdigit, folded)) and not language.negations.search(folded):
        content = [word for word in split_words(folded) if word not in language.function]
        quantified = any(pattern.search(folded) for pattern in language.marks.values())
        return len(content) > _HEADING_WORDS or quantified or language.is_unspaced
    return True


def is_bare_opener(sentence: str, language: Language, *, is_first: bool) -> bool:
    """Return whether a sentence is only an opener: `No.`, or in English also a later `I think`."""
    if language.code == "en":
        return not drop_opener(sentence)
    folded = fold(sentence).strip(" .!,。\uff01\uff0c、")
    return is_first and any(language.openers[name].fullmatch(folded) for name in ("yes", "no"))


def begins_with_no(sentence: str, language: Language) -> bool:
    """Return whether a sentence begins with a no."""
    return bool(language.openers["no"].match(fold(sentence)))


def has_content(reading: Reading) -> bool:
    """Return whether a sentence has a content word, or so many others that it says something all the same."""
    return bool(reading.tokens) or len(reading.words) > _SAYS_NOTHING


def drop_verdict(sentence: str, language: Language) -> str:
    """Drop a `yes,` or `no,` before a sentence, which stays as it is if nothing else is left."""
    if language.code == "en":
        return drop_opener(sentence) or sentence
    for name in ("yes", "no"):
        if (match := language.openers[name].match(sentence)) and (
            rest := _AFTER_VERDICT.match(sentence, match.end())
        ):
            return sentence[rest.end() :] or sentence
    return sentence


def _is_plain_question(folded: str, language: Language) -> bool:
    """Return whether a question asks only: `did you know that …?` and `can I offer you …?` do not."""
    if language.says.search(folded) or language.offers.search(folded) or _TAG.search(folded):
        return False
    if language.is_unspaced:
        return any(word in folded for word in language.asks)
    return any(word in language.asks for word in split_words(folded)[:2])


def _adds_value(folded: str, known_values: Sequence[Value]) -> bool:
    return any(not any(agree(value, other) for other in known_values) for value in read_values(folded))


@dataclass(frozen=True, slots=True)
class Allowed:
    """
    A sentence that the app may always say; `*` stands for words of one source, or values of a call.

    Attributes:
        parts: The text between wildcards, folded.
        of: The calls whose values fill it: `pending`, `error`, or empty for those that succeeded.
    """

    parts: tuple[str, ...]
    of: str = ""

    @classmethod
    def read(cls, written: str, of: str = "") -> Allowed:
        """
        Raises:
            ValueError: It has no words of its own, or too many wildcards.
        """
        parts = tuple(_normalise(part, at) for at, part in enumerate(_squash(written).split(_WILDCARD)))
        if len(parts) > _WILDCARDS_AT_MOST + 1:
            raise ValueError(f"{written!r} has more than {_WILDCARDS_AT_MOST} wildcards")
        if any(not part.strip() for part in parts[1:-1]):
            raise ValueError(f"{written!r} has two wildcards in a row")
        if not any(character.isalpha() for part in parts for character in part):
            raise ValueError(f"{written!r} would allow any sentence; write the words that stay the same")
        return cls(parts, of)

    def match(self, sentence: str) -> list[str] | None:
        """
        Return the words that the wildcards stand for, or None.

        Each part is looked for once, from left to right, so that the time does not depend on the pattern.
        """
        text = _squash(sentence)
        first, *rest = self.parts
        if not rest:
            return [] if text == first.strip() else None
        first = first.lstrip()
        if not text.startswith(first):
            return None
        at, filled = len(first), []
        for part in rest[:-1]:
            place = text.find(part, at + 1)
            if place < 0:
                return None
            filled.append(text[at:place])
            at = place + len(part)
        last = rest[-1].rstrip()
        if not text.endswith(last) or len(text) - len(last) <= at:
            return None
        filled.append(text[at : len(text) - len(last)])
        return filled


def _squash(sentence: str) -> str:
    """Fold, and drop the stop at the end."""
    return fold(sentence).strip(" .!。\uff01")


def _normalise(part: str, at: int) -> str:
    folded = " ".join(fold(part).split())
    before = " " if part[:1].isspace() and at else ""
    after = " " if part[-1:].isspace() else ""
    return f"{before}{folded}{after}" if folded else ""


def list_words(text: str) -> list[str]:
    """Return the words of a text, numbers without zeros at their end: `88.00` is `88.0`."""
    words = split_words(text)
    return [f"{float(word):g}" if _DECIMAL.fullmatch(word) else word for word in words]


def find_allowed(
    sentence: str, allowed: Sequence[Allowed], may_fill: Callable[[str, Sequence[list[str]]], bool]
) -> bool:
    """
    Return whether a sentence is allowed.

    Args:
        may_fill: Whether the words in place of each wildcard may stand there, by `Allowed.of`.
    """
    for pattern in allowed:
        filled = pattern.match(sentence)
        if filled is None:
            continue
        if not filled or may_fill(pattern.of, [list_words(part) for part in filled]):
            return True
    return False
