"""One event loop on one thread, for all calls of judges in this process."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from pytest_llmops.recorder.threads import start_outside

Result = TypeVar("Result")

_WIND_DOWN_S = 2.0

_lock = threading.Lock()
_running: list[tuple[asyncio.AbstractEventLoop, threading.Thread]] = []
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
    for loop, thread in running:
        asyncio.run_coroutine_threadsafe(_wind_down(loop), loop)
        thread.join(2 * _WIND_DOWN_S)


def _submit(coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
    with _lock:
        if not _running:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_serve, args=(loop,), name="llmops-judges", daemon=True)
            start_outside(thread)
            _running.append((loop, thread))
            atexit.register(close)
        return asyncio.run_coroutine_threadsafe(coroutine, _running[0][0])


async def _wind_down(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_WIND_DOWN_S)
    await asyncio.gather(*(closer() for closer in _closers), return_exceptions=True)
    loop.call_soon(loop.stop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
