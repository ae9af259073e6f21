"""
The main thread, lent to calls of apps while it waits for their cases.

A call gets a turn there, and keeps it until its case has all that it needs of the call, so that its time
limit and its recording begin with the call and not with the waiting. A turn in the loop shares the thread
with others of its kind; any other turn has it alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from _thread import interrupt_main
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Literal, TypeVar

from pytest_llmops.errors import AppError, StopAppError
from pytest_llmops.protocols import App
from pytest_llmops.recorder.loop_thread import RunningLoop
from pytest_llmops.runner.app.places import Turn, awaited, called_inside, is_unfinished, joined, settle

Result = TypeVar("Result")

_SOON_S = 1.0
_GRACE_S = 10.0
_BROKEN = 3
"""The exit code of a process that had to be ended, as of pytest's internal errors and of `llmops run`."""
_NESTED = (
    "runs_on: test_loop: an event loop already runs in the main thread; make the run outside of it, or await "
    "llm() in an async test"
)


@dataclass(slots=True)
class _TestsLoop:
    """
    The loop on which the tests of this process have their clients.

    Attributes:
        loop: None where the tests have none that outlives a test.
    """

    loop: asyncio.AbstractEventLoop | None = None


_tests = _TestsLoop()


def use_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Run apps that need the loop of the tests on this one."""
    _tests.loop = loop


def show_at_once(text: str) -> None:
    """Write to the process's own standard error: its stream, and `os.write`, keep what a case prints."""
    FileIO(2, "w", closefd=False).write(f"\n{text}\n".encode(errors="backslashreplace"))


