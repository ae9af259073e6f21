"""
The facts of a claim that its sources do not have, or say otherwise.

A value is wrong if no source has it, or if a source that speaks more of the same has another value of that
kind. A name is wrong if no source has it. A negation is wrong if a clause with the same words lacks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_llmops.metrics.facts.sources import Source, Text, singular
from pytest_llmops.metrics.facts.values import Value, agree, compete

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["number", "date", "code", "name", "negation"]
KINDS: tuple[Kind, ...] = ("number", "date", "code", "name", "negation")

# Chosen on the first two shares of `benchmarks/falsehoods`; see docs/metrics/facts.md.
_NEARER = 0.5  # how much nearer a source with another value must be; cosine plus share of words
_REFERENCE_NEARER = -0.2  # the same of the reference, which is the answer to the question
_SHARE = 0.3  # of the claim's words that a clause has more than the clause with the value
_SAME_WORDS = 0.75  # of a clause's words that another has if it says the same or its opposite
_SAME_WORDS_OF_WHOLE = 0.5  # the same, if it has every word of the other
_FEWEST_WORDS = 2

_OPENING = re.compile(r"[\s\"'(]*(yes|no)\b(?!\s+(?:one|longer|more)\b)[\s,.;:!]", re.IGNORECASE)
_DATES = frozenset({"date", "clock", "weekday", "month"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongFact:
    """
    Attributes:
        text: As the answer has it.
        source: What says otherwise; None if no source says anything of it.
    """

    kind: Kind
    text: str
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    A claim against its sources.

    Attributes:
        question: What was asked; its own values and names are not checked.
        answer: The complete answer, which may have a value of the reference elsewhere.
        nearness: Of each source to the claim: cosine plus the share of the claim's words, shape (sources,).
    """

    claim: Text
    question: Text
    answer: Text
    sources: Sequence[Source]
    nearness: NDArray[np.float64]

    def find_wrong(self) -> Iterator[WrongFact]:
        for value in self.claim.values:
            kind: Kind = "date" if value.kind in _DATES else "code" if value.kind == "code" else "number"
            supporting = [at for at, each in enumerate(self.sources) if _has(each.content, value)]
            if not supporting:
                if not _has(self.question, value):
                    yield WrongFact(kind=kind, text=value.text)
            elif (other := self._find_rival(value, supporting)) is not None:
                yield WrongFact(kind=kind, text=value.text, source=other)
        yield from self._find_names()
        yield from self._find_negations()

    def _find_rival(self, value: Value, supporting: Sequence[int]) -> Source | None:
        """The source that has another value where the claim has this one."""
        best = self._nearest(supporting)
        others = [at for at in range(len(self.sources)) if at not in supporting]
        rivals = [at for at in others if self._competes(value, self.sources[at].content)]
        if rivals and self.nearness[self._nearest(rivals)] > self.nearness[best] + _NEARER:
            return self.sources[self._nearest(rivals)]
        references = [
            at
            for at in rivals
            if self.sources[at].origin == "reference"
            and any(
                compete(value, each) and not _has(self.answer, each)
                for each in self.sources[at].content.values
            )
        ]
        if references and self.nearness[self._nearest(references)] > self.nearness[best] + _REFERENCE_NEARER:
            return self.sources[self._nearest(references)]
        return self.sources[best] if self._is_of_another_clause(value, self.sources[best].content) else None

    def _is_of_another_clause(self, value: Value, source: Text) -> bool:
        """Whether the sentence has the value, but gives another one to what the claim speaks of."""
        own = [self._share(each) for each in source.clauses if _has(each, value)]
        others = [
            self._share(each)
            for each in source.clauses
            if not _has(each, value)
            and any(compete(value, one) and not _has(self.answer, one) for one in each.values)
        ]
        return bool(own and others) and max(others) - max(own) >= _SHARE

    def _find_names(self) -> Iterator[WrongFact]:
        names = self.claim.names
        texts = [self.question, *(each.content for each in self.sources)]
        spelt_out = self.claim.find_initials(frozenset(name for each in texts for name in each.names))
        unknown = [
            name
            for name, written in names.items()
            if name not in spelt_out
            and not any(each.has_name(singular(name)) for each in texts)
            and not (written.isupper() and any(each.spells_out(written) for each in texts))
        ]
        if not unknown:
            return
        # Results of tools are no sentences: what they lack may be the app's own words, unless the reference,
        # or the result if there is none, has a name that the answer lacks.
        near = [at for at, each in enumerate(self.sources) if each.origin == "reference"]
        near = near or ([self._nearest(range(len(self.sources)))] if self.sources else [])
        rivals = [at for at in near if self.sources[at].content.names.keys() - self.answer.names.keys()]
        if rivals or not self.sources or any(each.origin == "passages" for each in self.sources):
            source = self.sources[self._nearest(rivals)] if rivals else None
            for name in unknown:
                yield WrongFact(kind="name", text=names[name], source=source)

    def _find_negations(self) -> Iterator[WrongFact]:
        for clause in self.claim.clauses:
            if not clause.is_statement or len(clause.stems) < _FEWEST_WORDS:
                continue
            if nearest := self._find_same(clause):
                source, same = nearest
                if same.negated != clause.negated:
                    yield WrongFact(kind="negation", text=clause.text, source=source)

    def _find_same(self, clause: Text) -> tuple[Source, Text] | None:
        """The clause of the sources that has most of this one's words; None if none has enough."""
        best, found = 0.0, None
        for at, source in enumerate(self.sources):
            if source.origin == "tool_calls":
                continue
            sentence = () if source.content.negated else (source.content,)
            for each in (*source.content.clauses, *sentence):
                if each.is_condition:
                    continue
                shared = len(clause.stems & each.stems)
                share = shared / len(clause.stems)
                is_whole = shared == len(each.stems) >= _FEWEST_WORDS and share >= _SAME_WORDS_OF_WHOLE
                if share < _SAME_WORDS and not is_whole:
                    continue
                rank = share + 0.2 * shared / len(each.stems) + 0.1 * float(self.nearness[at])
                if rank > best:
                    best, found = rank, (source, each)
        return found

    def _nearest(self, places: Sequence[int]) -> int:
        return max(places, key=lambda at: float(self.nearness[at]))

    def _competes(self, value: Value, source: Text) -> bool:
        return any(compete(value, each) for each in source.values)

    def _share(self, clause: Text) -> float:
        return len(self.claim.stems & clause.stems) / max(len(self.claim.stems), 1)


def find_opposite_opening(answer: str, sources: Sequence[Source]) -> WrongFact | None:
    """Whether an answer begins with yes where the reference begins with no, or the other way."""
    for source in sources:
        if source.origin == "reference":
            said, expected = _OPENING.match(answer), _OPENING.match(f"{source.content.text} ")
            if said and expected and said[1].lower() != expected[1].lower():
                return WrongFact(kind="negation", text=said[1], source=source)
            return None
    return None


def _has(text: Text, value: Value) -> bool:
    return any(agree(value, each) for each in text.values)
