"""Claims of an answer rated against sentences of its contexts, by the embedded model or a cross-encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pytest_llmops.metrics.faithfulness.features import describe_claims
from pytest_llmops.metrics.faithfulness.model import Label, load_model
from pytest_llmops.metrics.faithfulness.sentences import Sentence, drop_opener, split_sentences
from pytest_llmops.models import cross_encoder as entailment
from pytest_llmops.records import Passage

_TEXTS_AT_ONCE = 4_096  # some 160 MB of word pieces' vectors
_TEXTS_OF_A_CLAIM = 5  # with its opposites
_SAMPLES_AT_ONCE = 256  # so that a cross-encoder's pairs in memory do not grow with the number of samples
_LIKELY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A sentence of a context: the passage's position and id, and the place in its text."""

    passage: int
    id: str
    sentence: Sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    One sentence of an answer, rated.

    Attributes:
        score: How far the contexts support it, 0 to 1.
        label: None if the scorer does not separate absence from contradiction.
        support: The sentence that supports or contradicts it, or the nearest one; None if there is none.
        unfound: Numbers and names, as stems, that no context has.
    """

    text: str
    score: float
    label: Label | None = None
    support: Span | None = None
    unfound: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """An answer's claims, and its score, 0 to 1; `judged` is the evidence on a judge, if one was called."""

    claims: tuple[Claim, ...]
    value: float
    judged: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, claims: Sequence[Claim], judged: Mapping[str, Any] | None = None) -> Rated:
        """Combine the claims' scores by `weigh`."""
        value = weigh([claim.score for claim in claims])
        return cls(claims=tuple(claims), value=value, judged=judged or {})


def split_claims(text: str) -> list[str]:
    """Return the sentences of an answer without their openers; with them if nothing else is left."""
    sentences = [sentence.text for sentence in split_sentences(text)]
    return list(filter(None, map(drop_opener, sentences))) or sentences


def split_contexts(passages: Sequence[Passage]) -> list[Span]:
    """Return the sentences of the passages, each once, in order."""
    spans: dict[str, Span] = {}
    for at, passage in enumerate(passages):
        for sentence in split_sentences(passage.text):
            spans.setdefault(sentence.text, Span(passage=at, id=passage.id, sentence=sentence))
    return list(spans.values())


def weigh(scores: Sequence[float]) -> float:
    """
    Combine the scores of claims: the middle between their mean and the worst of them.

    The mean hides one false sentence among many true ones, and the worst ignores the rest.
    """
    return (sum(scores) / len(scores) + min(scores)) / 2


def rate_claims(claims: Sequence[Sequence[str]], contexts: Sequence[Sequence[Span]]) -> list[Rated | None]:
    """
    Rate each sample by the embedded model; None if it has no claims or no context sentences.

    Samples are rated in blocks of a bounded number of texts, those of equal contexts together, so that
    a text is encoded once and memory does not grow with the number of samples.

    Raises:
        WeightsError, MissingExtraError: MiniLM cannot be loaded.
    """
    model = load_model()
    rated: list[Rated | None] = [None] * len(claims)
    for block in _blocks(claims, contexts):
        pairs = [(at, claim) for at in block for claim in claims[at]]
        described = iter(
            describe_claims(
                [claim for _, claim in pairs],
                [[span.sentence.text for span in contexts[at]] for at, _ in pairs],
            )
        )
        for at in block:
            rows = list(islice(described, len(claims[at])))
            ratings = [model.support.rate(row.row) for row in rows]
            rated[at] = Rated(
                claims=tuple(
                    Claim(
                        text=claim,
                        score=model.scale.read(rating),
                        label=model.label(row.row),
                        support=contexts[at][row.nearest],
                        unfound=row.unfound,
                    )
                    for claim, row, rating in zip(claims[at], rows, ratings, strict=True)
                ),
                value=model.scale.read(weigh(ratings)),
            )
    return rated


def _blocks(claims: Sequence[Sequence[str]], contexts: Sequence[Sequence[Span]]) -> Iterator[list[int]]:
    """Yield positions of samples with claims and sentences, in blocks; equal contexts are neighbours."""
    keys = [tuple(span.sentence.text for span in spans) for spans in contexts]
    order = sorted((at for at in range(len(claims)) if claims[at] and keys[at]), key=keys.__getitem__)
    block: list[int] = []
    texts: dict[str, int] = {}
    for at in order:
        texts |= dict.fromkeys(keys[at], 1) | dict.fromkeys(claims[at], _TEXTS_OF_A_CLAIM)
        block.append(at)
        if sum(texts.values()) >= _TEXTS_AT_ONCE:
            yield block
            block, texts = [], {}
    if block:
        yield block


def rate_entailment(
    model: str, claims: Sequence[Sequence[str]], contexts: Sequence[Sequence[Span]]
) -> list[Rated | None]:
    """
    Rate each sample by a cross-encoder: the best support that any sentence gives; None as in `rate_claims`.

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
            Rated.of([_relate(claim, spans, [next(relations) for _ in spans]) for claim in own])
            if own and spans
            else None
            for own, spans in samples
        ]
    return rated


def _relate(claim: str, spans: Sequence[Span], relations: Sequence[entailment.Relation]) -> Claim:
    best = max(range(len(spans)), key=lambda at: relations[at][0])
    against = max(range(len(spans)), key=lambda at: relations[at][1])
    label: Label = "supported" if relations[best][0] >= _LIKELY else "absent"
    decisive = best
    if label == "absent" and relations[against][1] >= _LIKELY:
        label, decisive = "contradicted", against
    return Claim(text=claim, score=relations[best][0], label=label, support=spans[decisive])
