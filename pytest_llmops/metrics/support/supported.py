"""
`supported`: the support of the worst sentence of an answer by its sources.

A mean over sentences hides the one that was added or turned. What cannot be read is an error, never a score.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from textwrap import wrap
from typing import Annotated, Any, Literal

from pytest_llmops.documents.reading import one_of, some
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.facts.sources import ORIGINS, Origin, flatten, gather_sources, read_record
from pytest_llmops.metrics.language import UNKNOWN, Language, detect_language, known_languages
from pytest_llmops.metrics.support.claims import (
    Allowed,
    begins_with_no,
    drop_verdict,
    find_allowed,
    has_content,
    is_bare_opener,
    is_claim,
    split,
)
from pytest_llmops.metrics.support.features import FEATURES, Match, Sources, Texts, describe, keeps_grammar
from pytest_llmops.metrics.support.filling import Prose, Row, list_rows
from pytest_llmops.metrics.support.model import load_model
from pytest_llmops.metrics.support.reading import Reading, read_sentence
from pytest_llmops.metrics.words import find_blank, quote, texts_in
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.printable import counted
from pytest_llmops.protocols import MetricTraits, Need
from pytest_llmops.records import Bound, Failure, Sample, Score, ToolCall
from pytest_llmops.text.characters import fold
from pytest_llmops.text.words import split_words

BOUND = 0.5
"""The score from which on a sentence counts as supported by default; the weights are scaled to it."""

_CLAIMS_AT_MOST = 500
_SOURCES_AT_MOST = 5_000  # sentences of one answer's sources
_TEXTS_AT_ONCE = 1_024
_DIGITS = 4
_READ_FOR_LANGUAGE = 4_000  # characters of the sources
_LONGEST = 4_000  # characters of a call's line, which is cut into lines of it, and of the question, its last
_SENTENCE_OF_ANOTHER = 6  # words from which on a sentence must be in the language of its answer
_SHOWN = 3
_DIFFERENCES = {
    "polarity": "a negation",
    "negation_differs": "a negation",
    "quantifier_added": "all, some or only",
    "quantifier_dropped": "all, some or only",
    "comparison_turned": "at least or at most",
    "time_turned": "before or after",
    "condition_turned": "a condition",
    "condition_added": "a condition",
    "condition_dropped": "a condition",
    "modality_turned": "must, may or cannot",
    "person_turned": "who does it",
    "opposite": "an opposite",
    "out_of_clause": "who or what it is said of",
    "value_missing": "a value",
    "value_other": "a value",
    "name_missing": "a name",
}
_DENIED = "denied"
_PENDING = "pending"  # a person has to confirm the call first
_ERRORS = ("error", "errors", "is_error", "isError")  # keys of results, as of MCP
_SUCCESSES = ("ok", "success")
_ERROR_TEXT = re.compile(r"\W*(?:traceback\b|\w*(?:error|exception)\b)", re.IGNORECASE)
_FOUND = FEATURES.index("found")
_TURNS = {
    "roles": "who does it",
    "condition": "a condition",
    "time": "before or after",
    "limit": "a limit of time",
    "negation": "a negation",
    "scope": "all, some or only",
    "opposite": "an opposite",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """
    A sentence that the app may say of calls that have not succeeded.

    Attributes:
        of: The calls whose values its wildcards stand for: those that wait for a person, or that failed.
    """

    text: str
    of: Literal["pending", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported(DeclaredMetric):
    """
    The support of the worst sentence of the answer by its sources.

    Words, values, subject, condition, scope and polarity are compared.

    Attributes:
        against: Of `passages`, `tool_calls` and `reference`.
        allow: Sentences that the app may always say; `*` stands for words of one source, or values of a call
            that succeeded.
    """

    against: Annotated[tuple[str, ...], some(one_of(*ORIGINS))] = ("passages", "tool_calls")
    allow: tuple[str | Template, ...] = ()

    traits = MetricTraits(
        name="supported",
        family="faithfulness",
        basis="reference",
        bound=Bound(comparison=">=", threshold=BOUND),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if not self.against:
            raise MetricOptionError("supported: against names at least one of its sources, or is left out")
        try:
            self._allowed()
        except ValueError as error:
            raise MetricOptionError(f"supported: allow: {error}") from None

    @property
    def needs(self) -> frozenset[Need]:
        needs: dict[tuple[str, ...], Need] = {("passages",): "passages", ("reference",): "reference"}
        return frozenset({needs[self.against]} if self.against in needs else ())

    @property
    def weights(self) -> tuple[str, ...]:
        """Weights that must be in the cache."""
        return ("minilm",)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        allowed = self._allowed()
        answers = [read_answer(sample, self.against, allowed) for sample in samples]
        worst: list[tuple[_Rated, ...]] = [()] * len(samples)
        for block in _blocks(answers):
            texts: dict[str, Texts] = {}
            for language in {answers[at].language for at in block}:
                readings = [
                    reading
                    for at in block
                    if answers[at].language is language
                    for reading in answers[at].list_readings()
                ]
                texts[language.code] = Texts(readings, language)
            for at in block:
                worst[at] = tuple(answers[at].rate(texts[answers[at].language.code]))
        return [
            fail(self, sample, answer.error) if answer.error else self._give(sample, answer, rated)
            for sample, answer, rated in zip(samples, answers, worst, strict=True)
        ]

    def _give(self, sample: Sample, answer: Answer, rated: Sequence[_Rated]) -> Score:
        worst_first = sorted(rated, key=lambda claim: claim.score)
        value = round(worst_first[0].score, _DIGITS) if worst_first else 1.0
        reason = "" if value >= 1 else _explain(worst_first[0], len(rated), answer.language)
        made = (
            f"{load_model().identity}|{load_embedded().identity}|against:{','.join(self.against)}"
            f"|allow:{json.dumps(self.allow, default=asdict)}"
        )
        return self.give(sample, value, reason, evidence=tuple(map(_show, worst_first)), made=made)

    def _allowed(self) -> tuple[Allowed, ...]:
        return tuple(
            Allowed.read(written) if isinstance(written, str) else Allowed.read(written.text, written.of)
            for written in self.allow
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    text: str
    origin: Origin
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rated:
    """
    A sentence of an answer, rated.

    Attributes:
        source: The nearest one; None if it has no word of the sentence.
        differences: What speaks against it, as in `_DIFFERENCES`.
    """

    text: str
    score: float
    source: _Source | None
    unfound: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    An answer ready to be rated.

    Attributes:
        error: Why it cannot be read; then nothing else counts.
        claims: The sentences to be rated; none if all are allowed.
        excused: Claims that are allowed beside prose, unless they turn a source.
    """

    language: Language
    error: str = ""
    claims: tuple[str, ...] = ()
    sources: tuple[_Source, ...] = ()
    question: str = ""
    excused: frozenset[str] = frozenset()

    def list_readings(self) -> Iterator[Reading]:
        """Yield the readings whose words have to be compared; none if all claims stand in sources."""
        if changed := self.list_changed():
            yield from changed
            yield from (read_sentence(source.text, self.language) for source in self.sources)
            yield read_sentence(self.question, self.language)

    def list_changed(self) -> list[Reading]:
        """Return the claims that are no sentence of a source."""
        copied = self._copies()
        return [self._read(claim) for claim in self.claims if _flat(claim) not in copied]

    def gather_sources(self, texts: Texts) -> Sources:
        """Return the sources and the question, read."""
        sources = [read_sentence(source.text, self.language) for source in self.sources]
        return Sources(sources, read_sentence(self.question, self.language), texts)

    def rate(self, texts: Texts) -> Iterator[_Rated]:
        """Yield each claim with its score."""
        copied = self._copies()
        changed = any(_flat(claim) not in copied for claim in self.claims)
        sources = self.gather_sources(texts) if changed else None
        for claim in self.claims:
            same = copied.get(_flat(claim))
            if same is not None or sources is None:
                yield _Rated(text=claim, score=1.0, source=same)
                continue
            matches = describe(self._read(claim), sources)
            if claim in self.excused and not any(match.turn for match in matches):
                yield _Rated(
                    text=claim, score=1.0, source=self.sources[matches[0].source] if matches else None
                )
                continue
            # A source that the claim turns is not outvoted by one in other words; a limit is only of its own.
            turned = any(match.turn not in {"", "limit"} for match in matches)
            scores = [
                0.0 if match.turn or (turned and match.row[_FOUND] < 1) else load_model().rate(match.row)
                for match in matches
            ]
            best = max(range(len(scores)), key=scores.__getitem__, default=None)
            if best is None:
                yield _Rated(text=claim, score=0.0, source=None)
                continue
            # A lie is shown with the source that it is about, not with the one that contradicts it least.
            turning = next((at for at, match in enumerate(matches) if match.turn), 0)
            match = matches[best if scores[best] >= BOUND else turning]
            yield _Rated(
                text=claim,
                score=scores[best],
                source=self.sources[match.source],
                unfound=match.unfound,
                differences=tuple(_differences(match)),
            )

    def _read(self, claim: str) -> Reading:
        return read_sentence(drop_verdict(claim, self.language), self.language)

    def _copies(self) -> dict[str, _Source]:
        """Return the first source of each text: a claim with that text stands in it."""
        return {_flat(source.text): source for source in reversed(self.sources)}


