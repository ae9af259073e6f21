"""An answer read for a change: its prose, its sentences by weight, and the texts that it is held against."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import TypeVar

from pytest_llmops.features.mutate.languages import Language, detect_language, read_language
from pytest_llmops.metrics.facts.values import read_values
from pytest_llmops.metrics.faithfulness.sentences import Sentence, split_sentences
from pytest_llmops.metrics.words import FUNCTION_WORDS
from pytest_llmops.text.characters import fold
from pytest_llmops.text.words import split_words

READ_AT_MOST = 12_000
"""Characters of an answer in which a place to change is looked for; the rest stays as it is."""
_SOURCES_AT_MOST = 40_000
_PIECE = 1_000  # characters; values are read piece by piece, so that hostile texts cost linear time

_T = TypeVar("_T")

# What is no prose: code, addresses, targets of links, citations, tags, and names with marks in them.
_NO_PROSE = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]{1,400}`|(?<=\]\()[^)\n]{0,400}\)|\bhttps?://\S{1,400}|\bwww\.\S{1,400}"
    r"|(?<![\w.+-])[\w.+-]{1,64}@[\w.-]{1,120}|\[[\w./#:,; -]{1,80}\](?!\()|<[^<>\n]{1,200}>"
    r"|(?<!\w)\w{0,60}_\w{1,60}\([^()\n]{0,200}\)|(?<!\w)[A-Za-z]{1,40}_\w{1,60}",
    re.DOTALL,
)
_CHINESE_END = re.compile(r"(?<=[\u3002\uff01\uff1f])(?=.)", re.DOTALL)
_GERMAN_DAY = re.compile(r"(?<!\d)\d{1,2}\.\Z")
_GERMAN_MONTH = re.compile(r"(?:[Jj]an|Feb|M\u00e4r|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez)[a-z]*\b")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")


def choose(options: Sequence[_T], *key: str) -> _T:
    """Return one of the options by a stable hash of the key."""
    digest = blake2b("\0".join(key).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return options[int.from_bytes(digest, "big") % len(options)]


def order(options: Sequence[_T], *key: str) -> list[_T]:
    """Return the options in an order given by a stable hash of the key: from one of them on, and round."""
    if not options:
        return []
    first = choose(range(len(options)), *key)
    return [*options[first:], *options[:first]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A replacement of a part of a text; `change` says it in short."""

    start: int
    end: int
    new: str
    change: str

    def apply(self, text: str) -> str:
        return text[: self.start] + self.new + text[self.end :]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """
    An answer with what is known of it.

    Attributes:
        text: The answer.
        seed: Decides where several changes are as good.
    """

    text: str
    question: str = ""
    reference: str | None = None
    passages: Sequence[str] = ()
    others: Sequence[str] = ()
    seed: str = ""
    language: Language | None = field(default=None)

    @cached_property
    def prose(self) -> str:
        """The start of the answer, a NUL for each character that is no prose, so that places are kept."""
        return _NO_PROSE.sub(lambda match: "\0" * len(match[0]), self.text[:READ_AT_MOST].replace("\0", " "))

    @cached_property
    def sentences(self) -> list[Sentence]:
        """The sentences, those that share the most words with the reference and the question first."""
        wanted = content_words(self.reference or "")
        asked = content_words(self.question)

        def weight(sentence: Sentence) -> float:
            words = content_words(sentence.text)
            return len(words & wanted) / (len(wanted) or 1) * 2 + len(words & asked) / (len(asked) or 1)

        return sorted(self.in_order, key=lambda sentence: (-round(weight(sentence), 6), sentence.start))

    @cached_property
    def in_order(self) -> list[Sentence]:
        """The sentences in the order of the text."""
        return split_prose(self.prose)

    @cached_property
    def sources(self) -> str:
        """Passages and reference, as far as they are read."""
        return "\n".join([self.reference or "", *self.passages])[:_SOURCES_AT_MOST]

    @cached_property
    def topic(self) -> str:
        """What is asked and known, to tell what a sentence claims from what leads to it."""
        return f"{self.question}\n{self.sources[:READ_AT_MOST]}"

    @cached_property
    def folded_sources(self) -> str:
        return fold(self.sources)

    @cached_property
    def source_numbers(self) -> frozenset[float]:
        """The numbers of the sources, of the question and of the answer."""
        return self.known_numbers | self.question_numbers | numbers_in(self.text[:READ_AT_MOST])

    @cached_property
    def known_numbers(self) -> frozenset[float]:
        """The numbers of the sources; one that the answer has beside them may be wrong already."""
        return numbers_in(self.sources)

    @cached_property
    def question_numbers(self) -> frozenset[float]:
        return numbers_in(self.question)

    @cached_property
    def reference_numbers(self) -> frozenset[float]:
        return numbers_in(self.reference or "")

    def is_stated(self, edit: Edit) -> bool:
        """Return whether the sentence as changed stands in a source."""
        changed = edit.apply(self.text)
        around = changed[max(0, edit.start - 40) : edit.start + len(edit.new) + 40]
        own = next((s for s in self.in_order if s.start <= edit.start < s.end), None)
        if own is not None:
            around = changed[own.start : own.end + len(edit.new) - (edit.end - edit.start)]
        return fold(around).strip(" .") in self.folded_sources


