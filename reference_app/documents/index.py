"""Vectors of texts kept on disk, so that documents are encoded once and not at every start."""

from __future__ import annotations

import hashlib
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Encode = Callable[[Sequence[str]], NDArray[np.float32]]

FORMAT = 2  # raised when the same texts would be stored otherwise
SHIPPED = Path(__file__).parents[1] / "knowledge" / "vectors.npz"


@dataclass(frozen=True, slots=True)
class Vectors:
    """
    Unit vectors of fixed texts; may be searched from many threads.

    A search compares with every vector: a few thousand cost a fraction of a millisecond, and an approximate
    walk could miss a passage that a test then calls a regression.

    Attributes:
        matrix: Shape (texts, dimensions).
    """

    matrix: NDArray[np.float32]

    def similarities(self, vector: Sequence[float]) -> NDArray[np.float32]:
        """Cosine similarity to each text, in their order."""
        import numpy as np

        likeness: NDArray[np.float32] = self.matrix @ np.asarray(vector, dtype=np.float32)
        return likeness

    def search(self, vector: Sequence[float], count: int) -> list[tuple[int, float]]:
        """Positions of the nearest texts and their cosine similarity, best first; of equal ones the first."""
        import numpy as np

        likeness = self.similarities(vector)
        nearest = np.argsort(-likeness, kind="stable")[:count]
        return [(int(place), float(likeness[place])) for place in nearest]


@dataclass(frozen=True, kw_only=True)
class Store:
    """
    Where vectors are found again.

    The vectors of the documents as they came are part of the app, by the digest of each text and its
    encoder, so that only what was changed is encoded. What was encoded is kept in a file that is named by a
    hash of all texts and the encoder, so it is never out of date. It is written whole or not at all; of two
    processes that build at once the later replaces the equal file of the first.

    Attributes:
        folder: Holds what was encoded here.
        shipped: The vectors that came with the app.
    """

    folder: Path
    shipped: Path = SHIPPED

    def open(self, texts: Sequence[str], *, encoder: str, encode: Encode) -> Vectors:
        """
        The vectors of the texts.

        Args:
            texts: At least one.
            encoder: Name that identifies the encoder, its weights, and how it is used.
            encode: Called with the texts that nobody has encoded; returns shape (texts, dimensions).
        """
        import numpy as np

        digests = [digest(text, encoder) for text in texts]
        path = (
            self.folder / f"{hashlib.sha256(f'{FORMAT}'.encode() + b''.join(digests)).hexdigest()[:24]}.npy"
        )
        if (kept := _restore(path, len(texts))) is not None:
            return Vectors(kept)
        known = self._known
        missing = [place for place, each in enumerate(digests) if each not in known]
        encoded = encode([texts[place] for place in missing]) if missing else None
        rows = {place: encoded[row] for row, place in enumerate(missing)} if encoded is not None else {}
        matrix = np.array(
            [rows[place] if place in rows else known[each] for place, each in enumerate(digests)],
            dtype=np.float32,
        )
        # A cache that is read-only or full costs the next start a few seconds, nothing else.
        if missing:
            with suppress(OSError), replacing(path) as part, part.open("wb") as file:
                np.save(file, matrix)
        return Vectors(matrix)

    @cached_property
    def _known(self) -> dict[bytes, NDArray[np.float32]]:
        return read_shipped(self.shipped)


def digest(text: str, encoder: str) -> bytes:
    """What a text's vector is found by."""
    return hashlib.sha256(f"{encoder}\0{text}".encode("utf-8", "surrogatepass")).digest()[:12]


def read_shipped(path: Path) -> dict[bytes, NDArray[np.float32]]:
    """The vectors of a file by their digests; empty where there is no whole one."""
    import numpy as np

    try:
        # Opened here: numpy leaves a file open that is no whole archive.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            digests, vectors = file["digests"], file["vectors"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return {bytes(each): unit[place] for place, each in enumerate(digests)}


def write_shipped(path: Path, vectors: dict[bytes, NDArray[np.float32]]) -> None:
    """Keep vectors by their digests, in half precision."""
    import numpy as np

    ordered = sorted(vectors)
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            digests=np.array([np.frombuffer(each, dtype=np.uint8) for each in ordered]),
            vectors=np.array([vectors[each] for each in ordered], dtype=np.float16),
        )


def _restore(path: Path, count: int) -> NDArray[np.float32] | None:
    """The vectors in the file; None where there is no whole one."""
    import numpy as np

    try:
        matrix: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return matrix if matrix.ndim == 2 and len(matrix) == count else None  # noqa: PLR2004 - a matrix
