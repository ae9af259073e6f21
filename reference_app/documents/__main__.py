"""`python -m reference_app.documents` encodes the app's documents anew, after one of them was changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from reference_app.documents.encoders import open_encoders
from reference_app.documents.index import SHIPPED, digest, read_shipped, write_shipped
from reference_app.documents.knowledge import load_asked, load_knowledge
from reference_app.documents.search import Library
from reference_app.models.client import open_models
from reference_app.models.weights import find_weights
from reference_app.settings import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from reference_app.documents.index import Encode, Vectors


def encode_documents(path: Path = SHIPPED) -> int:
    """Write the vectors of all that is searched; those that are there already are kept. Returns how many."""
    settings = read_settings({})
    weights = find_weights(settings.weights)
    encoders = open_encoders(settings, weights, open_models(settings, weights))
    kept: dict[bytes, NDArray[np.float32]] = {}

    def collect(texts: list[str], kind: str, encode: Encode) -> Vectors:
        name = f"{encoders.name} {kind}"
        vectors = encoders.store.open(texts, encoder=name, encode=encode)
        kept.update({digest(text, name): vectors.matrix[place] for place, text in enumerate(texts)})
        return vectors

    Library(
        load_knowledge(settings.knowledge),
        load_asked(settings.knowledge),
        lambda texts: collect(texts, "passage", encoders.encode),
        lambda texts: collect(texts, "query", encoders.ask),
    )
    write_shipped(path, kept)
    return len(read_shipped(path))


if __name__ == "__main__":
    sys.stdout.write(f"{SHIPPED}: {encode_documents()} vectors\n")
