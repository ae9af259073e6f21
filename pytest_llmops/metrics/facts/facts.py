"""
`facts`: the share of claims whose numbers, dates, codes, names and negations are those of the sources.

A value is wrong if no source has it, or if a source that is more about the same has another value of that
kind. A name is wrong if no source has it. A negation is wrong if a clause with the same words lacks it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pytest_llmops.documents.reading import one_of, some
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail, inapplicable
from pytest_llmops.metrics.facts.edits import count_shared, find_edits, read_words
from pytest_llmops.metrics.facts.numerals import write_in_digits
from pytest_llmops.metrics.facts.reading import LITERALS, contradicts, supports
from pytest_llmops.metrics.facts.sources import (
    ORIGINS,
    Source,
    Text,
    gather_sources,
    gives_nouns_capitals,
    read_text,
)
from pytest_llmops.metrics.facts.values import DATES, Value
from pytest_llmops.metrics.faithfulness.claims import split_claims
from pytest_llmops.metrics.faithfulness.sentences import drop_citations, drop_opener
from pytest_llmops.metrics.words import find_blank, quote, texts_in
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.models.vectors import embed
from pytest_llmops.printable import counted
from pytest_llmops.protocols import MetricTraits, Need
from pytest_llmops.records import Bound, Failure, Sample, Score
from pytest_llmops.text.characters import fold
from pytest_llmops.text.markup import read_plain
from pytest_llmops.text.numbers import write_in_english
from pytest_llmops.text.scripts import find_script

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Kind = Literal["number", "date", "code", "name", "negation", "quantifier", "comparison", "swap"]
KINDS: tuple[Kind, ...] = (
    "number", "date", "code", "name", "negation", "quantifier", "comparison", "swap",
)  # fmt: skip

# Chosen on the first two shares of `benchmarks/falsehoods`; see docs/metrics/facts.md.
_NEARER = 0.5  # how much nearer a source with another value must be; cosine plus share of words
_REFERENCE_NEARER = -0.2  # the same of the reference, which is the answer to the question
_SHARE = 0.3  # of the claim's words that a clause has more than the clause with the value
_SAME_WORDS = 0.75  # of a clause's words that another must have to agree or disagree with it
_SAME_WORDS_OF_WHOLE = 0.5  # the same, if it has every word of the other
_SAME_WORDS_BACK = 0.4  # of the other clause's words that are in this one, unless it is longer than a clause
_FEWEST_WORDS = 2

_OPENING = re.compile(r"[\s\"'(]*(yes|no)\b(?!\s+(?:one|longer|more)\b)[\s,.;:!]", re.IGNORECASE)
_CLAIMS_AT_MOST = 500
_ITEM = re.compile(r"(?:(?<=\s)|\A)(\d{1,2})[.)]\s")
_BEFORE_ITEMS = re.compile(r"(?:\A|[.:;!?]|\n)\s*\Z")
_FEWEST_ITEMS = 2
_SHOWN = 3
_LETTERS = r"\w+"
_FEWEST_LETTERS = 8  # of a sentence that is compared as a whole
_UNREAD = "it is not in English, of which alone words are read: numbers, dates and codes were looked for"
_READ_FOR_LANGUAGE = 8  # sentences of the sources
_HEADINGS = re.compile(
    r"(?m)^\s{0,3}#{1,6}\s+(.{1,200})$|\*\*([^*\n]{1,120}?)(?::\*\*|\*\*:|\*\*\s*$)|^\s*\*\*([^*\n]{1,120})\*\*"
)
_EDITED_FROM = 3  # sentences of the sources that a claim may be an edit of


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(DeclaredMetric):
    """
    The share of claims without a wrong fact; 1 if each number, date, code, name and negation is that of
    a source.

    Sources are the passages, the results of tools and the reference, as far as there are any. Omissions
    do not count, and nothing is computed: a sum or a date that no source has is wrong.

    Attributes:
        against: Of `passages`, `tool_calls` and `reference`.
        kinds: Of `number`, `date`, `code`, `name` and `negation`.
    """

    against: Annotated[tuple[str, ...], some(one_of(*ORIGINS))] = ORIGINS
    kinds: Annotated[tuple[str, ...], some(one_of(*KINDS))] = KINDS

    traits = MetricTraits(
        name="facts",
        version=3,
        family="faithfulness",
        basis="reference",
        bound=Bound(comparison=">=", threshold=1.0),
        languages=frozenset({"en"}),
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
        """Weights that must be in the cache."""
        return ("minilm",)

    def settle(self, sample: Sample) -> Failure | None:
        """Return why a sample cannot be scored, or None."""
        if missing := DeclaredMetric.settle(self, sample):
            return missing if isinstance(missing, Failure) else None
        output = sample.output
        if find_blank(output.text) or not (claims := _claims(sample)):
            error = "the output says nothing, so there is no fact to check"
        elif len(claims) > _CLAIMS_AT_MOST:
            error = f"the output has {len(claims)} sentences; at most {_CLAIMS_AT_MOST} are checked"
        elif not gather_sources(sample, self.against) and output.passages != ():
            error = (
                "there is nothing to compare with: add `reference:` to the case, or return "
                "Output(passages=…) or tool calls with their results"
            )
        else:
            return None
        return fail(self, sample, error)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        answers = [_Answer(sample, self.against) for sample in samples]
        texts = list(dict.fromkeys(text for answer in answers for text in answer.list_texts()))
        vectors = dict(zip(texts, embed("default", texts), strict=True)) if texts else {}
        made = f"{load_embedded().identity}|against:{','.join(self.against)}|kinds:{','.join(self.kinds)}"
        scores: list[Score | Failure] = []
        for sample, answer in zip(samples, answers, strict=True):
            wrong = list(answer.find_wrong(vectors, self.kinds))
            language = answer.name_language()
            compared = answer.count_compared(self.kinds)
            if not compared:
                scores.append(inapplicable(self, sample, _describe_nothing(language)))
                continue
            evidence = [
                {"claim": claim.text, "wrong": [_show(fact) for fact in facts]} for claim, facts in wrong
            ]
            reason = _explain([fact for _, facts in wrong for fact in facts], compared, language)
            share = 1 - len(wrong) / len(answer.claims)
            scores.append(self.give(sample, share, reason, evidence=tuple(evidence), made=made))
        return scores


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongFact:
    """
    A fact of an answer that its sources lack or contradict.

    Attributes:
        text: As the answer has it.
        source: The source that contradicts it, if any.
    """

    kind: Kind
    text: str
    source: Source | None = None


class _Answer:
    """An answer's claims, with the question and the sources."""

    def __init__(self, sample: Sample, origins: Collection[str]) -> None:
        self.claims = tuple(map(read_text, _claims(sample)))
        self.text = read_text(_read_plain(sample.output.text))
        self.question = read_text(_read_plain(" ".join(texts_in(sample.input))))
        self.sources = gather_sources(sample, origins, _read_plain)
        context = (self.text.text, self.question.text, sample.reference or "")
        self.headings = _find_headings(sample.output.text)
        self.has_names = not gives_nouns_capitals(" ".join(context))
        self.compared: Counter[Kind | Literal["sentence"]] = Counter()

    def list_texts(self) -> Iterator[str]:
        """Yield the texts whose vectors `find_wrong` needs."""
        for claim in self.claims:
            yield from (claim.text, self._in_context(claim))
        yield from (source.content.text for source in self.sources)

    def find_wrong(
        self, vectors: Mapping[str, NDArray[np.float32]], kinds: Collection[str]
    ) -> Iterator[tuple[Text, list[WrongFact]]]:
        """Yield each claim that has wrong facts of these kinds, with them."""
        for at, claim in enumerate(self.claims):
            facts = [] if at else list(self._find_opposite_opening())
            comparison = _Comparison(claim, self, self._measure_nearness(claim, vectors))
            facts += comparison.find_wrong()
            self.compared += comparison.compared
            if facts := [fact for fact in facts if fact.kind in kinds]:
                yield claim, facts

    def count_compared(self, kinds: Collection[str]) -> int:
        """Return how many facts of these kinds, and sentences that stand in a source, were compared."""
        count = sum(number for kind, number in self.compared.items() if kind in kinds or kind == "sentence")
        return count or int("negation" in kinds and self._refuses_as_expected())

    def _refuses_as_expected(self) -> bool:
        """Return whether answer and reference both refuse; an answer that alone does states no fact."""
        # With the lists of all languages.
        from pytest_llmops.metrics.support.answers import find_refusal
        from pytest_llmops.metrics.support.language import known_languages

        references = [source.content.text for source in self.sources if source.origin == "reference"]
        language = known_languages()["en"]
        return bool(references) and all(
            find_refusal(text, language) for text in (self.text.text, " ".join(references))
        )

    def name_language(self) -> str:
        """Return the code of the answer's language if it is none that is read completely; else empty."""
        from pytest_llmops.metrics.support.language import UNKNOWN, detect_language

        near = " ".join(source.content.text for source in self.sources[:_READ_FOR_LANGUAGE])
        text = self.text.text
        code = detect_language(text) or detect_language(f"{text} {near}")  # few words are of many languages
        return "" if code == "en" or (code == UNKNOWN and find_script(text) == "Latin") else code

    def _find_opposite_opening(self) -> Iterator[WrongFact]:
        """Yield the answer's `yes` if the reference begins with `no`, or the other way."""
        source = next((source for source in self.sources if source.origin == "reference"), None)
        if source is not None:
            own, expected = _OPENING.match(self.text.text), _OPENING.match(f"{source.content.text} ")
            if own and expected:
                self.compared["negation"] += 1
                if own[1].lower() != expected[1].lower():
                    yield WrongFact(kind="negation", text=own[1], source=source)

    def _measure_nearness(
        self, claim: Text, vectors: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float64]:
        """Return the nearness of each source to a claim: cosine plus the share of the claim's words."""
        import numpy as np

        if not self.sources:
            return np.zeros(0)
        matrix = np.stack([vectors[source.content.text] for source in self.sources])
        both = vectors[claim.text] + vectors[self._in_context(claim)]
        shares = [len(claim.stems & source.content.stems) for source in self.sources]
        nearness: NDArray[np.float64] = matrix @ both / 2 + np.array(shares) / max(len(claim.stems), 1)
        return nearness

    def _in_context(self, claim: Text) -> str:
        """Put the question before a claim: only the question has the topic of a short answer."""
        return f"{self.question.text} {claim.text}".strip()


