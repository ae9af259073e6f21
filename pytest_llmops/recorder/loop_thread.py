"""An event loop on a separate thread, so that callers that wait need not run one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pytest_llmops.errors import describe_error
from pytest_llmops.recorder.threads import start_outside

Result = TypeVar("Result")


class AppLoop(Protocol):
    """Where the coroutines of an app run."""

    def submit(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Run a coroutine, in a copy of the caller's context."""


@dataclass(frozen=True, slots=True)
class RunningLoop:
    """A loop that somebody else runs, as an async test does."""

    loop: asyncio.AbstractEventLoop

    def submit(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Run a coroutine on the loop, from another thread, in a copy of the caller's context."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)


@dataclass(slots=True)
class LoopThread:
    """
    Started by the first `submit`, once. A daemon: a coroutine that blocks it delays no exit.

    Attributes:
        at_end: Awaited on the loop by `close`, once all tasks are cancelled.
        wind_down_s: How long `close` waits for the cancelled tasks, and again for the thread.
    """

    name: str
    at_end: Callable[[], Awaitable[object]] | None = None
    wind_down_s: float = 0.5
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _closed: bool = False
    _lost: Exception | None = None
    _open: set[Future[Any]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """
        Run a coroutine on the thread, in a copy of the caller's context.

        Raises:
            RuntimeError: The loop was closed or broke.
        """
        with self._lock:
            if self._closed or self._lost is not None:
                coroutine.close()
                raise RuntimeError(str(self._lost) if self._lost else f"the loop {self.name} was closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop,), name=self.name, daemon=True
                )
                start_outside(self._thread)
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._open.add(future)  # under the lock, or a loop that breaks now would not know of it
        future.add_done_callback(self._open.discard)
        return future

    def close(self) -> None:
        """Cancel all tasks and end, within twice `wind_down_s`, even if a coroutine ignores it."""
        with self._lock:
            loop, self._loop, self._closed = self._loop, None, True
        if loop is not None and self._thread is not None and self._lost is None:
            asyncio.run_coroutine_threadsafe(self._wind_down(loop), loop)
            self._thread.join(2 * self.wind_down_s)

    async def _wind_down(self, loop: asyncio.AbstractEventLoop) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=self.wind_down_s)
        try:
            if self.at_end is not None:
                await self.at_end()
        finally:
            loop.call_soon(loop.stop)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the loop until `close`, even where a coroutine of an app stops it or exits."""
        asyncio.set_event_loop(loop)
        try:
            while True:
                with contextlib.suppress(SystemExit, KeyboardInterrupt):  # raised by a task of the app
                    loop.run_forever()
                if self._closed:
                    return
        except Exception as error:  # noqa: BLE001 - an app may close the files that its loop rests on
            lost = RuntimeError(f"the event loop {self.name} broke: {describe_error(error)}")
            with self._lock:
                self._lost, waiting = lost, list(self._open)
            for future in waiting:  # their callers would wait without end
                if not future.done():
                    future.set_exception(lost)
        finally:
            with contextlib.suppress(Exception):  # as above
                loop.close()
