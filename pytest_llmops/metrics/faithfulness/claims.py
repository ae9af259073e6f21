"""Samples as claims beside context sentences, and what becomes of the claims' scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pytest_llmops.metrics.faithfulness.features import describe_claims
from pytest_llmops.metrics.faithfulness.model import Label, load_model
from pytest_llmops.metrics.faithfulness.sentences import Sentence, drop_opener, split_sentences
from pytest_llmops.records import Passage
from collections.abc import Sequence
from pytest_llmops.metrics.faithfulness.model import Label
from pytest_llmops.models import entailment

_TEXTS_AT_ONCE = 4_096  # some 160 MB of word pieces' vectors
_TEXTS_OF_A_CLAIM = 5  # with its opposites


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
        label: None where the scorer does not separate absence from contradiction.
        support: The sentence that it rests on, or that comes nearest; None where nothing does.
        unfound: Numbers and names, as stems, that no context holds.
    """

    text: str
    score: float
    label: Label | None = None
    support: Span | None = None
    unfound: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """An answer's claims, and its score, 0 to 1."""

    claims: tuple[Claim, ...]
    value: float

    @classmethod
    def of(cls, claims: Sequence[Claim]) -> Rated:
        """With the score that those of the claims give."""
        return cls(claims=tuple(claims), value=weigh([claim.score for claim in claims]))


def split_claims(text: str) -> list[str]:
    """What has to be supported: the sentences of an answer, without what only opens them."""
    sentences = [sentence.text for sentence in split_sentences(text)]
    claims = [claim for sentence in sentences if (claim := drop_opener(sentence))]
    return claims or sentences


def split_contexts(passages: Sequence[Passage]) -> list[Span]:
    """The sentences of the passages, each once, in order."""
    spans: dict[str, Span] = {}
    for at, passage in enumerate(passages):
        for sentence in split_sentences(passage.text):
            spans.setdefault(sentence.text, Span(passage=at, id=passage.id, sentence=sentence))
    return list(spans.values())


def rate_claims(claims: Sequence[Sequence[str]], contexts: Sequence[Sequence[Span]]) -> list[Rated | None]:
    """
    Each sample rated by the embedded model; None where it has no claims or no context sentences.

    Samples are taken in blocks of a bounded number of texts, those of equal contexts together, so that
    a text is encoded once and memory does not grow with the number of samples.

    Raises:
        WeightsError, MissingExtraError: MiniLM cannot be loaded.
    """
    model = load_model()
    rated: list[Rated | None] = [None] * len(claims)
    for block in _blocks(claims, contexts):
        flat = [(at, claim) for at in block for claim in claims[at]]
        described = describe_claims(
            [claim for _, claim in flat], [[span.sentence.text for span in contexts[at]] for at, _ in flat]
        )
        pairs = iter(zip(flat, described, strict=True))
        for at in block:
            own = [(claim, each) for (_, claim), each in islice(pairs, len(claims[at]))]
            ratings = [model.support.rate(each.row) for _, each in own]
            rated[at] = Rated(
                claims=tuple(
                    Claim(
                        text=claim,
                        score=model.scale.read(rating),
                        label=model.label(each.row),
                        support=contexts[at][each.nearest],
                        unfound=each.unfound,
                    )
                    for (claim, each), rating in zip(own, ratings, strict=True)
                ),
                value=model.scale.read(weigh(ratings)),
            )
    return rated


def weigh(scores: Sequence[float]) -> float:
    """
    One number for an answer: the middle between the mean of its claims and the worst of them.

    The mean alone hides one false sentence among many true ones, the worst alone says nothing of the rest.
    """
    return (sum(scores) / len(scores) + min(scores)) / 2


def _blocks(claims: Sequence[Sequence[str]], contexts: Sequence[Sequence[Span]]) -> Iterator[list[int]]:
    """Positions of the samples that have claims and sentences, in blocks; equal contexts are neighbours."""
    keys = [tuple(span.sentence.text for span in each) for each in contexts]
    order = sorted((at for at in range(len(claims)) if claims[at] and keys[at]), key=lambda at: keys[at])
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
