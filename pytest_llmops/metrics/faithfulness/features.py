"""What the small model looks at: how well a claim's words and meaning are found in its contexts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pytest_llmops.metrics.faithfulness.wording import Wording, oppose, read_wording
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
    A claim beside its contexts.

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
    Each claim beside the sentences that could support it, at least one; all texts are encoded in one go.

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


def _describe(
    claim: str,
    opposites: Sequence[str],
    context: _Context,
    pieces: Mapping[str, Pieces],
    vectors: Mapping[str, Matrix],
) -> Described:
    import numpy as np

    wording = read_wording(claim)
    weights = _weigh(pieces[claim].tokens)
    aligned = context.align(pieces[claim])
    by_sentence = weights @ aligned
    cosines = context.vectors @ vectors[claim]
    nearness = by_sentence + cosines
    nearest = int(nearness.argmax())
    stems = set(wording.stems)
    shared = np.array([_share(stems, each.stems, 1.0) for each in context.wordings])
    evidence = np.argsort(-(shared + cosines), kind="stable")[:_NEAREST]
    alike = np.argsort(-(shared + 1e-3 * by_sentence), kind="stable")[:_NEAREST]
    best = aligned.max(axis=1)
    content = best[weights > _FUNCTION_WEIGHT * weights.max()] if len(best) else best
    said = context.wordings[int(evidence[0])]
    directions = {context.wordings[int(at)].direction for at in evidence}

    def contrast(other: str) -> tuple[float, float]:
        if not len(pieces[other].tokens):
            return 0.0, 0.0
        turned = float(_weigh(pieces[other].tokens) @ context.align(pieces[other])[:, nearest])
        return turned - float(by_sentence[nearest]), float(
            context.vectors[nearest] @ vectors[other] - cosines[nearest]
        )

    contrasts = [contrast(other) for other in opposites]
    found = float(weights @ best)
    numbers, names = wording.numbers - context.numbers, wording.names - context.stems
    opposed = max(0.0, *(aligned_by for aligned_by, _ in contrasts))
    values: Mapping[str, float] = {
        "words_found": _share(stems, context.stems, 1.0),
        "neighbours_found": _share(wording.neighbours, context.neighbours, _share(stems, context.stems, 1.0)),
        "aligned": found,
        "aligned_nearest": float(weights @ aligned[:, alike].max(axis=1)),
        "aligned_low": float(np.quantile(content, _LOW)) if len(content) else 1.0,
        "pieces_found": float(weights @ (best > _FOUND)),
        "cosine": float(cosines.max()),
        "numbers_missing": len(numbers) / max(len(wording.numbers), 1),
        "names_missing": len(names) / max(len(wording.names), 1),
        "negation_differs": float(wording.negated != said.negated),
        "direction_missing": float(wording.direction != 0 and wording.direction not in directions),
        "opposite_aligned": _PER_POINT * opposed,
        "opposite_cosine": _PER_POINT * max(0.0, *(cosine_by for _, cosine_by in contrasts)),
        "speaks_of_self": float(
            wording.speaks_of_self and not any(context.wordings[int(at)].speaks_of_self for at in evidence)
        ),
        "asks": float(wording.asks),
        "number_alone": found**2 if numbers else 0.0,
        "name_alone": found**2 if names else 0.0,
        "opposite_alone": found**2 if opposed else 0.0,
    }
    return Described(tuple(values[name] for name in FEATURES), nearest, tuple(sorted(numbers | names)))


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
