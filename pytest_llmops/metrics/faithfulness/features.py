"""Features of the small model: how well a claim's words and meaning are found in its contexts."""

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
_NEAREST = 3  # sentences that count as evidence
_FOUND = 0.6  # cosine from which on a word piece counts as found
_FUNCTION_WEIGHT = 0.1
_LOW = 0.2  # quantile of a claim's content pieces that measures the worst of them
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
In the order of a row; all from 0 to 1, but for cosines. The last three are of claims that lack only a number,
a name, or that match by their opposite: 0, or the square of `aligned`.
"""


@dataclass(frozen=True, slots=True)
class Described:
    """
    A claim against its contexts.

    Attributes:
        row: The numbers of `FEATURES`.
        nearest: Index of the sentence that is most about the same.
        unfound: Numbers and names, as stems, that no sentence has.
    """

    row: tuple[float, ...]
    nearest: int
    unfound: tuple[str, ...]


def describe_claims(claims: Sequence[str], sentences: Sequence[Sequence[str]]) -> list[Described]:
    """
    Describe each claim against the sentences that could support it, at least one; encodes all texts at once.

    Source: greedy alignment of word pieces as in BERTScore (Zhang et al. 2020), one-sided; the contrast
    with the claim's opposite is ours.
    """
    opposites = [oppose(claim) for claim in claims]
    texts = list(dict.fromkeys([*claims, *(text for few in (*opposites, *sentences) for text in few)]))
    pieces = dict(zip(texts, encode_pieces(texts, LAYER), strict=True))
    vectors = dict(zip(texts, embed("default", texts), strict=True))
    encoded = {text: (pieces[text], vectors[text]) for text in texts}
    contexts: dict[tuple[str, ...], _Context] = {}
    described = []
    for claim, others, own in zip(claims, opposites, map(tuple, sentences), strict=True):
        if own not in contexts:
            contexts = {own: _Context(own, encoded)}  # equal ones follow each other
        comparison = _Comparison(read_wording(claim), *encoded[claim], contexts[own])
        described.append(comparison.describe([encoded[other] for other in others]))
    return described


class _Context:
    """The sentences of some contexts, ready to be compared with."""

    def __init__(self, sentences: Sequence[str], encoded: Mapping[str, tuple[Pieces, Matrix]]) -> None:
        import numpy as np

        self.wordings = tuple(map(read_wording, sentences))
        self.vectors = np.stack([encoded[sentence][1] for sentence in sentences])
        self.stems = frozenset(stem for wording in self.wordings for stem in wording.stems)
        self.neighbours = frozenset(pair for wording in self.wordings for pair in wording.neighbours)
        self.numbers = frozenset(number for wording in self.wordings for number in wording.numbers)
        # Vectors of the word pieces, one sentence after another; some sentences have none.
        self._pieces = np.concatenate([encoded[sentence][0].vectors for sentence in sentences])
        lengths = [len(encoded[sentence][0].tokens) for sentence in sentences]
        starts = np.cumsum([0, *lengths])
        self._filled = tuple(at for at, length in enumerate(lengths) if length)
        self._starts = tuple(int(starts[at]) for at in self._filled)

    def align(self, text: Pieces) -> Matrix:
        """Return the best cosine of each word piece in each sentence, shape (pieces, sentences)."""
        import numpy as np

        aligned = np.zeros((len(text.tokens), len(self.wordings)), dtype=np.float32)
        if self._filled:
            cosines = text.vectors @ self._pieces.T
            aligned[:, self._filled] = np.maximum.reduceat(cosines, self._starts, axis=1)
        return aligned


class _Comparison:
    """A claim against each sentence of its contexts."""

    def __init__(self, wording: Wording, pieces: Pieces, vector: Matrix, context: _Context) -> None:
        import numpy as np

        self._wording = wording
        self._context = context
        self._weights = _weigh(pieces.tokens)
        self._aligned = context.align(pieces)
        self._by_sentence = self._weights @ self._aligned
        self._cosines = context.vectors @ vector
        stems = set(wording.stems)
        self._shared = np.array([_share(stems, other.stems, 1.0) for other in context.wordings])
        self._nearest = int((self._by_sentence + self._cosines).argmax())

    def describe(self, opposites: Sequence[tuple[Pieces, Matrix]]) -> Described:
        """Return the features of the claim, given the encoded opposites of it."""
        wording = self._wording
        numbers, names = wording.numbers - self._context.numbers, wording.names - self._context.stems
        contrasts = [self._contrast(*opposite) for opposite in opposites]
        opposed = max(0.0, *(aligned_by for aligned_by, _ in contrasts))
        alignment = self._measure_alignment()
        alone = alignment["aligned"] ** 2
        values: Mapping[str, float] = {
            **alignment,
            **self._measure_wording(),
            "numbers_missing": len(numbers) / max(len(wording.numbers), 1),
            "names_missing": len(names) / max(len(wording.names), 1),
            "opposite_aligned": _PER_POINT * opposed,
            "opposite_cosine": _PER_POINT * max(0.0, *(cosine_by for _, cosine_by in contrasts)),
            "number_alone": alone if numbers else 0.0,
            "name_alone": alone if names else 0.0,
            "opposite_alone": alone if opposed else 0.0,
        }
        row = tuple(values[name] for name in FEATURES)
        return Described(row, self._nearest, tuple(sorted(numbers | names)))

    def _measure_alignment(self) -> dict[str, float]:
        """Measure how well the claim's word pieces and its meaning are found in the sentences."""
        import numpy as np

        weights, aligned = self._weights, self._aligned
        alike = np.argsort(-(self._shared + 1e-3 * self._by_sentence), kind="stable")[:_NEAREST]
        best = aligned.max(axis=1)
        content = best[weights > _FUNCTION_WEIGHT * weights.max()] if len(best) else best
        return {
            "aligned": float(weights @ best),
            "aligned_nearest": float(weights @ aligned[:, alike].max(axis=1)),
            "aligned_low": float(np.quantile(content, _LOW)) if len(content) else 1.0,
            "pieces_found": float(weights @ (best > _FOUND)),
            "cosine": float(self._cosines.max()),
        }

    def _measure_wording(self) -> dict[str, float]:
        """Measure how far the claim's words agree with those of the contexts and of the evidence."""
        import numpy as np

        wording, context = self._wording, self._context
        words = _share(set(wording.stems), context.stems, 1.0)
        best_first = np.argsort(-(self._shared + self._cosines), kind="stable")
        evidence = [context.wordings[at] for at in best_first[:_NEAREST]]
        directions = {sentence.direction for sentence in evidence}
        speaks_of_self = any(sentence.speaks_of_self for sentence in evidence)
        return {
            "words_found": words,
            "neighbours_found": _share(wording.neighbours, context.neighbours, words),
            "negation_differs": float(wording.negated != evidence[0].negated),
            "direction_missing": float(wording.direction != 0 and wording.direction not in directions),
            "speaks_of_self": float(wording.speaks_of_self and not speaks_of_self),
            "asks": float(wording.asks),
        }

    def _contrast(self, opposite: Pieces, vector: Matrix) -> tuple[float, float]:
        """Return by how much an opposite is nearer to the nearest sentence: by pieces, by cosine."""
        if not len(opposite.tokens):
            return 0.0, 0.0
        nearest = self._nearest
        aligned = float(_weigh(opposite.tokens) @ self._context.align(opposite)[:, nearest])
        cosine = float(self._context.vectors[nearest] @ vector - self._cosines[nearest])
        return aligned - float(self._by_sentence[nearest]), cosine


def _share(wanted: Collection[Any], there: Collection[Any], empty: float) -> float:
    """Return the share of wanted things that are there; `empty` if nothing is wanted."""
    return sum(thing in there for thing in wanted) / len(wanted) if wanted else empty


def _weigh(tokens: Sequence[str]) -> Matrix:
    """Return weights of the word pieces that sum to 1: little for words of grammar, none for marks."""
    import numpy as np

    weights = np.array([_weight(token) for token in tokens], dtype=np.float32)
    total = weights.sum()
    return weights / total if total else np.full(len(tokens), 1 / max(len(tokens), 1), dtype=np.float32)


@lru_cache(maxsize=65_536)
def _weight(token: str) -> float:
    if not any(map(str.isalnum, token.removeprefix("##"))):
        return 0.0
    return _FUNCTION_WEIGHT if token in FUNCTION_WORDS else 1.0
