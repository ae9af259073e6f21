"""What the small model looks at: how well a claim's words and meaning are found in its contexts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_llmops.metrics.faithfulness.sentences import Wording, oppose, read_wording
from pytest_llmops.metrics.words import FUNCTION_WORDS
from pytest_llmops.models.pieces import Pieces, encode_pieces
from pytest_llmops.models.vectors import embed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

LAYER = 4  # of six: word pieces know their sentence there, and are not yet all alike
_NEAREST = 3  # sentences that are the evidence
_FOUND = 0.6  # cosine from which on a word piece counts as found
_FUNCTION_WEIGHT = 0.1
_LOW = 0.2  # the quantile of a claim's content pieces that the worst found are read at
_PER_POINT = 10.0  # contrasts are small numbers

FEATURES = (
    "words_found",
    "neighbours_found",
    "aligned",
    "aligned_nearest",
    "aligned_low",
    "pieces_found",
    "cosine",
    "numbers_missing",
    "names_missing",
    "negation_differs",
    "direction_missing",
    "opposite_aligned",
    "opposite_cosine",
    "speaks_of_self",
    "asks",
    "number_alone",
    "name_alone",
    "opposite_alone",
)
"""
In the order of a row; all from 0 to 1, but for cosines. The last three are of claims that are found but for
a number, a name, or by their opposite: 0, or the square of `aligned`.
"""


@dataclass(frozen=True, slots=True)
class Described:
    """
    A claim against its contexts.

    Attributes:
        row: The numbers of `FEATURES`.
        nearest: Index of the sentence that speaks most of the same.
        unfound: Numbers and names, as stems, that no sentence holds.
    """

    row: tuple[float, ...]
    nearest: int
    unfound: tuple[str, ...]


def describe_claims(claims: Sequence[str], sentences: Sequence[Sequence[str]]) -> list[Described]:
    """
    Each claim against the sentences that could support it, at least one; all texts are encoded in one go.

    Source: greedy alignment of word pieces as in BERTScore (Zhang et al. 2020), one-sided; the contrast
    with the claim's opposite is ours.
    """
    opposites = [oppose(claim) for claim in claims]
    texts = list(dict.fromkeys([*claims, *(text for few in (*opposites, *sentences) for text in few)]))
    pieces = dict(zip(texts, encode_pieces(texts, LAYER), strict=True))
    vectors = dict(zip(texts, embed("default", texts), strict=True))
    contexts: dict[tuple[str, ...], _Context] = {}
    described = []
    for claim, others, own in zip(claims, opposites, map(tuple, sentences), strict=True):
        if own not in contexts:
            contexts = {own: _Context.of(own, pieces, vectors)}  # equal ones follow each other
        described.append(_describe(claim, others, contexts[own], pieces, vectors))
    return described


@dataclass(frozen=True, slots=True)
class _Context:
    """
    The sentences of some contexts, ready to be compared with.

    Attributes:
        pieces: Vectors of the word pieces, one sentence after another, each beginning at its `starts`.
        filled: Indexes of the sentences that have any.
    """

    wordings: tuple[Wording, ...]
    vectors: Matrix
    pieces: Matrix
    starts: tuple[int, ...]
    filled: tuple[int, ...]
    stems: frozenset[str]
    neighbours: frozenset[tuple[str, str]]
    numbers: frozenset[str]

    @classmethod
    def of(
        cls, sentences: Sequence[str], pieces: Mapping[str, Pieces], vectors: Mapping[str, Matrix]
    ) -> _Context:
        import numpy as np

        wordings = tuple(map(read_wording, sentences))
        lengths = [len(pieces[sentence].tokens) for sentence in sentences]
        filled = tuple(at for at, length in enumerate(lengths) if length)
        starts = np.cumsum([0, *lengths])
        return cls(
            wordings=wordings,
            vectors=np.stack([vectors[sentence] for sentence in sentences]),
            pieces=np.concatenate([pieces[sentence].vectors for sentence in sentences]),
            starts=tuple(int(starts[at]) for at in filled),
            filled=filled,
            stems=frozenset(stem for each in wordings for stem in each.stems),
            neighbours=frozenset(pair for each in wordings for pair in each.neighbours),
            numbers=frozenset(number for each in wordings for number in each.numbers),
        )

    def align(self, text: Pieces) -> Matrix:
        """The best cosine of each word piece in each sentence, shape (pieces, sentences)."""
        import numpy as np

        aligned = np.zeros((len(text.tokens), len(self.wordings)), dtype=np.float32)
        if self.filled:
            cosines = text.vectors @ self.pieces.T
            aligned[:, self.filled] = np.maximum.reduceat(cosines, self.starts, axis=1)
        return aligned


@dataclass(frozen=True, slots=True)
class _Compared:
    """
    A claim against each sentence of its contexts.

    Attributes:
        weights: Of the claim's word pieces.
        aligned: The best cosine of each word piece in each sentence, shape (pieces, sentences).
        by_sentence: Its weighted mean over the word pieces.
        cosines: Of the whole claim and each sentence.
        shared: Share of the claim's content words that each sentence has.
        nearest: Index of the sentence that speaks most of the same.
        evidence: Indexes of the sentences that are the evidence, the best first.
    """

    wording: Wording
    weights: Matrix
    aligned: Matrix
    by_sentence: Matrix
    cosines: Matrix
    shared: NDArray[np.float64]
    nearest: int
    evidence: tuple[int, ...]

    @classmethod
    def of(cls, claim: str, pieces: Pieces, vector: Matrix, context: _Context) -> _Compared:
        import numpy as np

        wording = read_wording(claim)
        weights = _weigh(pieces.tokens)
        aligned = context.align(pieces)
        by_sentence = weights @ aligned
        cosines = context.vectors @ vector
        stems = set(wording.stems)
        shared = np.array([_share(stems, each.stems, 1.0) for each in context.wordings])
        return cls(
            wording=wording,
            weights=weights,
            aligned=aligned,
            by_sentence=by_sentence,
            cosines=cosines,
            shared=shared,
            nearest=int((by_sentence + cosines).argmax()),
            evidence=tuple(map(int, np.argsort(-(shared + cosines), kind="stable")[:_NEAREST])),
        )


def _describe(
    claim: str,
    opposites: Sequence[str],
    context: _Context,
    pieces: Mapping[str, Pieces],
    vectors: Mapping[str, Matrix],
) -> Described:
    compared = _Compared.of(claim, pieces[claim], vectors[claim], context)
    wording, nearest = compared.wording, compared.nearest
    numbers, names = wording.numbers - context.numbers, wording.names - context.stems
    contrasts = [_contrast(pieces[other], vectors[other], context, compared) for other in opposites]
    opposed = max(0.0, *(aligned_by for aligned_by, _ in contrasts))
    alignment = _measure_alignment(compared)
    alone = alignment["aligned"] ** 2
    values: Mapping[str, float] = {
        **alignment,
        **_measure_wording(compared, context),
        "numbers_missing": len(numbers) / max(len(wording.numbers), 1),
        "names_missing": len(names) / max(len(wording.names), 1),
        "opposite_aligned": _PER_POINT * opposed,
        "opposite_cosine": _PER_POINT * max(0.0, *(cosine_by for _, cosine_by in contrasts)),
        "number_alone": alone if numbers else 0.0,
        "name_alone": alone if names else 0.0,
        "opposite_alone": alone if opposed else 0.0,
    }
    return Described(tuple(values[name] for name in FEATURES), nearest, tuple(sorted(numbers | names)))


def _measure_alignment(compared: _Compared) -> dict[str, float]:
    """How well the claim's word pieces and its meaning are found in the sentences."""
    import numpy as np

    weights, aligned = compared.weights, compared.aligned
    alike = np.argsort(-(compared.shared + 1e-3 * compared.by_sentence), kind="stable")[:_NEAREST]
    best = aligned.max(axis=1)
    content = best[weights > _FUNCTION_WEIGHT * weights.max()] if len(best) else best
    return {
        "aligned": float(weights @ best),
        "aligned_nearest": float(weights @ aligned[:, alike].max(axis=1)),
        "aligned_low": float(np.quantile(content, _LOW)) if len(content) else 1.0,
        "pieces_found": float(weights @ (best > _FOUND)),
        "cosine": float(compared.cosines.max()),
    }


