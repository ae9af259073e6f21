"""Vectors of texts, kept in files, so that documents are encoded once and not at every start."""

from __future__ import annotations

import hashlib
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reference_app.whole_file import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Encode = Callable[[Sequence[str]], NDArray[np.float32]]

SHIPPED = Path(__file__).parents[1] / "knowledge" / "vectors.npz"


def load_vectors(
    texts: Sequence[str], *, encoder: str, encode: Encode, folder: Path, shipped: Path = SHIPPED
) -> NDArray[np.float32]:
    """
    Unit vectors of the texts, shape (texts, dimensions); only texts without a kept vector are encoded.

    Args:
        texts: At least one.
        encoder: Identifies the encoder and its weights.
        encode: Makes vectors of texts to be found.
        folder: Keeps what is encoded here; where it cannot, the next start encodes again.
        shipped: The vectors of the app's own documents.
    """
    import numpy as np

    digests = [digest(encoder, text) for text in texts]
    known = read_vectors(shipped)
    if not known.keys() >= {*digests}:
        cache = folder / f"{hashlib.sha256(b''.join(digests)).hexdigest()[:24]}.npz"
        known |= read_vectors(cache)
        if missing := [place for place, key in enumerate(digests) if key not in known]:
            fresh = np.asarray(encode([texts[place] for place in missing]), dtype=np.float32)
            fresh /= np.linalg.norm(fresh, axis=1, keepdims=True)
            known |= {
                digests[place]: row.astype(np.float16) for place, row in zip(missing, fresh, strict=True)
            }
            with suppress(OSError):
                write_vectors(cache, {key: known[key] for key in digests})
    return np.array([known[key] for key in digests], dtype=np.float32)


def digest(encoder: str, text: str) -> bytes:
    """The key under which the vector of a text is kept."""
    return hashlib.sha256(f"{encoder}\0{text}".encode("utf-8", "surrogatepass")).digest()[:12]


def read_vectors(path: Path) -> dict[bytes, NDArray[np.float16]]:
    """The vectors of a file by their digests; none where it is missing or damaged."""
    import numpy as np

    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return dict(zip(map(bytes, file["digests"]), file["vectors"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def write_vectors(path: Path, vectors: Mapping[bytes, NDArray[np.float16]]) -> None:
    """Keep vectors by their digests, in half precision."""
    import numpy as np

    keys = sorted(vectors)
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            digests=np.array([np.frombuffer(key, dtype=np.uint8) for key in keys]),
            vectors=np.array([vectors[key] for key in keys], dtype=np.float16),
        )