class _Comparison:
    """A claim against the sources of its answer, of which `nearness` has one number each."""

    def __init__(self, claim: Text, answer: _Answer, nearness: NDArray[np.float64]) -> None:
        self._claim = claim
        self._answer = answer.text
        self._has_names = answer.has_names
        self._headings = answer.headings
        self._question = answer.question  # its values and names are not checked
        self._sources = answer.sources
        self._nearness = nearness
        self.compared: Counter[Kind | Literal["sentence"]] = Counter()

    def find_wrong(self) -> Iterator[WrongFact]:
        if any(_stands_in(self._claim.text, source.content.text) for source in self._sources):
            self.compared["sentence"] += 1
        for value in self._claim.values:
            kind = _kind_of(value)
            supporting = [at for at, source in enumerate(self._sources) if _has(source.content, value)]
            asked = not supporting and _has(self._question, value)
            self.compared[kind] += not asked
            if not supporting:
                if not asked:
                    yield WrongFact(kind=kind, text=value.text)
            elif (rival := self._find_rival(value, supporting)) is not None:
                yield WrongFact(kind=kind, text=value.text, source=rival)
        yield from self._find_names()
        negations = list(self._find_negations())
        yield from negations
        for fact in self._find_edits():
            self.compared[fact.kind] += 1
            if not (negations and fact.kind == "negation") and not (
                fact.kind == "name" and self._is_of_tool(fact.text)
            ):
                yield fact

    def _find_rival(self, value: Value, supporting: Sequence[int]) -> Source | None:
        """Return the source that has another value in place of this one, if any."""
        best = self._nearest(supporting)
        rivals = [
            at
            for at, source in enumerate(self._sources)
            if at not in supporting and any(contradicts(other, value) for other in source.content.values)
        ]
        references = [
            at
            for at in rivals
            if self._sources[at].origin == "reference" and self._is_rivalled(value, self._sources[at].content)
        ]
        for places, nearer in ((rivals, _NEARER), (references, _REFERENCE_NEARER)):
            if places and self._nearness[self._nearest(places)] > self._nearness[best] + nearer:
                return self._sources[self._nearest(places)]
        return self._sources[best] if self._is_of_another_clause(value, self._sources[best].content) else None

    def _is_of_another_clause(self, value: Value, source: Text) -> bool:
        """Return whether the sentence has the value, but gives another one to the topic of the claim."""
        own = [self._share(clause) for clause in source.clauses if _has(clause, value)]
        others = [
            self._share(clause)
            for clause in source.clauses
            if not _has(clause, value) and self._is_rivalled(value, clause)
        ]
        return bool(own and others) and max(others) - max(own) >= _SHARE

    def _is_rivalled(self, value: Value, text: Text) -> bool:
        """Return whether a text has a competing value that the answer does not mention elsewhere."""
        return any(contradicts(other, value) and not _has(self._answer, other) for other in text.values)

    def _find_names(self) -> Iterator[WrongFact]:
        names = self._claim.names if self._has_names else {}
        texts = [self._question, *(source.content for source in self._sources)]
        spelt_out = self._claim.find_initials(frozenset(name for text in texts for name in text.names))
        unknown = [
            written
            for name, written in names.items()
            if name not in spelt_out
            and written not in self._headings
            and not any(text.has_name(name) for text in texts)
            and not (
                (initials := written.removesuffix("s")).isupper()
                and any(text.spells_out(initials) for text in texts)
            )
        ]
        known = [name for name in names if any(source.content.has_name(name) for source in self._sources)]
        self.compared["name"] += len(known)
        if not unknown:
            return
        # Results of tools are no sentences: a name that they lack may be the app's own word, unless the
        # reference, or the nearest result if there is none, has a name that the answer lacks.
        near = [at for at, source in enumerate(self._sources) if source.origin == "reference"]
        near = near or ([self._nearest(range(len(self._sources)))] if self._sources else [])
        rivals = [at for at in near if self._sources[at].content.names.keys() - self._answer.names.keys()]
        if rivals or not self._sources or any(source.origin == "passages" for source in self._sources):
            source = self._sources[self._nearest(rivals)] if rivals else None
            self.compared["name"] += len(unknown)
            yield from (WrongFact(kind="name", text=written, source=source) for written in unknown)

    def _are_names(self, text: str) -> bool:
        """Return whether a word is a name inside some sentence, and not only where a sentence begins."""
        words = [word.folded for word in read_words(text)]
        texts = [self._answer, self._question, *(source.content for source in self._sources)]
        return any(word in text.names for word in words for text in texts)

    def _is_of_tool(self, name: str) -> bool:
        results = [source for source in self._sources if source.origin == "tool_calls"]
        words = [read_words(part)[0].folded for part in name.split()]
        return any(all(source.content.has_name(word) for word in words) for source in results)

    def _find_edits(self) -> Iterator[WrongFact]:
        """Yield edits that turn a sentence of a source, of the one that has most words of the claim."""
        own = read_words(self._claim.text)
        near = [source for source in self._sources if source.origin != "tool_calls"]
        texts = [read_words(drop_opener(source.content.text)) for source in near]
        shared = {at: count_shared(own, theirs) for at, theirs in enumerate(texts)}
        best = sorted(shared, key=lambda at: (-shared[at], len(near[at].content.text)))[:_EDITED_FROM]
        found: list[list[WrongFact]] = []
        for at in best:
            edits = [
                WrongFact(kind=edit.kind, text=edit.text, source=near[at])
                for edit in find_edits(own, texts[at])
                if edit.kind != "name" or self._are_names(f"{edit.text} {edit.instead}")
            ]
            if shared[at] < shared[best[0]]:
                break
            found.append(edits)
        if found and all(found):  # a sentence that is another source's, unedited, is supported
            yield from found[0]

    def _find_negations(self) -> Iterator[WrongFact]:
        for clause in self._claim.clauses:
            if (
                clause.is_statement
                and len(clause.stems) >= _FEWEST_WORDS
                and (same := self._find_same(clause))
            ):
                self.compared["negation"] += 1
                source, other = same
                shared = clause.stems & other.stems
                if other.negated != clause.negated and (other if other.negated else clause).negates(shared):
                    yield WrongFact(kind="negation", text=clause.text, source=source)

    def _find_same(self, clause: Text) -> tuple[Source, Text] | None:
        """Return the clause of the sources that has most of this one's words; None if none has enough."""
        best, same = 0.0, None
        for at, source in enumerate(self._sources):
            if source.origin == "tool_calls":
                continue
            sentence = () if source.content.negated else (source.content,)
            for other in (*source.content.clauses, *sentence):
                if other.is_condition:
                    continue
                shared = len(clause.stems & other.stems)
                share = shared / len(clause.stems)
                is_whole = (
                    other.is_statement
                    and shared == len(other.stems) >= _FEWEST_WORDS
                    and share >= _SAME_WORDS_OF_WHOLE
                )
                if is_whole or (share >= _SAME_WORDS and shared >= _SAME_WORDS_BACK * len(other.stems)):
                    rank = share + 0.2 * shared / len(other.stems) + 0.1 * float(self._nearness[at])
                    if rank > best:
                        best, same = rank, (source, other)
        return same

    def _nearest(self, places: Sequence[int]) -> int:
        return max(places, key=lambda at: float(self._nearness[at]))

    def _share(self, clause: Text) -> float:
        return len(self._claim.stems & clause.stems) / max(len(self._claim.stems), 1)


