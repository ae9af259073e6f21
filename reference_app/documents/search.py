"""
Searching the documents: sections by meaning and words, and in a section the sentences that answer.

The score of a section is the mean of two cosines, of the question with the whole section and with its nearest
sentence, and a tenth of the share of the question's words that it holds. Each of the three finds what the
others miss: a rule in a long section, a sentence beside the section's subject, a code or a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.documents.lexicon import Lexicon, split, stems
from reference_app.state import Found

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from reference_app.documents.index import Vectors
    from reference_app.documents.knowledge import Section

WORDS = 0.1
OUTDATED = 0.03  # a replaced rule differs from the current one by little more than a number
IN_FORCE = 0.02  # of one that still holds for what was bought under it, over the current one


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    What is searched for.

    Attributes:
        vector: Of `text`, a unit vector.
        bought: The day of a purchase that the question names.
        past: Whether the question asks for rules that were replaced.
    """

    text: str
    vector: Sequence[float]
    bought: dt.date | None = None
    past: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """
    One sentence of a section.

    Attributes:
        section: Position of its section.
        headed: The sentence below the titles of its section, as it is encoded.
    """

    section: int
    text: str
    headed: str


class Library:
    """All sections with their vectors; may be searched from many threads."""

    def __init__(self, sections: Sequence[Section], vectors: Callable[[list[str]], Vectors]) -> None:
        """`vectors` encodes passages, or finds the vectors that an earlier process made."""
        self.sections = sections
        self._sentences = [
            Sentence(section=place, text=text, headed=f"{one.title}: {one.heading}. {text}")
            for place, one in enumerate(sections)
            for text in split(one.text)
        ]
        whole = [f"{one.title}: {one.heading}. {one.text}" for one in sections]
        self._whole = vectors(whole)
        self._headed = vectors([one.headed for one in self._sentences])
        self._bare = vectors([one.text for one in self._sentences])
        self._held = [stems(text) for text in whole]
        self.lexicon = Lexicon(self._held)

    def search(self, query: Query, count: int) -> list[Found]:
        """The best sections, best first."""
        asked = stems(query.text)
        nearest = self._nearest(query.vector)
        scored = [
            Found(
                section=section,
                score=(likeness + nearest[place]) / 2
                + WORDS * self.lexicon.share(asked, self._held[place]) / 2
                + _adjust(section, query),
            )
            for place, likeness in self._whole.search(query.vector, len(self.sections))
            for section in (self.sections[place],)
        ]
        return sorted(scored, key=lambda found: -found.score)[:count]

    def choose(self, section: Section, query: Query, count: int) -> list[str]:
        """The sentences of a section that are nearest to the question, in the section's order."""
        places = [
            place for place, one in enumerate(self._sentences) if self.sections[one.section] is section
        ]
        if not places:  # what a customer sent was cut when it was read
            return split(section.text)
        likeness = [
            headed + bare
            for headed, bare in zip(
                self._headed.similarities(query.vector, places),
                self._bare.similarities(query.vector, places),
                strict=True,
            )
        ]
        best = sorted(range(len(places)), key=lambda place: -likeness[place])[:count]
        return [self._sentences[places[place]].text for place in sorted(best)]

    def _nearest(self, vector: Sequence[float]) -> list[float]:
        """Of each section the cosine of its nearest sentence."""
        best = [-1.0] * len(self.sections)
        for place, likeness in self._headed.search(vector, len(self._sentences)):
            section = self._sentences[place].section
            best[section] = max(best[section], likeness)
        return best


def _adjust(section: Section, query: Query) -> float:
    if section.status == "current" or query.past:
        return 0.0
    if section.bought_until and query.bought and query.bought <= section.bought_until:
        return IN_FORCE
    return -OUTDATED
