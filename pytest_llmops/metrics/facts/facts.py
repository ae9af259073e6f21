"""`facts`: are the numbers, dates, codes, names and negations of the answer those of its sources?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pytest_llmops.documents.value_readers import one_of, some
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.facts.sources import ORIGINS, Source, Text, gather_sources, read_text, singular
from pytest_llmops.metrics.facts.values import Value, agree, compete
from pytest_llmops.metrics.faithfulness.claims import split_claims
from pytest_llmops.metrics.faithfulness.sentences import drop_citations
from pytest_llmops.metrics.words import find_blank, quote
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.models.vectors import embed
from pytest_llmops.protocols import MetricTraits, Need
from pytest_llmops.records import Bound, Failure, Sample, Score

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


_CLAIMS_AT_MOST = 500
_EMPHASIS = re.compile(r"\*\*|__|`")
_ITEM = re.compile(r"(?:(?<=\s)|\A)(\d{1,2})[.)]\s")
_BEFORE_ITEMS = re.compile(r"(?:\A|[.:;!?]|\n)\s*\Z")
_FEWEST_ITEMS = 2
_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(DeclaredMetric):
    """
    The share of claims without a wrong fact; 1 when each number, date, code, name and negation is that of
    a source.

    Sources are the passages, the results of tools and the reference, as far as there are any. What an answer
    leaves out is not looked at, and nothing is computed: a sum or a date that no source has is wrong.

    Attributes:
        against: Of `passages`, `tool_calls` and `reference`.
        kinds: Of `number`, `date`, `code`, `name` and `negation`.
    """

    against: Annotated[tuple[str, ...], some(one_of(*ORIGINS))] = ORIGINS
    kinds: Annotated[tuple[str, ...], some(one_of(*KINDS))] = KINDS

    traits = MetricTraits(
        name="facts",
        version=2,
        family="faithfulness",
        basis="reference",
        bound=Bound(comparison=">=", threshold=1.0),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if not (self.against and self.kinds):
            raise MetricOptionError("facts: against and kinds name at least one each, or are left out")

    @property
    def needs(self) -> frozenset[Need]:
        alone: dict[tuple[str, ...], Need] = {("passages",): "passages", ("reference",): "reference"}
        return frozenset({alone[self.against]} if self.against in alone else ())

    @property
    def weights(self) -> tuple[str, ...]:
        """What must be in the cache of weights."""
        return ("minilm",)

    def settle(self, sample: Sample) -> Failure | None:
        """Why nothing can be said of a sample; None where something can."""
        if missing := DeclaredMetric.settle(self, sample):
            return missing if isinstance(missing, Failure) else None
        output = sample.output
        if find_blank(output.text) or not (claims := _claims(sample)):
            error = "the output says nothing, so there is no fact to check"
        elif len(claims) > _CLAIMS_AT_MOST:
            error = f"the output has {len(claims)} sentences; at most {_CLAIMS_AT_MOST} are checked"
        elif (
            not gather_sources(sample, [one for one in ORIGINS if one in self.against])
            and output.passages != ()
        ):
            error = (
                "there is nothing to compare with: add `reference:` to the case, or return "
                "Output(passages=…) or tool calls with their results"
            )
        else:
            return None
        return fail(self, sample, error)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        compared = [_Compared.of(sample, self.against) for sample in samples]
        texts = dict.fromkeys(text for each in compared for text in each.list_texts())
        vectors = dict(zip(texts, embed("default", list(texts)), strict=True)) if texts else {}
        made = f"{load_embedded().identity}|against:{','.join(self.against)}|kinds:{','.join(self.kinds)}"
        return [
            self._sum_up(sample, each, list(each.find_wrong(vectors)), made)
            for sample, each in zip(samples, compared, strict=True)
        ]

    def _sum_up(
        self, sample: Sample, compared: _Compared, wrong: list[tuple[str, list[WrongFact]]], made: str
    ) -> Score:
        kept = [(claim, [each for each in facts if each.kind in self.kinds]) for claim, facts in wrong]
        kept = [(claim, facts) for claim, facts in kept if facts]
        share = 1 - len(kept) / len(compared.claims)
        evidence = [{"claim": claim, "wrong": [_show(each) for each in facts]} for claim, facts in kept]
        return self.give(
            sample,
            share,
            _explain([each for _, facts in kept for each in facts]),
            evidence=tuple(evidence),
            made=made,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """An answer with its sources."""

    claims: tuple[Text, ...]
    answer: Text
    question: Text
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, sample: Sample, origins: Sequence[Any]) -> _Compared:
        return cls(
            claims=tuple(map(read_text, _claims(sample))),
            answer=read_text(sample.output.text),
            question=read_text(" ".join(_texts_in(sample.input))),
            sources=tuple(gather_sources(sample, origins)),
        )

    def list_texts(self) -> Iterator[str]:
        """What has to be encoded."""
        for claim in self.claims:
            yield from (claim.text, self._in_context(claim))
        yield from (each.content.text for each in self.sources)

    def find_wrong(self, vectors: dict[str, NDArray[np.float32]]) -> Iterator[tuple[str, list[WrongFact]]]:
        """Each claim that has wrong facts, with them."""
        opening = find_opposite_opening(self.answer.text, self.sources)
        for at, claim in enumerate(self.claims):
            comparison = Comparison(
                claim=claim,
                question=self.question,
                answer=self.answer,
                sources=self.sources,
                nearness=self._measure_nearness(claim, vectors),
            )
            found = [*([opening] if opening and not at else []), *comparison.find_wrong()]
            if found:
                yield claim.text, found

    def _measure_nearness(self, claim: Text, vectors: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
        import numpy as np

        if not self.sources:
            return np.zeros(0)
        matrix = np.stack([vectors[each.content.text] for each in self.sources])
        both = vectors[claim.text] + vectors[self._in_context(claim)]
        shares = [len(claim.stems & each.content.stems) for each in self.sources]
        nearness: NDArray[np.float64] = matrix @ both / 2 + np.array(shares) / max(len(claim.stems), 1)
        return nearness

    def _in_context(self, claim: Text) -> str:
        """A short answer says what it speaks of in the question."""
        return f"{self.question.text} {claim.text}".strip()


def _claims(sample: Sample) -> list[str]:
    return split_claims(_split_items(_EMPHASIS.sub("", drop_citations(sample.output.text))))


def _split_items(text: str) -> str:
    """Items that are numbered 1, 2 … within a text on lines of their own, without their numbers."""
    counted: list[re.Match[str]] = []
    for mark in _ITEM.finditer(text):
        if int(mark[1]) in {1, int(counted[-1][1]) + 1 if counted else 1}:
            counted.append(mark)
    # "Ashcombe has 1. Harebell has 2." are figures.
    if len(counted) < _FEWEST_ITEMS or not _BEFORE_ITEMS.search(text[: counted[0].start()]):
        return text
    for mark in reversed(counted):
        text = f"{text[: mark.start()].rstrip()}\n{text[mark.end() :]}"
    return text


def _texts_in(value: Any) -> Iterator[str]:
    """The texts of a question: of a list of turns all, of a mapping its values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts_in(each)


def _explain(wrong: Sequence[WrongFact]) -> str:
    shown = []
    for each in wrong[:_SHOWN]:
        where = f"the source says {quote([each.source.content.text])}" if each.source else "in no source"
        shown.append(f"{each.kind} {quote([each.text])}: {where}")
    more = len(wrong) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more else [])])


def _show(wrong: WrongFact) -> dict[str, Any]:
    source = wrong.source
    shown = {"source": source.content.text, "origin": source.origin} if source else {}
    return {
        "kind": wrong.kind,
        "text": wrong.text,
        **shown,
        **({"id": source.name} if source and source.name else {}),
    }
