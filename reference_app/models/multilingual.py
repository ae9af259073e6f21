"""The encoder for searching passages: multilingual-e5-small in 4 bits, on one thread."""

from __future__ import annotations

import ctypes
import platform
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reference_app.models.encoder import Encoder, load_encoder
from reference_app.models.engines import cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reference_app.models.weights import Weights

READ_AT_MOST = 20_000  # characters of a text; the engine reads any number, 512 word pieces at a time
_NEEDED = {"avx2", "fma"}  # of the processor: the engine uses them without a look, and would end the process
_CPU = Path("/proc/cpuinfo")


class Multilingual:
    """May be called from many threads; `name` identifies weights and engine, so vectors are kept under it."""

    def __init__(self, weights: Weights) -> None:
        """Raise OSError where the engine is for another system or processor, or cannot be loaded."""
        if weights.search is None:
            raise OSError(f"{platform.system()} on {platform.machine()} has none")
        if not _CPU.is_file() or not set(_CPU.read_text(errors="replace").split()) >= _NEEDED:
            raise OSError("the processor lacks AVX2 or FMA")
        self.name = weights.search_name
        self._openmp = ctypes.CDLL(str(weights.search.openmp))
        self._engine = ctypes.CDLL(str(weights.search.engine))  # finds OpenMP by name
        self._engine.e5_load.restype = ctypes.c_void_p
        self._engine.e5_embed.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        self._model = self._engine.e5_load(bytes(weights.search.model))
        if not self._model or self._engine.e5_dim(ctypes.c_void_p(self._model)) != DIMENSIONS:
            raise OSError(f"{weights.search.model} is not what it reads")

    def query(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of questions, shape (texts, 384)."""
        return self._encode(texts, is_query=True)

    def passage(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts to be found, shape (texts, 384)."""
        return self._encode(texts, is_query=False)

    def count_tokens(self, texts: Sequence[str], *, is_query: bool) -> int:
        """Word pieces of the texts, the engine's prefix and both ends included."""
        count = self._engine.e5_token_count
        return sum(count(ctypes.c_void_p(self._model), _write(text), int(is_query)) for text in texts)

    def _encode(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float32]:
        import numpy as np

        vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)

        def fill(row: int) -> None:
            self._openmp.omp_set_num_threads(1)  # holds for the calling thread alone
            self._engine.e5_embed(self._model, _write(texts[row]), int(is_query), vectors[row].ctypes.data)

        with ThreadPoolExecutor(cores()) as threads:  # the engine runs without the GIL
            list(threads.map(fill, range(len(texts))))
        return vectors


def load_search_encoder(weights: Weights) -> Multilingual | Encoder:
    """
    The encoder of questions and passages, loaded once in a process, in about 10 ms.

    Where its engine does not run, MiniLM takes its place, and one line on standard error says so. Both give
    384 dimensions, but their similarities differ (this one's lie between .7 and .9), so look at `name`.
    """
    with _loading:
        return _load(weights)


def _open(weights: Weights) -> Multilingual | Encoder:
    try:
        return Multilingual(weights)
    except OSError as error:
        sys.stderr.write(
            f"reference_app: multilingual-e5-small does not run here ({error}); "
            "passages are searched with MiniLM, which finds fewer and knows English only.\n"
        )
        return load_encoder(weights)


def _write(text: str) -> bytes:
    """As the engine takes it: cut, with `?` for halves of surrogate pairs, without the end of a C string."""
    return text[:READ_AT_MOST].replace("\0", " ").encode(errors="replace")


DIMENSIONS = 384
_load, _loading = cache(_open), threading.Lock()
