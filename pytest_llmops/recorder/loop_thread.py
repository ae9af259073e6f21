"""An event loop on a separate thread, so that callers that wait need not run one."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pytest_llmops.errors import describe_error
from pytest_llmops.recorder.threads import start_outside

Result = TypeVar("Result")

_WIND_DOWN_S = 0.5


@dataclass(slots=True)
class LoopThread:
    """Started by the first `submit`, once. A daemon: a coroutine that blocks it holds up no exit."""

    name: str
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _closed: bool = False
    _lost: Exception | None = None
    _open: set[Future[Any]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """
        Run a coroutine there, in a copy of the caller's context.

        Raises:
            RuntimeError: It was closed, so that whoever goes on is late, or it broke.
        """
        with self._lock:
            if self._closed:
                coroutine.close()
                raise RuntimeError(f"the loop {self.name} was closed")
            if self._lost is not None:
                coroutine.close()
                raise RuntimeError(str(self._lost))
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
        """Cancel what runs and end within a second, whatever the coroutines do."""
        with self._lock:
            loop, self._loop, self._closed = self._loop, None, True
        if loop is not None and self._thread is not None and self._lost is None:
            asyncio.run_coroutine_threadsafe(_wind_down(loop), loop)
            self._thread.join(2 * _WIND_DOWN_S)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run the loop until it is closed here; what a coroutine of an app stops, or ends, goes on."""
        asyncio.set_event_loop(loop)
        try:
            while True:
                with contextlib.suppress(SystemExit, KeyboardInterrupt):  # raised by a task of an app's own
                    loop.run_forever()
                if self._closed:
                    return
        except Exception as error:  # noqa: BLE001 - an app may close the files that its loop rests on
            lost = RuntimeError(f"the event loop {self.name} broke: {describe_error(error)}")
            with self._lock:
                self._lost, waited_for = lost, list(self._open)
            for future in waited_for:  # or whoever waits for them would wait for ever
                if not future.done():
                    future.set_exception(lost)
        finally:
            with contextlib.suppress(Exception):  # as above
                loop.close()


async def _wind_down(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_WIND_DOWN_S)
    loop.call_soon(loop.stop)
