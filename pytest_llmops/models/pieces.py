"""Texts to vectors of their word pieces, after a layer of the packaged MiniLM; each text once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from cachetools import LRUCache

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.models import weights
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.models.minilm import WordPieceTokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST = 512  # word pieces of a text that are read, [CLS] and [SEP] included: the network has no more places
_READ_AT_MOST = 40_000  # characters given to the tokenizer: 512 word pieces are far shorter in any language
_IN_MEMORY = 64 << 20  # bytes of vectors that are kept, about 400 texts of 100 word pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """
    One text as the network sees it.

    Attributes:
        tokens: The word pieces, `##` before one that continues a word.
        vectors: A unit vector each, shape (pieces, 384), not to be written to.
        offsets: Start and end of each in the text; (0, 0) for [CLS] and [SEP].
    """

    tokens: tuple[str, ...]
    vectors: NDArray[np.float32]
    offsets: tuple[tuple[int, int], ...]


_memory: LRUCache[tuple[str, int], Pieces] = LRUCache(
    _IN_MEMORY, getsizeof=lambda pieces: pieces.vectors.nbytes
)
_lock = Lock()


def encode_pieces(texts: Sequence[str], layer: int, *, special: bool = False) -> list[Pieces]:
    """
    The texts' word pieces with their vectors after that layer, in order; equal texts share one.

    The vectors of 100 word pieces take 150 kB, so give many texts in blocks.

    Args:
        layer: 1 to 6; 0 is the embeddings before any.
        special: Keep [CLS] at the start and [SEP] at the end.

    Raises:
        WeightsError, MissingExtraError: The network cannot be loaded.
    """
    with _lock:
        remembered = {text: _memory.get((text, layer)) for text in texts}
    pieces_of = {text: pieces for text, pieces in remembered.items() if pieces is not None}
    if fresh := [text for text in remembered if text not in pieces_of]:
        encodings = [_tokenizer().encode(text) for text in fresh]
        vectors = load_embedded().encode_pieces([encoding.ids for encoding in encodings], layer)
        encoded = {
            text: Pieces(tokens=tuple(encoding.tokens), vectors=own, offsets=tuple(encoding.offsets))
            for text, encoding, own in zip(fresh, encodings, vectors, strict=True)
        }
        with _lock:
            _memory.update({(text, layer): pieces for text, pieces in encoded.items()})
        pieces_of.update(encoded)
    if special:
        return [pieces_of[text] for text in texts]
    return [
        Pieces(tokens=pieces.tokens[1:-1], vectors=pieces.vectors[1:-1], offsets=pieces.offsets[1:-1])
        for pieces in (pieces_of[text] for text in texts)
    ]


def split_pieces(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """The texts' word pieces without vectors and without [CLS] and [SEP]."""
    return [tuple(_tokenizer().encode(text).tokens[1:-1]) for text in texts]


def forget() -> None:
    """Drop the vectors in memory."""
    with _lock:
        _memory.clear()


@lru_cache(maxsize=1)
def _tokenizer() -> WordPieceTokenizer:
    """MiniLM's own, but for the length that it cuts texts to."""
    definition = (weights.find("minilm") / "tokenizer.json").read_bytes()
    try:
        return WordPieceTokenizer(definition, longest=LONGEST, characters=_READ_AT_MOST)
    except ModuleNotFoundError:
        raise MissingExtraError("the default encoder", "local") from None
