"""
Searching the documents: sections by meaning and words, and in a section the sentences that answer.

The score of a section is the mean of three cosines, of the question with the whole section, with its
nearest sentence, and with the nearest of the questions that customers ask about it; and a little for the
share of the question's words that it holds. Each finds what the others miss: a rule in a long section, a
sentence beside the section's subject, a thing that customers call by another name, a code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from reference_app.documents.lexicon import Lexicon, split, stems
from reference_app.documents.values import wanted_values

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reference_app.documents.index import Vectors
    from reference_app.documents.knowledge import Asked, Section

WORDS = 0.05
VALUE = 0.05  # of a sentence with a value of the kind that is asked for
OUTDATED = 0.06  # a replaced rule differs from the current one by little more than a number
IN_FORCE = 0.05  # of one that still holds for what was bought under it, over the current one
_ROUNDING = 1e-6  # of cosines, which differ in the last digits between processors
KEPT = 0.86  # share of the questions with an answer that must not be taken for questions without


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
class Found:
    """
    A section the retriever found.

    Attributes:
        score: How near it is to the question; higher is nearer.
    """

    section: Section
    score: float


class Library:
    """All sections with their vectors; may be searched from many threads."""

    def __init__(
        self,
        sections: Sequence[Section],
        asked: Asked,
        passages: Callable[[list[str]], Vectors],
        questions: Callable[[list[str]], Vectors],
    ) -> None:
        """
        Args:
            sections: At least one.
            asked: What customers ask.
            passages: Encodes texts to be found, or has the vectors that an earlier process made.
            questions: The same for questions.
        """
        import numpy as np

        self.sections = sections
        self._places = {one.id: place for place, one in enumerate(sections)}
        sentences = [(place, text) for place, one in enumerate(sections) for text in split(one.text)]
        self._texts = [text for _, text in sentences]
        self._of_sentence = np.array([place for place, _ in sentences])
        whole = [_head(one, one.text) for one in sections]
        self._whole = passages(whole)
        self._headed = passages([_head(sections[place], text) for place, text in sentences])
        self._bare = passages(self._texts)
        known = [
            (place, text) for place, one in enumerate(sections) for text in asked.answered.get(one.id, ())
        ]
        self._of_question = np.array([place for place, _ in known], dtype=int)
        self._asked = questions([text for _, text in known]) if known else None
        self._vain = questions(list(asked.unanswered)) if known and asked.unanswered else None
        self._held = [stems(text) for text in whole]
        self._lexicon = Lexicon(self._held)

    def search(self, query: Query, count: int) -> list[Found]:
        """The best sections, best first."""
        import numpy as np

        asked = stems(query.text)
        scores = self._score(_column(query))[:, 0]
        for place, section in enumerate(self.sections):
            scores[place] += WORDS * self._lexicon.share(asked, self._held[place]) + _adjust(section, query)
        best = np.argsort(-scores, kind="stable")[:count]
        return [Found(section=self.sections[place], score=float(scores[place])) for place in best]

    def choose(self, section: Section, query: Query, count: int) -> list[str]:
        """The sentences of a section that are nearest to the question, in the section's order."""
        import numpy as np

        place = self._places.get(section.id)
        if place is None:  # what a customer sent was cut when it was read
            return split(section.text)
        wanted = wanted_values(query.text)
        places = np.flatnonzero(self._of_sentence == place)
        fit = (self._headed.similarities(query.vector) + self._bare.similarities(query.vector))[places]
        fit += [VALUE * any(kind.search(self._texts[each]) for kind in wanted) for each in places]
        best = sorted(np.argsort(-fit, kind="stable")[:count])
        return [self._texts[places[each]] for each in best]

    def answers(self, query: Query, best: Section) -> bool:
        """Whether a section holds an answer, judged by questions of which it is known."""
        import numpy as np

        place = np.array([self._places[best.id]])
        return float(self._confidence(_column(query), place)[0]) >= self._limit - _ROUNDING

    def _confidence(
        self, vectors: NDArray[np.float32], places: NDArray[np.int_] | None = None, *, own: bool = False
    ) -> NDArray[np.float32]:
        """
        How sure it is that each of some questions has an answer.

        Args:
            vectors: Shape (dimensions, questions).
            places: Of the section that would answer each; the nearest if they are not given.
            own: They are the known questions themselves, and each is judged by the others alone.
        """
        import numpy as np

        scores = self._score(vectors, own=own)
        best = scores.argmax(axis=0) if places is None else places
        each = np.arange(len(best))
        sure = scores[best, each]
        if self._asked is not None and self._vain is not None:
            alike = np.maximum(self._alike(vectors, own=own)[best, each], sure)
            sure = sure + alike - (self._vain.matrix @ vectors).max(axis=0)
        return np.asarray(sure, dtype=np.float32)

    @cached_property
    def _limit(self) -> float:
        """Such that nearly all known questions are answered, each judged by the others alone."""
        import numpy as np

        if self._asked is None:
            return -1.0
        return float(np.quantile(self._confidence(self._asked.matrix.T, own=True), 1 - KEPT))

    def _score(self, vectors: NDArray[np.float32], *, own: bool = False) -> NDArray[np.float32]:
        """The mean of the three cosines, shape (sections, questions)."""
        import numpy as np

        whole = self._whole.matrix @ vectors
        nearest = _best(self._headed.matrix @ vectors, self._of_sentence, len(self.sections))
        both = (whole + nearest) / 2
        if self._asked is not None:
            alike = self._alike(vectors, own=own)
            both = (2 * both + np.where(alike < 0, both, alike)) / 3
        return np.asarray(both, dtype=np.float32)

    def _alike(self, vectors: NDArray[np.float32], *, own: bool) -> NDArray[np.float32]:
        """The cosine of each section's nearest question, -1 if it has none; shape (sections, questions)."""
        import numpy as np

        assert self._asked is not None  # noqa: S101 - the callers have looked
        likeness = self._asked.matrix @ vectors
        if own:
            np.fill_diagonal(likeness, -1.0)
        return _best(likeness, self._of_question, len(self.sections))


def _best(likeness: NDArray[np.float32], owners: NDArray[np.int_], count: int) -> NDArray[np.float32]:
    """The best of the rows of each owner, which stand together; -1 for an owner without any."""
    import numpy as np

    best = np.full((count, likeness.shape[1]), -1.0, dtype=np.float32)
    present, starts = np.unique(owners, return_index=True)
    best[present] = np.maximum.reduceat(likeness, starts, axis=0)
    return best


def _column(query: Query) -> NDArray[np.float32]:
    import numpy as np

    return np.asarray(query.vector, dtype=np.float32)[:, None]


def _head(section: Section, text: str) -> str:
    """A text below the titles of its section, as it is encoded."""
    return f"{section.title}: {section.heading}. {text}"


def _adjust(section: Section, query: Query) -> float:
    if section.status == "current" or query.past:
        return 0.0
    if section.bought_until and query.bought and query.bought <= section.bought_until:
        return IN_FORCE
    return -OUTDATED
