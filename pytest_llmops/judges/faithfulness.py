"""`faithfulness`: is what the answer says in its contexts, claim by claim?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pytest_llmops.documents.value_readers import checked, read_name
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.judges.model import JudgeModel, read_judge
from pytest_llmops.judges.support import Support, judge_support, support_identity
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail, find_missing
from pytest_llmops.metrics.faithfulness.claims import (
    Claim,
    Rated,
    Span,
    rate_claims,
    split_claims,
    split_contexts,
)
from pytest_llmops.metrics.faithfulness.entailment import rate_entailment
from pytest_llmops.metrics.faithfulness.model import load_model
from pytest_llmops.metrics.words import find_blank, fold, quote
from pytest_llmops.models.cross_encoder import identify_entailment
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Failure, Passage, Sample, Score

EMBEDDED = "embedded"
JUDGE = "judge"
_FULL = 0.995  # what is shown as 1.00
_CLAIMS_AT_MOST = 500
_DIGITS = 4  # those behind depend on the texts that share a batch
_BEGINNING = 60  # characters of a quotation that are looked for; it may run over several sentences


_BY = checked(read_name, f"{EMBEDDED}, {JUDGE}, or a folder or hub name of a cross-encoder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness(DeclaredMetric):
    """
    How far the contexts support the answer: the middle between the mean of its claims and the worst one.

    No bound is right for dialogue, scientific claims and summaries alike: labels of one's own show which is.

    Attributes:
        by: `embedded`, the small model of this package; `judge`, a chat model; else a folder or hub name
            of a CrossEncoder, one that rates pairs or an entailment (NLI) model.
        judge: The chat model, where it judges.
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
        """All that are called."""
        return (self.judge,) if self.judge is not None else ()

    @property
    def weights(self) -> tuple[str, ...]:
        """What must be in the cache of weights."""
        return ("minilm",) if self.by == EMBEDDED else ()

    def is_scored_alike(self, signature: str) -> bool:
        """Whether scores of that signature are made as by this metric; weights are not read for it."""
        if self.judge is not None:
            return signature == self._sign(self._identity())
        return signature.startswith(
            self._sign(f"{load_model().identity}|" if self.by == EMBEDDED else "entailment-")
        )

    def settle(self, sample: Sample) -> Failure | None:
        """Why nothing can be said of a sample; None where something can."""
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
        return [
            rated if isinstance(rated, Failure) else self._sum_up(sample, rated, made)
            for sample, rated in zip(samples, self._rate(samples), strict=True)
        ]

    def _sum_up(self, sample: Sample, rated: Rated, made: str) -> Score:
        worst_first = sorted(rated.claims, key=lambda claim: claim.score)
        reason = "" if worst_first[0].score >= _FULL else _explain(worst_first[0], len(rated.claims))
        evidence = {"claims": [_show(claim) for claim in worst_first]}
        return self.give(sample, round(rated.value, _DIGITS), reason, evidence=(evidence,), made=made)

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
                verdicts if isinstance(verdicts, Failure) else _judged(own, verdicts, spans)
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
            given or Rated.of([Claim(text=text, score=0.0, label="absent") for text in own])
            for own, given in zip(claims, rated, strict=True)
        ]


def _is_bare(passage: Passage) -> bool:
    """Whether it is an id alone; an app that gives plain strings may give ids or texts."""
    return not passage.text.strip() or (passage.text == passage.id and len(passage.text.split()) == 1)


def _judged(claims: Sequence[str], verdicts: Sequence[Support], spans: Sequence[Span]) -> Rated:
    """A judge's verdicts as claims, each with the sentence that its quotation stands in."""
    return Rated.of(
        [
            Claim(
                text=text,
                score=float(verdict.label == "supported"),
                label=verdict.label,
                support=_find_quoted(verdict.evidence, spans),
                reason=verdict.reason,
            )
            for text, verdict in zip(claims, verdicts, strict=True)
        ]
    )


def _find_quoted(quotation: str, spans: Sequence[Span]) -> Span | None:
    """The sentence that holds most of the quotation's beginning."""
    wanted = fold(quotation)
    if not wanted:
        return None
    return next((span for span in spans if wanted[:_BEGINNING] in fold(span.sentence.text)), None)


def _explain(worst: Claim, count: int) -> str:
    which = "the claim" if count == 1 else f"of {count} claims the least supported"
    text = f"{which} ({worst.score:.2f}, {worst.label}): {quote([worst.text])}"
    if worst.unfound:
        text = f"{text}; in no context: {quote(worst.unfound)}"
    nearest = (
        f"; nearest: {quote([worst.support.sentence.text])}" if worst.support else "; no context says it"
    )
    return f"{text}{nearest}"


def _show(claim: Claim) -> dict[str, Any]:
    span = claim.support
    shown = {
        "passage": span.id or span.passage,
        "start": span.sentence.start,
        "end": span.sentence.end,
        "text": span.sentence.text,
    } if span else None  # fmt: skip
    further: dict[str, Any] = {"reason": claim.reason} if claim.reason else {}
    further |= {"unfound": list(claim.unfound)} if claim.unfound else {}
    return {
        "claim": claim.text,
        "score": round(claim.score, 4),
        "label": claim.label,
        "support": shown,
        **further,
    }
