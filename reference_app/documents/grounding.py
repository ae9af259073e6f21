"""
What an answer rests on: shared words, weighed by how rare they are among the sections.

Nothing here is learnt and nothing is asked of a model: the app cites a section only for words it holds.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from reference_app.documents.knowledge import Section

MIN_SUPPORT = 0.6  # share of an answer's words that a section must hold to be cited for it
MIN_ADDED = 0.15  # share of the question's weight that a second passage must add to be read too

_WORD = re.compile(r"[a-z]+(?:-\d+)?|\d+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+(?=[A-Z])")
_DENIES = re.compile(r"\b(?:not|never|no|none|cannot|nor|without)\b|n['\u2019]t\b", re.IGNORECASE)
_FIGURE = re.compile(r"\d")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and any are as at be been but by can do does for from has have how i if in is it its may more "
        "must no not of on or our so than that the their them then there these they this to up was we were "
        "what when which will with you your",
    )
)


class Grounding:
    """Knows how rare each word is among the sections: a rare word says more of a question's subject."""

    def __init__(self, sections: Sequence[Section]) -> None:
        held = Counter(word for section in sections for word in _words_of(section))
        self._weights = {word: math.log((len(sections) + 1) / (count + 0.5)) for word, count in held.items()}

    def supports(self, section: Section, answer: str) -> bool:
        """
        Whether a section holds so many of an answer's words that it may be cited for it.

        An answer that leaves out the `never` of the sentence it copies says the opposite in the same words.
        """
        said = words(answer)
        if not said or len(said & _words_of(section)) < MIN_SUPPORT * len(said):
            return False
        return not _DENIES.search(_nearest(section, said)) or _DENIES.search(answer) is not None

    def keeps_figures(self, section: Section, answer: str) -> bool:
        """Whether an answer has a figure where the sentence it copies has one: mostly that was asked for."""
        nearest = _nearest(section, words(answer))
        return not _FIGURE.search(nearest) or _FIGURE.search(answer) is not None

    def adds(self, section: Section, question: str, read: Section) -> bool:
        """Whether a section speaks of something that the question names and the section read does not."""
        asked = words(question)
        missing = (asked - _words_of(read)) & _words_of(section)
        return self._weigh(missing) > MIN_ADDED * self._weigh(asked)

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


def _nearest(section: Section, said: AbstractSet[str]) -> str:
    return max(split(section.text), key=lambda sentence: len(said & words(sentence)))


def _words_of(section: Section) -> set[str]:
    return words(f"{section.title} {section.heading} {section.text}")