def read_answer(  # noqa: PLR0913 - all that is known of a case, by name
    text: str,
    *,
    question: str,
    reference: str | None,
    passages: Sequence[str],
    others: Sequence[str],
    seed: str,
) -> Reading:
    """Read an answer; its language is that of its prose, else of the question."""
    bare = Reading(text=text)
    code = detect_language(bare.prose, question, reference or "")
    return Reading(
        text=text,
        question=question[:READ_AT_MOST],
        reference=reference[:READ_AT_MOST] if reference else None,
        passages=tuple(passages),
        others=tuple(others),
        seed=seed,
        language=read_language(code) if code else None,
    )


def split_prose(prose: str) -> list[Sentence]:
    """Return the sentences of a text in any script, in order."""
    joined: list[Sentence] = []
    for sentence in split_sentences(prose):
        last = joined[-1] if joined else None
        if last and _GERMAN_DAY.search(last.text) and _GERMAN_MONTH.match(sentence.text):
            joined[-1] = Sentence(text=prose[last.start : sentence.end], start=last.start)
        else:
            joined.append(sentence)
    parts = []
    for sentence in joined:
        start = sentence.start
        for piece in _CHINESE_END.split(sentence.text):
            if any(map(str.isalnum, piece)):
                parts.append(Sentence(text=piece, start=start))
            start += len(piece)
    return parts


def numbers_in(text: str) -> frozenset[float]:
    """Return the numbers of a text, those written as English words included."""
    numbers: set[float] = set()
    for start in range(0, len(text), _PIECE):
        piece = text[start : start + _PIECE + 20]
        numbers.update(value.written for value in read_values(piece))
        numbers.update(number for match in _DIGITS.findall(piece) for number in _readings_of(match))
    return frozenset(numbers)


def _readings_of(digits: str) -> set[float]:
    """Return what digits with commas or points can mean."""
    readings = {digits.replace(",", "").replace(".", "")} if re.search(r"[.,]\d{3}(?!\d)", digits) else set()
    whole, _, part = digits.replace(",", ".").rpartition(".")
    readings.add(f"{whole.replace('.', '')}.{part}" if whole else part)
    return {float(reading[:40]) for reading in readings}


def content_words(text: str) -> set[str]:
    """Return the beginnings of the content words, so that their forms are alike."""
    return {word[:_BEGINNING] for word in split_words(text[:READ_AT_MOST]) if word not in FUNCTION_WORDS}


def holds(text: str, content: str) -> bool:
    """Return whether a text says most of what another says: its yes or no, numbers and half of its words."""
    text, content = text[:_SOURCES_AT_MOST].strip(), content.strip()
    wanted = content_words(content)
    if not wanted:
        return fold(content) in fold(text)
    opening = _OPENING.match(content)
    if opening and text[: len(opening[0])].casefold() != opening[0].casefold():
        return False
    if opening and len(wanted) <= _SHORT:
        return True
    if not numbers_in(content) <= numbers_in(text):
        return False
    pieces = (text[start : start + READ_AT_MOST] for start in range(0, len(text), READ_AT_MOST))
    words = {word for piece in pieces for word in content_words(piece)}
    return len(wanted & words) >= len(wanted) / 2


def begins_with_verdict(text: str) -> bool:
    """Return whether a text begins with yes or no."""
    return _OPENING.match(text.strip()) is not None


def drop_verdict(text: str) -> str:
    """Return a text without the yes or no at its beginning, if it has more to say."""
    rest = _OPENING.sub("", text.strip(), count=1).lstrip(" ,.;:!")
    return rest or text


_OPENING = re.compile(r"\A(?:yes|no|ja|nein|oui|non|s\u00ed)\b", re.IGNORECASE)
_SHORT = 2  # words; of which one is the yes or no
_BEGINNING = 5
