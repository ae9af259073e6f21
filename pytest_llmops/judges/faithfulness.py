"""
`faithfulness`: how far contexts support the answer, claim by claim.

By `judge`, a chat model labels each claim and quotes the passages that show it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, cast

from pytest_llmops.documents.reading import checked, read_name
from pytest_llmops.errors import LLMOpsError, MetricOptionError
from pytest_llmops.judges.completion import JudgeError, run
from pytest_llmops.judges.model import JudgeModel, read_judge
from pytest_llmops.judges.panel import describe_judge, describe_problem, kept, locate, side_by_side
from pytest_llmops.judges.prompt import fence, load_prompt
from pytest_llmops.judges.rubric import passages_of
from pytest_llmops.judges.verdict import VERSION, request_verdict
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail, find_missing
from pytest_llmops.metrics.faithfulness.claims import (
    Claim,
    Rated,
    Span,
    rate_claims,
    rate_entailment,
    split_claims,
    split_contexts,
)
from pytest_llmops.metrics.faithfulness.model import Label, load_model
from pytest_llmops.metrics.words import find_blank, quote
from pytest_llmops.models.cross_encoder import identify_entailment
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.printable import counted
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.recorder import recording_of
from pytest_llmops.records import Failure, Passage, Sample, Score
from pytest_llmops.text.characters import fold

_METRIC = "faithfulness"
EMBEDDED = "embedded"
JUDGE = "judge"
_FULL = 0.995  # is shown as 1.00
_CLAIMS_AT_MOST = 500
_DIGITS = 4  # further ones depend on the texts that share a batch
_BEGINNING = 60  # characters of a quotation that are looked for; it may run over several sentences
_LABELS = ("supported", "contradicted", "absent")
_FORM = (
    '{"claims": [{"claim": 1, "evidence": "…", "reason": "…", '
    '"label": "supported" or "contradicted" or "absent"}, …]}'
)
_ELLIPSIS = re.compile(r"\s*(?:\.{3,}|…|\[(?:\.{3}|…)\])\s*")
_QUOTES = "\"'“”„«»`"

_BY = checked(read_name, f"{EMBEDDED}, {JUDGE}, or a folder or hub name of a cross-encoder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness(DeclaredMetric):
    """
    The support of the answer by its contexts: the middle between the mean of its claims and the worst one.

    No bound suits dialogue, scientific claims and summaries alike: a project finds one by its own labels.

    Attributes:
        by: `embedded`, the small model of this package; `judge`, a chat model; else a folder or hub name
            of a CrossEncoder, one that rates pairs or an entailment (NLI) model.
        judge: The chat model, if it judges.
    """

    by: Annotated[str, _BY] = EMBEDDED
    judge: Any = None

    traits = MetricTraits(
        name="faithfulness",
        family="faithfulness",
        basis="judge",
        version=2,
        needs=frozenset({"passages"}),
        bound=None,
        languages=frozenset({"en"}),
    )

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        object.__setattr__(self, "judge", read_judge(self.judge, self.name) if self.by == JUDGE else None)
        if self.judge is not None and self.judge.yes_no:
            raise MetricOptionError(
                f"faithfulness: {self.judge.model} is asked yes or no, which is not enough to check claims; "
                f"name another judge, or leave `by` at {EMBEDDED}"
            )

    @property
    def waits(self) -> bool:
        return self.by == JUDGE

    @property
    def judges(self) -> tuple[JudgeModel, ...]:
        """All judges that are called."""
        return (self.judge,) if self.judge is not None else ()

    @property
    def measured_languages(self) -> frozenset[str]:
        """Those of the embedded scorer."""
        return self.traits.languages if self.by == EMBEDDED else frozenset()

    @property
    def weights(self) -> tuple[str, ...]:
        """Weights that must be in the cache."""
        return ("minilm",) if self.by == EMBEDDED else ()

    def is_scored_alike(self, signature: str) -> bool:
        """Return whether scores of that signature are made as by this metric, without reading weights."""
        if self.judge is not None:
            return signature == self._sign(self._identity())
        return signature.startswith(
            self._sign(f"{load_model().identity}|" if self.by == EMBEDDED else "entailment-")
        )

    def settle(self, sample: Sample) -> Failure | None:
        """Return why a sample cannot be scored, or None."""
        if missing := find_missing(self, sample):
            return missing
        passages = sample.output.passages or ()
        if passages and (not split_contexts(passages) or all(map(_is_bare, passages))):
            error = "the passages are ids, or hold no words; return Passage(id=…, text=…), or trace the texts"
        elif find_blank(sample.output.text) or not (claims := split_claims(sample.output.text)):
            error = "the output says nothing, so there is no claim to check"
        elif len(claims) > _CLAIMS_AT_MOST:
            error = f"the output has {len(claims)} sentences; at most {_CLAIMS_AT_MOST} are checked"
        else:
            return None
        return fail(self, sample, error)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        made = self._identity()
        results: list[Score | Failure] = []
        for sample, rated in zip(samples, self._rate(samples), strict=True):
            if isinstance(rated, Failure):
                results.append(rated)
                continue
            worst_first = sorted(rated.claims, key=lambda claim: claim.score)
            reason = "" if worst_first[0].score >= _FULL else _explain(worst_first[0], len(rated.claims))
            evidence = {**rated.judged, "claims": [_show(claim) for claim in worst_first]}
            value = round(rated.value, _DIGITS)
            results.append(self.give(sample, value, reason, evidence=(evidence,), made=made))
        return results

    def _sign(self, identity: str) -> str:
        return f"faithfulness|v{self.version}|{identity}"

    def _identity(self) -> str:
        if self.judge is not None:
            return support_identity(self.judge)
        if self.by == EMBEDDED:
            return f"{load_model().identity}|{load_embedded().identity}"
        return identify_entailment(self.by)

    def _rate(self, samples: Sequence[Sample]) -> Sequence[Rated | Failure]:
        claims = [split_claims(sample.output.text) for sample in samples]
        contexts = [split_contexts(sample.output.passages or ()) for sample in samples]
        if self.judge is not None:
            return [
                verdicts
                if isinstance(verdicts, Failure)
                else Rated.of(
                    [_judged_claim(*pair, spans) for pair in zip(own, verdicts, strict=True)],
                    verdicts[0].judged if verdicts else {},
                )
                for own, verdicts, spans in zip(
                    claims, judge_support(self.judge, samples, claims), contexts, strict=True
                )
            ]
        rated = (
            rate_claims(claims, contexts)
            if self.by == EMBEDDED
            else rate_entailment(self.by, claims, contexts)
        )
        return [
            result or Rated.of([Claim(text=text, score=0.0, label="absent") for text in own])
            for own, result in zip(claims, rated, strict=True)
        ]


def _is_bare(passage: Passage) -> bool:
    """Return whether a passage is only an id; an app that returns plain strings may return ids or texts."""
    return not passage.text.strip() or (passage.text == passage.id and len(passage.text.split()) == 1)


def _explain(worst: Claim, count: int) -> str:
    which = "the claim" if count == 1 else f"of {count} claims the least supported"
    text = f"{which} ({worst.score:.2f}, {worst.label}): {quote([worst.text])}"
    if worst.unfound:
        text = f"{text}; in no context: {quote(worst.unfound)}"
    nearest = f"nearest: {quote([worst.support.sentence.text])}" if worst.support else "no context says it"
    return f"{text}; {nearest}"


def _show(claim: Claim) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "claim": claim.text,
        "score": round(claim.score, 4),
        "label": claim.label,
        "support": None,
    }
    if span := claim.support:
        sentence = span.sentence
        shown["support"] = {
            "passage": span.id or span.passage,
            "start": sentence.start,
            "end": sentence.end,
            "text": sentence.text,
        }
    if claim.reason:
        shown["reason"] = claim.reason
    if claim.unfound:
        shown["unfound"] = list(claim.unfound)
    return shown


@dataclass(frozen=True, slots=True)
class Support:
    """
    A judge's verdict on one claim.

    Attributes:
        evidence: Words of the passages, unmasked so that they can be found there; empty for `absent`. A label
            whose quotation is in no passage does not count: it is `absent`.
        judged: The model that judged, as it was asked for and as it answered; empty where none was called.
    """

    label: Label
    evidence: str = ""
    reason: str = ""
    judged: Mapping[str, Any] = field(default_factory=dict, compare=False)


def judge_support(
    judge: JudgeModel, samples: Sequence[Sample], claims: Sequence[Sequence[str]]
) -> list[list[Support] | Failure]:
    """
    Return for each sample one `Support` a claim, in order, by one request; or why there is none.

    A sample without claims costs no request, nor does one whose app found no passages: all is absent.

    Raises:
        MissingExtraError: The client is not installed.
    """
    if judge.yes_no:
        error = f"{judge.model} is asked yes or no, which is not enough to check claims; name another judge"
        return [_failure(sample, error) for sample in samples]
    located = locate(judge)
    pairs = list(zip(samples, claims, strict=True))
    return side_by_side(lambda pair: _judge(located, *pair), pairs) if pairs else []


def support_identity(judge: JudgeModel) -> str:
    """Return everything that moves these verdicts, for a signature."""
    return f"{judge.identity}|{load_prompt('support').identity}|parser{VERSION}"


def _judge(judge: JudgeModel, sample: Sample, claims: Sequence[str]) -> list[Support] | Failure:
    if sample.output.passages is None:
        return _failure(
            sample, "the app reported no passages; return Output(passages=…), or trace the retriever"
        )
    if not claims or not sample.output.passages:
        return [Support("absent", "", "there are no passages") for _ in claims]
    numbered = "\n".join(f"{number}. {claim}" for number, claim in enumerate(claims, 1))
    data = fence({"passages": passages_of(sample), "claims": numbered})
    messages = load_prompt("support").render(**data, form=_FORM, count=str(len(claims)))
    try:
        with recording_of(sample.case or f"judges::{_METRIC}", sample.output.repeat) as log:
            answer = run(request_verdict(judge, messages, _schema(len(claims))))
    except (JudgeError, LLMOpsError) as error:
        return _failure(sample, describe_problem(error, judge, log))
    verdicts = sorted(answer.values["claims"], key=lambda verdict: int(verdict["claim"]))
    if [verdict["claim"] for verdict in verdicts] != list(range(1, len(claims) + 1)):
        return _failure(sample, f"{judge.model} did not label each of {counted(len(claims), 'claim')} once")
    texts = [fold(passage.text) for passage in sample.output.passages]
    described = describe_judge(judge, answer)
    judged = {name: described[name] for name in ("judge", "asked", "fingerprint")}
    return [replace(_read_verdict(verdict, texts), judged=judged) for verdict in verdicts]


def _read_verdict(verdict: dict[str, Any], texts: Sequence[str]) -> Support:
    label, reason = cast("Label", verdict["label"]), kept(verdict["reason"])
    if label == "absent":
        return Support(label, "", reason)
    quotation = verdict["evidence"].strip()
    # One passage must have the quotation, in all its parts if it leaves words out.
    parts = [fold(part).strip(_QUOTES + " ") for part in _ELLIPSIS.split(quotation)]
    parts = [part for part in parts if any(map(str.isalnum, part))]
    if parts and any(all(part in text for part in parts) for text in texts):
        return Support(label, quotation, reason)
    return Support("absent", "", f"called {label}, but what it quotes stands in no passage: {reason}")


def _judged_claim(text: str, verdict: Support, spans: Sequence[Span]) -> Claim:
    """Return a claim with a judge's verdict, and the sentence that has the beginning of the quotation."""
    beginning = fold(verdict.evidence)[:_BEGINNING]
    quoted = (span for span in spans if beginning and beginning in fold(span.sentence.text))
    return Claim(
        text=text,
        score=float(verdict.label == "supported"),
        label=verdict.label,
        support=next(quoted, None),
        reason=verdict.reason,
    )


def _schema(count: int) -> dict[str, Any]:
    properties = {
        "claim": {"type": "integer", "enum": list(range(1, count + 1))},
        "evidence": {"type": "string"},
        "reason": {"type": "string"},
        "label": {"type": "string", "enum": list(_LABELS)},
    }
    claim = _object(properties)
    return _object({"claims": {"type": "array", "items": claim}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _failure(sample: Sample, error: str) -> Failure:
    return Failure(metric=_METRIC, stage="score", error=error, repeat=sample.output.repeat)
