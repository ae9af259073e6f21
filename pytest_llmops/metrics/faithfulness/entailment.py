"""Claims rated by a cross-encoder: the best support that any sentence of the contexts gives."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.metrics.faithfulness.claims import Claim, Rated, Span
from pytest_llmops.metrics.faithfulness.model import Label
from pytest_llmops.models import cross_encoder as entailment

_LIKELY = 0.5
_SAMPLES_AT_ONCE = 256  # so that the pairs in memory do not grow with the number of samples


def rate_entailment(
    model: str, claims: Sequence[Sequence[str]], contexts: Sequence[Sequence[Span]]
) -> list[Rated | None]:
    """
    Each sample rated; None for one without claims or context sentences.

    Source: Laban et al. (2022), SummaC, zero-shot: the largest probability of entailment over sentences.

    Raises:
        WeightsError, MissingExtraError: The model cannot be loaded.
    """
    rated: list[Rated | None] = []
    for start in range(0, len(claims), _SAMPLES_AT_ONCE):
        some = slice(start, start + _SAMPLES_AT_ONCE)
        samples = list(zip(claims[some], contexts[some], strict=True))
        pairs = [(span.sentence.text, claim) for own, spans in samples for claim in own for span in spans]
        relations = iter(entailment.relate_pairs(model, pairs) if pairs else ())
        rated += [
            Rated.of([_rate(claim, spans, [next(relations) for _ in spans]) for claim in own])
            if own and spans
            else None
            for own, spans in samples
        ]
    return rated


def _rate(claim: str, spans: Sequence[Span], relations: Sequence[entailment.Relation]) -> Claim:
    best = max(range(len(spans)), key=lambda at: relations[at][0])
    against = max(range(len(spans)), key=lambda at: relations[at][1])
    label: Label = "supported" if relations[best][0] >= _LIKELY else "absent"
    decisive = best
    if label == "absent" and relations[against][1] >= _LIKELY:
        label, decisive = "contradicted", against
    return Claim(text=claim, score=relations[best][0], label=label, support=spans[decisive])
