"""Greedy matching of word pieces: what BERTScore counts, and the words that found no near one."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.models.pieces import Pieces, encode_pieces, split_pieces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = 1  # raised when a change here moves a match
_AT_ONCE = 128  # pairs whose word pieces are held at once
_IN_MEMORY = 8_192
_FAR_AT_MOST = 3
_NEAR = 0.6  # a word of the reference that is as near to one of the output is not reported


class Match(NamedTuple):
    """
    How well the word pieces of an output and a reference match, each part -1 to 1; not a number where no
    piece has a weight.

    Attributes:
        precision: Mean over the output's pieces of the cosine to the nearest one of the reference.
        recall: The same, over the reference's.
        far: The reference's words that are furthest from every one of the output, with their cosine.
    """

    precision: float
    recall: float
    far: tuple[tuple[str, float], ...] = ()

    @property
    def f(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 or math.isnan(total) else 0.0


def match_texts(pairs: Sequence[tuple[str, str]], layer: int, corpus: tuple[str, ...] = ()) -> list[Match]:
    """
    The match of each pair of output and reference, each distinct pair once.

    Args:
        corpus: Reference sentences from which the weights of word pieces are taken; none weighs all alike.
    """
    setting = (load_embedded().identity, str(_VERSION), str(layer), str(len(corpus)), *corpus)
    keys = [key_of(*setting, str(len(output)), output, reference) for output, reference in pairs]
    pair_of = dict(zip(keys, pairs, strict=True))

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, Match]]:
        weights = _weights(corpus)
        by_length = sorted(fresh, key=lambda key: sum(map(len, pair_of[key])))
        for start in range(0, len(by_length), _AT_ONCE):
            block = by_length[start : start + _AT_ONCE]
            texts = [text for key in block for text in pair_of[key]]
            pieces = encode_pieces(texts, layer, special=True)
            sides = zip(block, pieces[0::2], pieces[1::2], strict=True)
            yield {
                key: _match(output, reference, pair_of[key][1], weights) for key, output, reference in sides
            }

    matched = _memory.recall(keys, make)
    return [matched[key] for key in keys]


def forget() -> None:
    """Drop the matches in memory; the cache keeps its own."""
    _memory.forget()


@lru_cache(maxsize=8)
def _weights(corpus: tuple[str, ...]) -> Mapping[str, float] | None:
    """
    Inverse document frequency of word pieces, the sentences as documents; "" is one that none holds.

    Source: Zhang et al. (2020), BERTScore, section 3, with the plus one of the package bert-score.
    """
    if not corpus:
        return None
    counts = Counter(piece for pieces in split_pieces(corpus) for piece in set(pieces))
    total = len(corpus) + 1
    return {"": math.log(total), **{piece: math.log(total / (count + 1)) for piece, count in counts.items()}}


def _match(output: Pieces, reference: Pieces, text: str, weights: Mapping[str, float] | None) -> Match:
    """[CLS] and [SEP] weigh nothing, but may be what a piece is nearest to."""
    if min(len(output.tokens), len(reference.tokens)) == len(("[CLS]", "[SEP]")):
        return Match(0.0, 0.0)
    cosines = output.vectors @ reference.vectors.T
    nearest = cosines.max(axis=0)[1:-1]
    return Match(
        _mean(cosines.max(axis=1)[1:-1], output.tokens[1:-1], weights),
        _mean(nearest, reference.tokens[1:-1], weights),
        _far(nearest, reference, text),
    )


def _mean(cosines: NDArray[np.float32], tokens: Sequence[str], weights: Mapping[str, float] | None) -> float:
    if weights is None:
        return float(cosines.mean(dtype="f8"))
    each = [weights.get(token, weights[""]) for token in tokens]
    total = sum(each)
    return float(cosines.astype("f8") @ each) / total if total else math.nan


def _far(nearest: NDArray[np.float32], reference: Pieces, text: str) -> tuple[tuple[str, float], ...]:
    """Words put together from their pieces; a word is as near as its furthest piece."""
    words: list[tuple[int, int, float]] = []
    for token, (start, end), cosine in zip(
        reference.tokens[1:-1], reference.offsets[1:-1], nearest.tolist(), strict=True
    ):
        if words and token.startswith("##"):
            words[-1] = (words[-1][0], end, min(words[-1][2], cosine))
        else:
            words.append((start, end, cosine))
    far = [(text[start:end], cosine) for start, end, cosine in words if cosine < _NEAR]
    far = [(word, round(cosine, 4)) for word, cosine in far if any(map(str.isalnum, word))]
    return tuple(sorted(far, key=lambda word: word[1])[:_FAR_AT_MOST])


def _write(match: Match) -> bytes:
    return json.dumps([match.precision, match.recall, match.far]).encode()


def _read(stored: bytes) -> Match | None:
    try:
        precision, recall, far = json.loads(stored)
        return Match(
            float(precision), float(recall), tuple((str(word), float(cosine)) for word, cosine in far)
        )
    except (TypeError, ValueError):
        return None


_memory: Memory[Match] = Memory("match", _IN_MEMORY, _write, _read)