@dataclass(slots=True, eq=False)
class MainThread:
    """
    Gives calls their turns, in the order in which they came.

    Attributes:
        alarm: Shows a text although output may be captured; called on another thread.
    """

    alarm: Callable[[str], None] = show_at_once
    _turns: deque[_Turn] = field(default_factory=deque)
    _stirred: threading.Event = field(default_factory=threading.Event)
    _is_used: bool = False
    _own_loop: asyncio.AbstractEventLoop | None = None
    _changed: asyncio.Event | None = None
    _holding: asyncio.Task[None] | None = None
    _running: _Turn | None = None
    _overdue: _Turn | None = None
    _interrupted: bool = False
    _left: bool = False
    _previous: Any = None

    def place(self, runs_on: Literal["main_thread", "test_loop"]) -> MainThreadPlace:
        """
        Return the place for an app.

        Raises:
            AppError: The caller is not the main thread, so that this one would never be lent.
        """
        if threading.current_thread() is not threading.main_thread():
            raise AppError(f"runs_on: {runs_on} needs a run that is made in the main thread")
        self._is_used = True
        return MainThreadPlace(self, in_loop=runs_on == "test_loop")

    def wait(self, future: Future[Result]) -> Result:
        """Return the result of a future; calls have their turns in the meantime."""
        if self._is_lent():
            future.add_done_callback(lambda _: self.stir())
            self._serve(future.done)
        return future.result()

    def pause(self, seconds: float) -> None:
        """Return after that time, and after the calls that had their turn in it."""
        if not self._is_lent():
            time.sleep(seconds)
            return
        until_s = time.monotonic() + seconds
        self._serve(lambda: time.monotonic() >= until_s, seconds)

    def close(self) -> None:
        """Close the loop, unless it is the one of the tests; tasks of the app are cancelled."""
        loop, self._own_loop = self._own_loop, None
        if loop is None or loop.is_closed() or threading.current_thread() is not threading.main_thread():
            return
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        with suppress(Exception):  # a task of the app may stop the loop
            if tasks and not _is_in_loop():
                loop.run_until_complete(asyncio.wait(tasks, timeout=_SOON_S))
                loop.run_until_complete(loop.shutdown_asyncgens())
        if _current_loop() is loop:
            asyncio.set_event_loop(None)
        loop.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the tests; one of this thread where they have none."""
        if _tests.loop is not None and not _tests.loop.is_closed():
            return _tests.loop
        if self._own_loop is None or self._own_loop.is_closed():
            self._own_loop = asyncio.new_event_loop()
        return self._own_loop

    def queue(self, turn: _Turn) -> None:
        """Have a turn begun by the main thread, when it waits."""
        self._turns.append(turn)
        self.stir()

    def stir(self) -> None:
        """Have the main thread look anew at what it waits for."""
        self._stirred.set()
        changed, holding = self._changed, self._holding
        if changed is not None and holding is not None:
            with suppress(RuntimeError):  # the loop was closed
                holding.get_loop().call_soon_threadsafe(changed.set)

    def interrupt(self, turn: _Turn) -> None:
        """Raise `StopAppError` in the app that runs in the main thread, unless it handles SIGINT."""
        if signal.getsignal(signal.SIGINT) != self._on_interrupt:
            return
        self._overdue = turn
        if hasattr(signal, "pthread_kill"):  # wakes a thread that sleeps or reads
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            interrupt_main()

    async def recover(self, turn: _Turn) -> None:
        """Return when an unanswered call has left the main thread; if it never does, end the process."""
        sign = turn.sign_of_life()
        if sign is None or sign.done() or self._left:
            return
        waiting = asyncio.wrap_future(sign)
        if turn.in_loop:  # whose task was cancelled, and may have cleared the way
            await asyncio.wait({waiting}, timeout=_SOON_S)
        if not waiting.done():
            self.interrupt(turn)
            await asyncio.wait({waiting}, timeout=_GRACE_S)
        if waiting.done() and not waiting.cancelled():
            waiting.exception()  # of a call that was given up: nobody else asks for it
        if not waiting.done() and not self._left:
            self._end_process()

    def _is_lent(self) -> bool:
        return self._is_used and threading.current_thread() is threading.main_thread()

    def _serve(self, is_over: Callable[[], bool], timeout_s: float | None = None) -> None:
        while not is_over():
            if self._turns:
                self._give(self._turns.popleft(), is_over)
            else:
                self._stirred.wait(timeout_s)
                self._stirred.clear()

    def _give(self, turn: _Turn, is_over: Callable[[], bool]) -> None:
        if not turn.begun.set_running_or_notify_cancel():
            return
        if turn.in_loop and _is_in_loop():
            turn.begun.set_exception(AppError(_NESTED))
            return
        self._left = False
        try:
            with self._interruptible():
                if turn.in_loop:
                    self.loop.run_until_complete(self._hold(turn, is_over))
                else:
                    self._lend(turn)
        except BaseException:  # of a signal
            self._left, self._interrupted = True, False  # nobody is there to be interrupted any more
            if self._holding is not None:
                self._holding.cancel()
            raise

    def _lend(self, turn: _Turn) -> None:
        """Do what a turn asks for, until it is over."""
        if _current_loop() is None:
            asyncio.set_event_loop(self.loop)  # as apps expect it of a main thread
        turn.begun.set_result(None)
        while not turn.is_over:
            with suppress(Empty):
                if (job := turn.jobs.get(timeout=_SOON_S)) is not None:
                    job()
            if turn.owner.is_closed():  # it broke, and nothing would end the turn
                return

    async def _hold(self, first: _Turn, is_over: Callable[[], bool]) -> None:
        """Keep the loop running while calls are open on it; begin further ones until the waiting is over."""
        self._changed, self._holding = changed, holding = asyncio.Event(), asyncio.current_task()
        first.begun.set_result(None)
        turns = {first}
        try:
            while turns:
                # One after the other, so that the clock of a call that blocks the loop is that of no other.
                if (
                    not is_over()
                    and self._turns
                    and self._turns[0].in_loop
                    and all(turn.waits for turn in turns)
                ):
                    turn = self._turns.popleft()
                    if turn.begun.set_running_or_notify_cancel():
                        turn.begun.set_result(None)
                        turns.add(turn)
                    continue
                timer = asyncio.get_running_loop().call_later(_SOON_S, changed.set)
                await changed.wait()
                timer.cancel()
                changed.clear()
                turns = {turn for turn in turns if not (turn.is_over or turn.owner.is_closed())}
        finally:
            if self._holding is holding:
                self._changed = self._holding = None

    def run(self, turn: _Turn, answered: Future[Any], call: Callable[[], Any]) -> None:
        """Call the app; Ctrl-C ends the run, also where the app caught it."""

        def guarded() -> Any:
            try:
                self._running = turn
                return call()
            finally:
                self._running = None

        result: Future[Any] = Future()
        settle(result, guarded)
        if self._interrupted:
            raise KeyboardInterrupt
        if (error := result.exception()) is not None:
            answered.set_exception(error)
        else:
            answered.set_result(result.result())

    async def run_inside(self, turn: _Turn, app: App, question: Any) -> Any:
        """Call the app in the loop, unless the run was interrupted; as above."""
        if self._interrupted or self._left:
            raise asyncio.CancelledError
        asyncio.get_running_loop().call_soon(turn.note_waiting)
        try:
            return await called_inside(app, question)
        finally:
            if self._interrupted:
                raise KeyboardInterrupt

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Tell Ctrl-C from an interrupt of a call that ran out of time."""
        self._overdue = None
        previous = signal.getsignal(signal.SIGINT)
        installs = callable(previous) or previous is signal.SIG_IGN
        self._previous = previous
        if installs:
            signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
        finally:
            if installs and signal.getsignal(signal.SIGINT) == self._on_interrupt:
                signal.signal(signal.SIGINT, previous)

    def _on_interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self._overdue is not None:
            overdue, self._overdue = self._overdue, None
            if self._running is overdue or self._is_in_task():
                raise StopAppError("it held the main thread past the time limit (timeout_s)")
            return
        if callable(self._previous):
            self._interrupted = True
            self.stir()
            self._previous(signum, frame)

    def _is_in_task(self) -> bool:
        """Return whether a task of an app is running on the loop."""
        with suppress(RuntimeError):
            return self._holding is not None and asyncio.current_task() not in {None, self._holding}
        return False

    def _end_process(self) -> None:
        frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - documented
        place = ""
        if frame is not None:
            last = traceback.extract_stack(frame)[-1]
            place = f" in {last.name} ({last.filename}:{last.lineno})"
        self.alarm(
            f"error: the app still holds the main thread{place}, {_GRACE_S:g} s after its time limit "
            "(timeout_s), and takes no interrupt: the run ends here"
        )
        os._exit(_BROKEN)


