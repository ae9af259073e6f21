"""
From the model's draft to sentences that a section supports.

A model of 135 million parameters finds the right sentence far more often than it repeats its numbers. So a
draft that a section bears out stays, any other is replaced by the sentence it comes nearest to, and what
the question asks for beyond that is quoted too. Everything here counts shared words; nothing is learnt.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from reference_app.knowledge import Section

MIN_SUPPORT = 0.8  # share of a draft's words that one section must hold for the draft to stay
MIN_WORDS = 3  # a shorter draft ("The answer is 60.") says too little to be checked
MIN_ADDED = 0.15  # share of the question's weight that a second sentence must add

_WORD = re.compile(r"[a-z]+(?:-\d+)?|\d+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_DIGIT = re.compile(r"\d")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be been but by can do does for from has have how i if in is it its may more "
        "must no not of on or our so than that the their them then there these they this to up was we were "
        "what when which will with you your",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence of an answer and the id of the section that bears it out."""

    text: str
    source: str


class Grounding:
    """Knows how rare each word is among the sections: a rare word says more about a sentence's subject."""

    def __init__(self, sections: Sequence[Section]) -> None:
        held = Counter(word for section in sections for word in _words_of(section))
        self._weights = {word: math.log((len(sections) + 1) / (count + 0.5)) for word, count in held.items()}

    def ground(self, draft: str, question: str, sections: Sequence[Section]) -> list[Statement]:
        """
        One or two statements that answer the question.

        Args:
            draft: What the model wrote; only its first sentence counts, small models ramble on.
            question: As the customer put it.
            sections: What the model was shown, at least one, the nearest first.
        """
        quotes = [Statement(text=text, source=one.id) for one in sections for text in split(one.text)]
        headings = {one.id: words(one.heading) for one in sections}
        first = self._keep(split(draft)[0], question, sections)
        if first is None:
            drafted = words(split(draft)[0])
            first = max(quotes, key=lambda quote: self._likeness(drafted, words(quote.text)))
        asked = words(question)
        missing = asked - words(first.text)

        def added(quote: Statement) -> float:
            return self._weigh(missing & (words(quote.text) | headings[quote.source]))

        second = max(quotes, key=added)
        if second.text == first.text or added(second) <= MIN_ADDED * self._weigh(asked):
            return [first]
        return [first, second]

    def _keep(self, sentence: str, question: str, sections: Sequence[Section]) -> Statement | None:
        """The draft itself, if one section holds its words and all its numbers, and it is no echo."""
        said = words(sentence)
        if len(said) < MIN_WORDS or said <= words(question):
            return None
        best = max(sections, key=lambda section: len(said & _words_of(section)))
        missing = said - _words_of(best)
        if len(missing) > (1 - MIN_SUPPORT) * len(said) or any(_DIGIT.search(word) for word in missing):
            return None
        return Statement(text=sentence, source=best.id)

    def _likeness(self, one: AbstractSet[str], other: AbstractSet[str]) -> float:
        """F1 of shared words by weight, 0 to 1."""
        total = self._weigh(one) + self._weigh(other)
        return 2 * self._weigh(one & other) / total if total else 0.0

    def _weigh(self, chosen: AbstractSet[str]) -> float:
        # Summed in a fixed order: sets are ordered anew in each process, and ties must fall alike.
        return sum(self._weights.get(word, 0.0) for word in sorted(chosen))


def words(text: str) -> set[str]:
    """Lower-case words and numbers without those that every sentence has; plurals lose their s."""
    return {
        word[:-1] if word.endswith("s") and len(word) > 3 else word  # noqa: PLR2004 - `gas` is no plural
        for word in _WORD.findall(text.lower())
        if word not in _STOP
    }


def split(text: str) -> list[str]:
    """The sentences of the text, at least one, white space made single."""
    return _SENTENCE_END.split(" ".join(text.split()))


def _words_of(section: Section) -> set[str]:
    return words(f"{section.title} {section.heading} {section.text}")
