"""Copies of the embedded chat model, one a core, lent to one request at a time."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from reference_app.errors import WeightsError
from reference_app.models.gguf_files.quantized import convert_chat

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reference_app.models.weights import Weights

CONTEXT_TOKENS = 2048
BATCH_TOKENS = 128  # an engine notices a hang-up between two batches of its prompt
MAX_ENGINES = 8


class EngineError(Exception):
    """The weights cannot be loaded."""


class Engines:
    """
    Starts an engine when a request finds all others busy, up to one a core.

    One slot and one thread each: with several slots the same prompt is computed in batches that depend on
    its neighbours, and greedy answers differ. The weights are mapped, so copies share their memory.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._limit = min(cores(), MAX_ENGINES)
        self._slots = asyncio.Semaphore(self._limit)
        self._engines: list[Any] = []
        self._free: list[str] = []

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[str]:
        """
        The URL of an engine that nobody else uses within the block.

        Raises:
            EngineError: The weights cannot be loaded.
        """
        async with self._slots:
            url = self._free.pop() if self._free else await to_thread.run_sync(self._start)
            try:
                yield url
            finally:
                self._free.append(url)

    def close(self) -> None:
        """Destroy them, which never returns for one that is in the middle of an answer: hang up first."""
        self._engines.clear()

    def _start(self) -> str:
        import xllamacpp

        try:
            chat = convert_chat(self._weights.chat, self._weights.chat_name)
        except WeightsError as error:
            raise EngineError(f"The chat model cannot be loaded: {error}") from error
        parameters = set_up(chat, self._weights.adapter)
        parameters.model_alias = {self._weights.chat_name}  # else replies name the path of the file
        parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
        try:
            engine = xllamacpp.Server(parameters)
        except RuntimeError as error:
            raise EngineError(_explain(self._weights.adapter, error)) from error
        self._engines.append(engine)
        return str(engine.listening_address)


def _explain(adapter: Path | None, error: RuntimeError) -> str:
    """llama.cpp does not say which of the two files it could not use."""
    if adapter is None:
        return f"The chat model cannot be loaded: {error}"
    return (
        f"The chat model cannot be loaded with the adapter {adapter}, which is damaged or was made for "
        f"another model; REFERENCE_APP_ADAPTER=none does without one: {error}"
    )


def set_up(chat: Path, adapter: Path | None) -> Any:
    """Of an engine of one slot and one thread; each request says how much of the adapter it wants."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(chat)
    if adapter is not None:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    parameters.verbosity = 0
    return parameters


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
