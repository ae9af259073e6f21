"""What stands in for encoders and packages in the tests of variants."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np

from reference_app.documents.encoders import Encoders
from reference_app.documents.index import Store


def encoders(dimensions=4):
    def encode(texts):
        return np.ones((len(texts), dimensions), dtype=np.float32)

    return Encoders(name="ones", encode=encode, ask=encode, store=Store(folder=Path("unused")))


def set_installed(module, monkeypatch, found):
    """The version that a module finds of each package; None where none is installed."""

    def version(name):
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(module, "version", version)