@dataclass(frozen=True, slots=True)
class MainThreadPlace:
    """Calls an app in the main thread, while that waits: in its event loop, or outside of one."""

    host: MainThread
    in_loop: bool

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait for the main thread."""
        turn = _Turn(host=self.host, in_loop=self.in_loop, owner=asyncio.get_running_loop())
        self.host.queue(turn)
        await asyncio.wrap_future(turn.begun)
        try:
            try:
                yield turn
            finally:
                await self.host.recover(turn)
        finally:
            turn.end()


@dataclass(slots=True, eq=False, kw_only=True)
class _Turn:
    """
    One call's use of the main thread.

    Attributes:
        owner: The loop of its case.
        begun: Set by the main thread.
        jobs: What the main thread is to do, where it does not run the loop.
        waits: Whether the call has begun in the loop, and left it to others since.
    """

    host: MainThread
    in_loop: bool
    owner: asyncio.AbstractEventLoop
    begun: Future[None] = field(default_factory=Future)
    jobs: SimpleQueue[Callable[[], None] | None] = field(default_factory=SimpleQueue)
    waits: bool = False
    is_over: bool = False
    _answered: Future[Any] | None = None
    _is_answered: bool = False

    async def answer(self, app: App, question: Any) -> Any:
        """Call the app in the main thread, in a copy of the caller's context."""
        self._is_answered = False  # of the turn before, in a conversation
        if self.in_loop:
            self._answered = RunningLoop(self.host.loop).submit(self.host.run_inside(self, app, question))
        else:
            self._answered = Future()
            self._answered.set_running_or_notify_cancel()  # it cannot be cancelled, only interrupted
            call = partial(_call_outside, self.host, app, question)
            context = contextvars.copy_context()
            self.jobs.put(partial(self.host.run, self, self._answered, partial(context.run, call)))
        waiting = asyncio.wrap_future(self._answered)
        try:
            await asyncio.wait({waiting})
        except asyncio.CancelledError:  # the call is given up, and may go on
            waiting.cancel()
            raise
        self._is_answered = True
        return waiting.result()

    def sign_of_life(self) -> Future[Any] | None:
        """Return a future that is done when the main thread is free of an unanswered call; None is now."""
        if self._answered is None or self._is_answered:
            return None
        if not self.in_loop:
            return self._answered
        with suppress(RuntimeError):  # the loop was closed
            return RunningLoop(self.host.loop).submit(asyncio.sleep(0))
        return None

    def note_waiting(self) -> None:
        """Let the next call begin."""
        self.waits = True
        self.host.stir()

    def end(self) -> None:
        """Give the main thread back."""
        self.is_over = True
        self.jobs.put(None)
        self.host.stir()


def _call_outside(host: MainThread, app: App, question: Any) -> Any:
    """Call an app outside of a running loop; what it returns is awaited on the loop, if it has to be."""
    answer = app(question)
    if not is_unfinished(answer):
        return joined(answer)
    task = host.loop.create_task(awaited(answer))
    try:
        return host.loop.run_until_complete(task)
    finally:
        if not task.done():  # interrupted
            task.cancel()
            host.loop.run_until_complete(asyncio.wait({task}, timeout=_SOON_S))


def _is_in_loop() -> bool:
    with suppress(RuntimeError):
        return asyncio.get_running_loop() is not None
    return False


def _current_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that is set in this thread. The public way makes one where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        policy = asyncio.get_event_loop_policy()
    loop: asyncio.AbstractEventLoop | None = getattr(getattr(policy, "_local", None), "_loop", None)
    return loop
