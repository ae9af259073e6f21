"""Engines of llama.cpp that compute the chat models, each lent to one request at a time."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from reference_app.errors import WeightsError
from reference_app.models.weights import PINNED, find_pinned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from reference_app.models.weights import Weights

BATCH_TOKENS = 128  # an engine notices a hang-up between two batches of its prompt
MAX_ENGINES = 8
MAX_PINNED_ENGINES = 2  # the second of the large model takes 1.1 GB


class EngineError(Exception):
    """The weights cannot be loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """
    One file of weights and how its engines are set up.

    Attributes:
        name: That the engine answers under.
        find: Gives the file; raises WeightsError.
        engines: How many there are at most.
        slots: Prompts that an engine remembers, to compute only what a request adds to one. A prompt that is
            continued may round to another answer, so a single slot is emptied before each request.
        slot_tokens: Of a prompt and its answer together.
    """

    name: str
    find: Callable[[], Path]
    engines: int
    adapter: Path | None = None
    slots: int = 1
    slot_tokens: int = 2048


def list_served(weights: Weights) -> Iterator[Served]:
    """The packaged chat model, then those of `PINNED`, present or not."""
    yield Served(
        name=weights.chat_name,
        find=lambda: weights.chat,
        engines=min(cores(), MAX_ENGINES),
        adapter=weights.adapter,
    )
    for profile, pinned in PINNED.items():
        yield Served(
            name=pinned.name,
            find=partial(find_pinned, weights.folder, profile),
            engines=min(cores(), MAX_PINNED_ENGINES),
            slots=4,  # planner, answerer, rewriting and SQL
            slot_tokens=3072,
        )


class Engines:
    """
    Starts an engine when a request finds all others busy.

    One thread each: two are slower wherever another process is busy. The mapped weights are shared.
    """

    def __init__(self, served: Served) -> None:
        self.served = served
        self._slots = asyncio.Semaphore(served.engines)
        self._engines: list[Any] = []
        self._free: list[str] = []

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[str]:
        """
        The URL of an engine that nobody else uses within the block, the last used first.

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

        served = self.served
        try:
            path = served.find()
            parameters = set_up(path, served.adapter, slots=served.slots, slot_tokens=served.slot_tokens)
            parameters.model_alias = {served.name}  # else replies name the path of the file
            parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
            engine = xllamacpp.Server(parameters)
        except WeightsError as error:
            raise EngineError(f"The chat model cannot be loaded: {error}") from error
        except RuntimeError as error:  # which does not say which of the two files it is about
            adapter = served.adapter and (
                f" or the adapter {served.adapter}, which REFERENCE_APP_ADAPTER=none does without,"
            )
            raise EngineError(
                f"The chat model cannot be loaded: {path}{adapter or ''} is damaged, or they do not fit "
                f"({error}). Delete what is damaged and run `llmops models pull`."
            ) from error
        self._engines.append(engine)
        return str(engine.listening_address)


def set_up(chat: Path, adapter: Path | None, *, slots: int = 1, slot_tokens: int = 2048) -> Any:
    """Parameters of an engine of one thread; each request says how much of the adapter it wants."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(chat)
    if adapter is not None:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    parameters.n_parallel, parameters.n_ctx = slots, slots * slot_tokens
    parameters.kv_unified = False
    parameters.slot_prompt_similarity = 0.3  # a request takes the slot that begins with so much of its prompt
    parameters.cache_ram_mib = 0  # the prompts of the slots are all that is kept
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.warmup = False
    parameters.verbosity = 0
    return parameters


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
