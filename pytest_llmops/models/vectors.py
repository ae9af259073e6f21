"""Texts to vectors, each text once: from memory, from the cache, or else from the encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.models.encoders import EncoderChoice, RefusedTextsError, load_encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_IN_MEMORY = 8_192  # vectors, 1.5 kB each for the default encoder
_AT_ONCE = 1_024  # texts given to an encoder, which makes its own batches of them
_OFF_UNIT = 1e-3


def embed(encoder: EncoderChoice | str, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
    """
    Unit vectors of the texts, shape (texts, dimensions).

    Args:
        query: The texts are questions, which some models encode otherwise than their answers.

    Raises:
        WeightsError, MissingExtraError: Some text is in no cache and the encoder cannot be loaded.
        RefusedTextsError: An endpoint does not take some of the texts; those of all others are kept.
        EncodingError: An endpoint gave no vectors.
    """
    import numpy as np

    model = load_encoder(encoder)
    role = ("query",) if query and model.asymmetric else ()
    keys = [key_of(model.identity, *role, text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))
    refused: dict[str, str] = {}

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, NDArray[np.float32]]]:
        by_length = sorted(fresh, key=lambda key: len(text_of[key]))
        for start in range(0, len(by_length), _AT_ONCE):
            block = by_length[start : start + _AT_ONCE]
            try:
                made = model.encode([text_of[key] for key in block], query=query)
            except RefusedTextsError as error:
                refused.update(error.refused)
                made = error.vectors
            vectors = dict(zip(block, made, strict=True))
            yield {key: vector for key, vector in vectors.items() if text_of[key] not in refused}

    by_key = _memory.recall(keys, make)
    if refused:
        raise RefusedTextsError(refused, np.empty((0, 0), dtype=np.float32))
    return np.stack([by_key[key] for key in keys])


def forget() -> None:
    """Drop the vectors in memory; the cache keeps its own."""
    _memory.forget()


def _read(stored: bytes) -> NDArray[np.float32] | None:
    """A stored vector; None where the bytes are no unit vector."""
    import numpy as np

    if not stored or len(stored) % 4:
        return None
    vector = np.frombuffer(stored, dtype="<f4").astype(np.float32)
    return vector if abs(float(vector @ vector) - 1) < _OFF_UNIT else None


_memory: Memory[NDArray[np.float32]] = Memory(
    "vector", _IN_MEMORY, write=lambda vector: vector.astype("<f4").tobytes(), read=_read
)
