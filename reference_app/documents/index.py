"""Vectors of texts kept on disk, so that documents are encoded once and not at every start."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Encode = Callable[[Sequence[str]], NDArray[np.float32]]

FORMAT = 1  # raised when the same texts would be stored otherwise


class Vectors:
    """Unit vectors of fixed texts; may be searched from many threads."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def search(self, vector: Sequence[float], count: int) -> list[tuple[int, float]]:
        """
        Positions of the nearest texts and their cosine similarity, best first.

        The search compares with every vector: a few hundred cost microseconds, and an approximate walk
        could miss a passage that a test then calls a regression.
        """
        import numpy as np

        query = np.asarray(vector, dtype=np.float32)
        matches = self._index.search(query, min(count, len(self._index)), exact=True)
        found = [(int(match.key), 1.0 - float(match.distance)) for match in matches]
        return sorted(found, key=lambda match: (-match[1], match[0]))

    def similarities(self, vector: Sequence[float], positions: Sequence[int]) -> list[float]:
        """Cosine similarity to the texts at these positions, in their order."""
        import numpy as np

        kept = self._index.get(np.asarray(positions))
        return [float(value) for value in kept @ np.asarray(vector, dtype=np.float32)]


def open_vectors(texts: Sequence[str], *, encoder: str, encode: Encode, folder: Path) -> Vectors:
    """
    The vectors of the texts, encoded now where no earlier process has done so.

    The file is named by a hash of the texts and the encoder, so it is never out of date. It is written
    whole or not at all; of two processes that build at once the later replaces the equal file of the first.

    Args:
        texts: At least one.
        encoder: Name that identifies the encoder and its weights.
        encode: Called with all texts; returns shape (texts, dimensions).
        folder: Holds the files.
    """
    digest = hashlib.sha256(f"{FORMAT}\0{encoder}".encode())
    for text in texts:
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    path = folder / f"{digest.hexdigest()[:24]}.usearch"
    index = _restore(path)
    if index is None:
        index = _build(encode(texts))
        _save(index, path)
    return Vectors(index)


def _restore(path: Path) -> Any | None:
    """The index in the file, mapped and read as it is searched; None where there is no whole one."""
    from usearch.index import Index

    try:
        return Index.restore(path, view=True)
    except (ValueError, RuntimeError):
        return None


def _build(vectors: NDArray[np.float32]) -> Any:
    import numpy as np
    from usearch.index import Index

    index = Index(ndim=vectors.shape[1], metric="cos", dtype="f32")
    index.add(np.arange(len(vectors)), vectors, threads=1)
    return index


def _save(index: Any, path: Path) -> None:
    # A cache that is read-only or full costs the next start a few seconds, nothing else.
    with suppress(OSError, RuntimeError), replacing(path) as part:
        index.save(str(part))