def _measure_wording(compared: _Compared, context: _Context) -> dict[str, float]:
    """How far the claim's words agree with those of the contexts and of the evidence."""
    wording = compared.wording
    words = _share(set(wording.stems), context.stems, 1.0)
    evidence = [context.wordings[at] for at in compared.evidence]
    directions = {each.direction for each in evidence}
    return {
        "words_found": words,
        "neighbours_found": _share(wording.neighbours, context.neighbours, words),
        "negation_differs": float(wording.negated != evidence[0].negated),
        "direction_missing": float(wording.direction != 0 and wording.direction not in directions),
        "speaks_of_self": float(wording.speaks_of_self and not any(each.speaks_of_self for each in evidence)),
        "asks": float(wording.asks),
    }


def _contrast(other: Pieces, vector: Matrix, context: _Context, compared: _Compared) -> tuple[float, float]:
    """By how much an opposite of the claim is nearer to the nearest sentence: by pieces, by cosine."""
    if not len(other.tokens):
        return 0.0, 0.0
    nearest = compared.nearest
    turned = float(_weigh(other.tokens) @ context.align(other)[:, nearest])
    cosine = float(context.vectors[nearest] @ vector - compared.cosines[nearest])
    return turned - float(compared.by_sentence[nearest]), cosine


def _share(wanted: Collection[Any], there: Collection[Any], empty: float) -> float:
    """The share of what is wanted that is there; `empty` where nothing is wanted."""
    return sum(each in there for each in wanted) / len(wanted) if wanted else empty


def _weigh(tokens: Sequence[str]) -> Matrix:
    """A weight for each word piece, which sum to 1: little for words of grammar, none for marks."""
    import numpy as np

    weights = np.array([_weight(token) for token in tokens], dtype=np.float32)
    total = weights.sum()
    return weights / total if total else np.full(len(tokens), 1 / max(len(tokens), 1), dtype=np.float32)


@lru_cache(maxsize=65_536)
def _weight(token: str) -> float:
    bare = token.removeprefix("##")
    if not any(map(str.isalnum, bare)):
        return 0.0
    return _FUNCTION_WEIGHT if token in FUNCTION_WORDS else 1.0
