"""Copies of the embedded chat model, one a core, lent to one request at a time."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.client import HTTPConnection
    from pathlib import Path

    from reference_app.models.weights import Weights

    Address = tuple[str, int]

CONTEXT_TOKENS = 2048
BATCH_TOKENS = 128  # an engine notices a hang-up between two batches of its prompt
MAX_ENGINES = 8
POLL_S = 0.2


class EnginesClosedError(Exception):
    """The process is ending."""


class Engines:
    """
    Starts an engine when a request finds all others busy, up to one a core.

    One slot and one thread each: with several slots the same prompt is computed in batches that depend on
    its neighbours, and greedy answers differ. The weights are mapped, so copies share their memory.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._limit = min(cores(), MAX_ENGINES)
        self._engines: list[Any] = []
        self._free: list[Address] = []
        self._lines: set[HTTPConnection] = set()
        self._starting = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def borrow(self, gone: Callable[[], bool]) -> Iterator[Address | None]:
        """
        The address of an engine that nobody else uses within the block; None when the asker has left.

        Args:
            gone: Whether the asker has left, asked five times a second while waiting.

        Raises:
            EnginesClosedError: `close` was called.
            RuntimeError: The weights cannot be loaded.
        """
        address = self._take(gone)
        try:
            yield address
        finally:
            if address is not None:
                with self._changed:
                    self._free.append(address)
                    self._changed.notify()

    @contextmanager
    def tracked(self, line: HTTPConnection) -> Iterator[None]:
        """`close` cuts the connection while the block runs; after it the connection is closed."""
        with self._changed:
            if self._closed:
                raise EnginesClosedError
            self._lines.add(line)
        try:
            yield
        finally:
            with self._changed:
                self._lines.discard(line)
            line.close()

    def close(self) -> None:
        """Stop all work; an engine destroyed in the middle of an answer would never return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._starting, timeout=2)
            for line in self._lines:
                with suppress(OSError):
                    if line.sock is not None:
                        line.sock.shutdown(socket.SHUT_RDWR)
            self._engines.clear()

    def _take(self, gone: Callable[[], bool]) -> Address | None:
        with self._changed:
            while not self._closed:
                if self._free:
                    return self._free.pop()
                if len(self._engines) + self._starting < self._limit:
                    self._starting += 1
                    break
                self._changed.wait(POLL_S)
                if gone():
                    return None
            else:
                raise EnginesClosedError
        try:
            engine = _start(self._weights)
        except BaseException:
            with self._changed:
                self._starting -= 1
                self._changed.notify_all()
            raise
        with self._changed:
            self._starting -= 1
            self._changed.notify_all()
            self._engines.append(engine)
            if self._closed:
                self._engines.clear()
                raise EnginesClosedError
            host, _, port = engine.listening_address.rpartition("//")[2].partition(":")
            return host, int(port)


def _start(weights: Weights) -> Any:
    import xllamacpp

    parameters = set_up(weights.chat, weights.adapter)
    parameters.model_alias = {weights.chat_name}  # else replies name the path of the file
    parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
    return xllamacpp.Server(parameters)


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
