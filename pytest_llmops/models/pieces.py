"""Texts to vectors of their word pieces, after a layer of the packaged MiniLM; each text once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.models import weights
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.models.minilm import well_formed

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
        offsets: Start and end of each in the text; [CLS] and [SEP], where asked for, have (0, 0).
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
    unique = list(dict.fromkeys(texts))
    found: dict[str, Pieces] = {}
    with _lock:
        for text in unique:
            if (known := _memory.get((text, layer))) is not None:
                found[text] = known
    if fresh := [text for text in unique if text not in found]:
        made = dict(zip(fresh, _encode(fresh, layer), strict=True))
        with _lock:
            _memory.update({(text, layer): pieces for text, pieces in made.items()})
        found.update(made)
    return [found[text] if special else _without_special(found[text]) for text in texts]


def split_pieces(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """The texts' word pieces alone, [CLS] and [SEP] left out."""
    return [tuple(each.tokens[1:-1]) for each in _tokenize(texts)]


def forget() -> None:
    """Drop the vectors in memory."""
    with _lock:
        _memory.clear()


def _encode(texts: Sequence[str], layer: int) -> list[Pieces]:
    encodings = _tokenize(texts)
    vectors = load_embedded().encode_pieces([each.ids for each in encodings], layer)
    return [
        Pieces(tokens=tuple(each.tokens), vectors=own, offsets=tuple(each.offsets))
        for each, own in zip(encodings, vectors, strict=True)
    ]


def _tokenize(texts: Sequence[str]) -> list[Any]:
    tokenizer = _tokenizer()
    return [tokenizer.encode(well_formed(text[:_READ_AT_MOST])) for text in texts]


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    """MiniLM's own, but for the length that it cuts texts to, and with the offsets."""
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError:
        raise MissingExtraError("the default encoder", "local") from None
    tokenizer = Tokenizer.from_file(str(weights.find("minilm") / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    return tokenizer


def _without_special(pieces: Pieces) -> Pieces:
    return Pieces(tokens=pieces.tokens[1:-1], vectors=pieces.vectors[1:-1], offsets=pieces.offsets[1:-1])