def read_answer(sample: Sample, origins: Sequence[str], allowed: Sequence[Allowed]) -> Answer:
    """Read an answer and its sources, or say why they cannot be read."""
    english = known_languages()["en"]
    text, question = sample.output.text, " ".join(texts_in(sample.input))
    if blank := find_blank(text):
        return Answer(language=english, error=f"cannot read: {blank}")
    written = gather(sample, origins)
    sentences = split(text)
    if len(sentences) > _CLAIMS_AT_MOST:
        error = f"cannot read: {counted(len(sentences), 'sentence')}; at most {_CLAIMS_AT_MOST} are checked"
        return Answer(language=english, error=error)
    sources = tuple(
        _Source(text=sentence, origin=source.origin, name=source.name)
        for source in written
        for sentence in _split_source(source)
    )
    if len(sources) > _SOURCES_AT_MOST:
        return Answer(
            language=english, error=f"cannot read: more than {_SOURCES_AT_MOST} sentences of sources"
        )
    copied = {_flat(source.text) for source in sources}
    source_text = "\n".join(source.text for source in written)[:_READ_FOR_LANGUAGE]
    code = detect_language(text) or detect_language(f"{question} {text}") or detect_language(source_text)
    language = known_languages().get(code)
    if language is None:
        if copies := _list_copies(sentences, copied):
            return Answer(language=english, claims=tuple(copies), sources=sources)
        return Answer(
            language=english,
            error=f"cannot read the language of the answer{'' if code in {'', UNKNOWN} else f' ({code})'}; "
            f"readable: {', '.join(known_languages())}",
        )
    end = " ".join(question.split())[-_LONGEST:]
    allowance = _Allowance.read(sample, sources, allowed, language)
    claims, is_unread = _list_claims(sentences, language, end, allowance.allows)
    changed = [claim for claim in claims if _flat(claim) not in copied]
    error = ""
    if not claims and is_unread:
        error = "cannot read: the answer has no sentence that claims something"
    elif claims and not sources:
        error = (
            "cannot read: there is nothing to compare with; return Output(passages=…) or tool calls with "
            "their results, or add `reference` to `against`"
        )
    elif changed and (other := detect_language(source_text)) and other != code:
        named = "an unknown language" if other == UNKNOWN else other
        error = f"cannot read: the answer is in {code} and its sources are in {named}"
    elif foreign := _find_foreign(changed, language):
        error = (
            f"cannot read a sentence of the answer, which is not in {code} as the rest: {quote([foreign])}"
        )
    return Answer(
        language=language,
        error=error,
        claims=tuple(claims),
        sources=sources,
        question=end,
        excused=frozenset(allowance.excused),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowance:
    """
    Sentences that the app may say, with what may stand for their wildcards.

    Attributes:
        prose: Sentences of sources.
        rows: Of calls, by `Allowed.of`.
        excused: Sentences with words of prose, which are claims, but need no support of their other words.
    """

    patterns: Sequence[Allowed]
    prose: Sequence[Prose]
    rows: Mapping[str, Sequence[Row]]
    language: Language
    excused: set[str] = field(default_factory=set)

    @classmethod
    def read(
        cls, sample: Sample, sources: Sequence[_Source], patterns: Sequence[Allowed], language: Language
    ) -> _Allowance:
        written = [source.text for source in sources if source.origin != "tool_calls"]
        rows = defaultdict[str, list[Row]](list)
        for call in sample.output.tool_calls if patterns else ():
            rows[_came_to(call)] += list_rows(call, language)
        return cls(
            patterns=patterns,
            prose=[Prose.read(text, language) for text in written if patterns],
            rows=rows,
            language=language,
        )

    def allows(self, sentence: str) -> bool:
        """Return whether a sentence is no claim."""

        def may_fill(of: str, parts: Sequence[Sequence[str]]) -> bool:
            filled = self.find(sentence, parts, of)
            if filled == "prose":
                self.excused.add(sentence)
            return filled == "values"

        return find_allowed(sentence, self.patterns, may_fill)

    def find(self, sentence: str, parts: Sequence[Sequence[str]], of: str) -> Literal["", "values", "prose"]:
        """Return what has the words in place of wildcards, where the sentence keeps its grammar."""
        if not all(parts):
            return ""
        claim = read_sentence(sentence, self.language)

        def keeps(text: str, *, is_record: bool = False) -> bool:
            return keeps_grammar(claim, read_sentence(text, self.language), is_record=is_record)

        prose = () if of else self.prose  # which says nothing of a call
        is_prose = any(text.fills(parts, self.language) and keeps(text.text) for text in prose)
        for row in self.rows.get(of, ()):
            texts = row.fill(parts, self.language)
            if texts is not None and keeps(row.text, is_record=True):
                if not texts:
                    return "values"
                is_prose = is_prose or any(map(keeps, texts))
        return "prose" if is_prose else ""


def _came_to(call: ToolCall) -> str:
    """Return `pending`, `denied` (also for a call without a result) or `error`; empty if a call succeeded."""
    if call.decision == _PENDING:
        return "pending"
    if call.decision == _DENIED or call.result is None:
        return "denied"
    result = read_record(call)
    if isinstance(result, Mapping):
        is_error = any(map(result.get, _ERRORS)) or any(result.get(name) is False for name in _SUCCESSES)
    else:
        text = call.result if result is None else result
        is_error = isinstance(text, str) and _ERROR_TEXT.match(text) is not None
    return "error" if is_error else ""


def _list_copies(sentences: Sequence[str], copied: Collection[str]) -> list[str]:
    """
    Return the sentences of an answer that stands in its sources, in whatever language; none if it does not.

    What says nothing in one of the known languages may stand before the first.
    """
    claims: list[str] = []
    for sentence in sentences:
        says = all(
            is_claim(sentence, language) and not is_bare_opener(sentence, language, is_first=True)
            for language in known_languages().values()
        )
        if _flat(sentence) in copied and says:
            claims.append(sentence)
        elif says or claims:
            return []
    return claims


def _split_source(source: _Source) -> list[str]:
    """Return the sentences of a source; the result of a tool stays in one piece unless it is long."""
    if source.origin == "tool_calls":
        return wrap(source.text, _LONGEST, break_on_hyphens=False)
    return split(source.text)


def _list_claims(
    sentences: Sequence[str], language: Language, question: str, is_allowed: Callable[[str], bool]
) -> tuple[list[str], bool]:
    """
    Return the sentences that a source must support, and whether others are more than what is allowed.

    A few words of grammar such as `not at all` are a verdict before the first claim; after it they turn it.
    """
    values = read_sentence(question, language).values
    claims: list[str] = []
    dropped = begun = False
    for sentence in sentences:
        if is_allowed(sentence):
            begun = True
        elif is_claim(sentence, language, values):
            reading = read_sentence(sentence, language)
            turns = begun and (any(reading.negated) or reading.marks or begins_with_no(sentence, language))
            rest = read_sentence(drop_verdict(sentence, language), language)
            if turns or (has_content(rest) and not is_bare_opener(sentence, language, is_first=not begun)):
                claims.append(sentence)
                begun = True
            else:
                dropped = True
    return claims, dropped or not begun


def _find_foreign(claims: Sequence[str], language: Language) -> str:
    """Return the first sentence that is in another language than its answer; empty for none."""
    for claim in claims:
        own = detect_language(claim)
        if own and own != language.code:
            words = split_words(claim)
            shared = sum(word in language.function for word in words)
            if (
                own in {"zh", "ja", UNKNOWN}
                or language.is_unspaced
                or (len(words) >= _SENTENCE_OF_ANOTHER and shared * 8 < len(words))
            ):
                return claim
    return ""


def gather(sample: Sample, origins: Sequence[str]) -> list[_Source]:
    """
    Return passages and reference as they are, and each result of a tool in lines of keys and values.

    A call without a result, such as a denied one, is no source: its arguments are only a request. So is its
    name where it has not succeeded.
    """
    sources: list[_Source] = []
    if "passages" in origins:
        sources += [
            _Source(text=passage.text, origin="passages", name=passage.id)
            for passage in sample.output.passages or ()
            if passage.text.strip()
        ]
    if "reference" in origins and sample.reference:
        sources.append(_Source(text=sample.reference, origin="reference", name=""))
    if "tool_calls" in origins:
        sources += [
            _Source(text=source.content.text, origin="tool_calls", name=source.name)
            for source in gather_sources(sample, ("tool_calls",))
        ]
        sources += [
            _Source(text=line, origin="tool_calls", name=call.name)
            for call in sample.output.tool_calls
            if not _came_to(call) and (line := _describe_call(call))
        ]
    return sources


def _describe_call(call: ToolCall) -> str:
    """Return a call in one line: name, arguments and all of its result."""
    result = read_record(call)  # sentences of prose are sources of their own
    return ", ".join([call.name.replace("_", " "), *flatten(call.arguments), *flatten(result)])


def _blocks(answers: Sequence[Answer]) -> Iterator[list[int]]:
    """Yield positions of answers with claims in blocks of a bounded number of texts."""
    block: list[int] = []
    texts: set[str] = set()
    for at, answer in enumerate(answers):
        if answer.error or not answer.claims:
            continue
        block.append(at)
        texts |= {*answer.claims, *(source.text for source in answer.sources)}
        if len(texts) >= _TEXTS_AT_ONCE:
            yield block
            block, texts = [], set()
    if block:
        yield block


def _flat(text: str) -> str:
    return fold(text).strip(" .!。\uff01;:-*•")


def _differences(match: Match) -> Iterator[str]:
    if match.turn:
        yield _TURNS[match.turn]
    for name, value in zip(FEATURES, match.row, strict=True):
        if value and name in _DIFFERENCES:
            yield _DIFFERENCES[name]


def _explain(worst: _Rated, count: int, language: Language) -> str:
    which = "the sentence" if count == 1 else f"the least supported of {count} sentences"
    text = f"{which} ({worst.score:.2f}): {quote([worst.text])}"
    if worst.unfound and not language.is_unspaced:
        text = f"{text}; in no source: {quote(worst.unfound[:_SHOWN])}"
    if names := list(dict.fromkeys(worst.differences)):
        text = f"{text}; may differ in {', '.join(names[:_SHOWN])}"
    nearest = f"nearest: {quote([worst.source.text])}" if worst.source else "no source is about it"
    return f"{text}; {nearest}"


def _show(claim: _Rated) -> dict[str, Any]:
    shown: dict[str, Any] = {"sentence": claim.text, "score": round(claim.score, _DIGITS)}
    if claim.source:
        shown |= {"source": claim.source.text, "origin": claim.source.origin}
        if claim.source.name:
            shown["id"] = claim.source.name
    if claim.unfound:
        shown["unfound"] = list(claim.unfound)
    if claim.differences:
        shown["differs"] = list(dict.fromkeys(claim.differences))
    return shown
