"""Texts to vectors, each text once: from memory, from the cache, or else from the encoder."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from pytest_llmops.models import cache
from pytest_llmops.models.encoder import load_encoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_KIND = "vector"
_IN_MEMORY = 8_192  # vectors, 1.5 kB each for the default encoder
_OFF_UNIT = 1e-3

_memory: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
_lock = Lock()


def embed(encoder: str, texts: Sequence[str]) -> NDArray[np.float32]:
    """
    Unit vectors of the texts, shape (texts, dimensions).

    Args:
        encoder: `default`, a folder or a hub name.

    Raises:
        WeightsError, MissingExtraError: Some text is in no cache and the encoder cannot be loaded.
    """
    import numpy as np

    model = load_encoder(encoder)
    identity = model.identity
    keys = [hashlib.sha256(f"{identity}\0{text}".encode(errors="surrogatepass")).digest() for text in texts]
    unique = dict(zip(keys, texts, strict=True))
    with _lock:
        found = {key: _memory[key] for key in unique if key in _memory}
    lacking = [key for key in unique if key not in found]
    for key, stored in cache.read(_KIND, lacking).items():
        vector = _decode(stored)
        if vector is not None:
            found[key] = vector
    fresh = [key for key in lacking if key not in found]
    if fresh:
        made = dict(zip(fresh, model.encode([unique[key] for key in fresh]), strict=True))
        cache.write(_KIND, {key: vector.astype("<f4").tobytes() for key, vector in made.items()})
        found.update(made)
    _remember({key: found[key] for key in lacking})
    return np.stack([found[key] for key in keys])


def forget() -> None:
    """Drop the vectors in memory; the cache keeps its own."""
    with _lock:
        _memory.clear()


def _remember(vectors: dict[bytes, NDArray[np.float32]]) -> None:
    with _lock:
        _memory.update(vectors)
        while len(_memory) > _IN_MEMORY:
            _memory.popitem(last=False)


def _decode(stored: bytes) -> NDArray[np.float32] | None:
    """A stored vector; None when what is stored is no unit vector, so that it is made again."""
    import numpy as np

    if not stored or len(stored) % 4:
        return None
    vector = np.frombuffer(stored, dtype="<f4").astype(np.float32)
    return vector if abs(float(vector @ vector) - 1) < _OFF_UNIT else None
