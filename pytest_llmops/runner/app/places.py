"""
Where an app is called: on threads, in the main thread, or there on the event loop of the tests.

Python binds some objects to a thread or to an event loop: a connection of `sqlite3`, `signal.signal`, the
clients of asyncio. `runs_on` names the place that an app needs.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_llmops.errors import describe_error
from pytest_llmops.protocols import App
from pytest_llmops.recorder.loop_thread import AppLoop, LoopThread, RunningLoop
from pytest_llmops.runner.app.returned import join_async_pieces, join_pieces

_EXCHANGED = (CancelledError, InvalidStateError)  # by asyncio for its own, whoever raised them


class Turn(Protocol):
    """One call's use of a place."""

    async def answer(self, app: App, question: Any) -> Any:
        """Call the app, in the context of the case; a further call begins when the last one was answered."""


class Place(Protocol):
    """Where an app is called."""

    def turn(self) -> AbstractAsyncContextManager[Turn]:
        """Wait until a call may begin; its time limit counts from then on."""


@dataclass(frozen=True, slots=True)
class Threads:
    """
    Calls a sync app on a new thread each time, and an async one on a loop.

    Attributes:
        app_loop: Where an async app runs: one loop, since its clients belong to one, and not ours, since
            an app that blocks its loop must not stop the clock.
    """

    app_loop: AppLoop = field(default_factory=lambda: LoopThread(name="llmops-app"))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Begin at once."""
        yield self

    async def answer(self, app: App, question: Any) -> Any:
        """Await an async app on its loop; a sync one has a daemon thread, since no thread can be ended."""
        if is_async(app):
            running = awaited(app(question))
            return await asyncio.wrap_future(self.app_loop.submit(running))
        answered: Future[Any] = Future()
        answered.set_running_or_notify_cancel()  # so that a late answer is no error where its case is over
        context = contextvars.copy_context()
        threading.Thread(
            target=lambda: settle(answered, lambda: context.run(lambda: joined(app(question)))),
            name="llmops-app",
            daemon=True,
        ).start()
        answer = await asyncio.wrap_future(answered)
        if is_unfinished(answer):
            return await asyncio.wrap_future(self.app_loop.submit(awaited(answer)))
        return answer


@dataclass(frozen=True, slots=True)
class OnLoop:
    """Calls every app on a loop that runs, as an async test would call it itself."""

    app_loop: RunningLoop

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Begin at once."""
        yield self

    async def answer(self, app: App, question: Any) -> Any:
        """Call the app on the loop; one that blocks also blocks the loop."""
        return await asyncio.wrap_future(self.app_loop.submit(called_inside(app, question)))


def is_async(app: App) -> bool:
    """Return whether calling the app makes a coroutine."""
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)


def is_unfinished(answer: Any) -> bool:
    """Return whether an answer has to be awaited."""
    return inspect.isawaitable(answer) or isinstance(answer, AsyncIterator)


async def called_inside(app: App, question: Any) -> Any:
    """Call any app, sync or async, inside of the running loop."""

    async def call() -> Any:
        answer = app(question)
        return await answer if inspect.isawaitable(answer) else answer

    return await awaited(call())


async def awaited(answer: Awaitable[Any] | AsyncIterator[Any]) -> Any:
    """
    Await, and join what comes in pieces.

    Carry as an `Exception` all that would end the loop; not cancelling by this package, nor Ctrl-C.
    """
    try:
        if not isinstance(answer, AsyncIterator):
            answer = await answer
        if isinstance(answer, AsyncIterator):
            return await join_async_pieces(answer)
        return joined(answer)
    except BaseException as raised:
        task = asyncio.current_task()
        ours = isinstance(raised, asyncio.CancelledError) and task is not None and task.cancelling()
        by_user = (
            isinstance(raised, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()
        )
        if isinstance(raised, Exception) or ours or by_user:
            raise
        raise EndedError(raised) from None


def settle(answered: Future[Any], call: Callable[[], Any]) -> None:
    """Set what a call returns, or raises, as the result of a future."""
    try:
        answered.set_result(call())
    except StopIteration as stop:  # a future cannot carry it
        answered.set_exception(RuntimeError(f"StopIteration: {stop}"))
    except BaseException as raised:  # noqa: BLE001 - also SystemExit: an app may not end the run
        is_plain = isinstance(raised, Exception) and not isinstance(raised, _EXCHANGED)
        answered.set_exception(raised if is_plain else EndedError(raised))


def joined(answer: Any) -> Any:
    """Return the text of an answer in pieces, where the app itself would compute them; others as they are."""
    in_pieces = isinstance(answer, Iterator) and not inspect.isawaitable(answer)
    return join_pieces(answer) if in_pieces else answer


class EndedError(Exception):
    """The app raised something that a future cannot carry as it is, such as an end of the process."""

    def __init__(self, raised: BaseException) -> None:
        super().__init__(describe_error(raised))
        self.raised = raised