def _stands_in(claim: str, source: str) -> bool:
    """Return whether a source has the very words of a claim, or is a sentence of letters that it has."""
    own, theirs = (f" {' '.join(re.findall(_LETTERS, fold(text)))} " for text in (claim, source))
    return len(own) > _FEWEST_LETTERS and own in theirs


def _kind_of(value: Value) -> Kind:
    if value.kind in DATES or value.kind == "period":
        return "date"
    return "code" if value.kind == "code" or value.kind in LITERALS else "number"


def _has(text: Text, value: Value) -> bool:
    if any(supports(other, value) for other in text.values):
        return True
    return _kind_of(value) == "code" and text.has_name(value.code)


def _claims(sample: Sample) -> list[str]:
    return split_claims(_split_items(_read_plain(drop_citations(sample.output.text))))


def _read_plain(text: str) -> str:
    return write_in_english(write_in_digits(read_plain(text)))


def _find_headings(text: str) -> frozenset[str]:
    """Return the words of headings, and of bold words before a colon: their capitals make no names."""
    runs = (next(filter(None, match.groups()), "") for match in _HEADINGS.finditer(text))
    return frozenset(word for run in runs for word in re.findall(r"[^\W\d_]+", run))


def _split_items(text: str) -> str:
    """Put items numbered 1, 2 … within a text on separate lines, without their numbers."""
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


def _describe_nothing(language: str) -> str:
    what = "no value, name or negation of the output could be compared with its sources"
    if language:
        what += f"; {_UNREAD}"
    return f"not applicable: {what}; check it with keywords, supported, answers or a judge"


def _explain(wrong: Sequence[WrongFact], compared: int, language: str) -> str:
    parts = []
    for fact in wrong[:_SHOWN]:
        where = f"the source says {quote([fact.source.content.text])}" if fact.source else "in no source"
        parts.append(f"{fact.kind} {quote([fact.text])}: {where}")
    if more := len(wrong) - len(parts):
        parts.append(f"and {more} more")
    parts.append(f"{counted(compared, 'fact')} compared")
    if language:
        parts.append(_UNREAD)
    return "; ".join(parts)


def _show(fact: WrongFact) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": fact.kind, "text": fact.text}
    if source := fact.source:
        shown |= {"source": source.content.text, "origin": source.origin}
        if source.name:
            shown["id"] = source.name
    return shown
