"""One event loop on one thread, for all calls of judges in this process."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pytest_llmops.recorder.loop_thread import LoopThread

Result = TypeVar("Result")

_WIND_DOWN_S = 2.0

_lock = threading.Lock()
_running: list[LoopThread] = []
_closers: list[Callable[[], Awaitable[None]]] = []


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """
    Do it, in the caller's context up to its first wait and then on the loop's thread, and return its result.

    A verdict that is replayed waits for nothing, so it costs no change of threads. What needs the loop, a
    client or `gather`, comes after an `asyncio.sleep(0)`.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    future = _submit(coroutine)
    try:
        return future.result()
    except BaseException:  # an interrupt of whoever waits ends the work too
        future.cancel()
        raise


def at_close(closer: Callable[[], Awaitable[None]]) -> None:
    """Have something awaited on the loop before it ends; for what modules keep there."""
    _closers.append(closer)


def close() -> None:
    """
    Cancel what runs, close all connections and end the thread; a later `run` starts anew.

    Whoever waits in `run` gets a CancelledError.
    """
    with _lock:
        running, _running[:] = _running[:], []
    for loop in running:
        loop.close()


def _submit(coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
    with _lock:
        if not _running:
            _running.append(LoopThread(name="llmops-judges", at_end=_close_all, wind_down_s=_WIND_DOWN_S))
            atexit.register(close)
        return _running[0].submit(coroutine)


async def _close_all() -> None:
    await asyncio.gather(*(closer() for closer in _closers), return_exceptions=True)
