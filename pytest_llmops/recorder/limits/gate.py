"""
Lines of calls that wait for a limit, of threads and of event loops: one for each model at each host.

A call that is refused goes back to the front of its line. None waits for ever: a host that lets no call
through for `patience_s`, or asks for a longer pause, is given up, so that its refusals reach the app. So is
one whose calls that are out bring no answer for so long: those that wait for them are sent.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_llmops.recorder.limits.controller import START, Controller
from pytest_llmops.recorder.limits.quota import is_refusal, pause_of, quota_of
from pytest_llmops.recorder.threads import start_outside

if TYPE_CHECKING:  # heavy, and no replay needs it
    import asyncio

LONGEST_NAMED_S = 120.0
"""The longest pause that is waited for however short `patience_s` is: many limits are of a minute."""

_LOOK_S = 0.5
_TRIO_S = 0.02
_NOTED_S = 0.5


class Pauses:
    """A clock of the seconds in which at least one call waited for a limit; used on many threads."""

    def __init__(self) -> None:
        self._waiting, self._since = 0, 0.0
        self._over: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            if not self._waiting:
                self._since = time.perf_counter()
            self._waiting += 1

    def end(self) -> None:
        with self._lock:
            self._waiting -= 1
            if not self._waiting:
                self._over.append((self._since, time.perf_counter()))

    @property
    def is_waiting(self) -> bool:
        return self._waiting > 0

    @property
    def waiting(self) -> int:
        """The number of calls that wait now."""
        return self._waiting

    def total_s(self, until: float = math.inf) -> float:
        """Return the seconds by now, or until a moment of `time.perf_counter`."""
        with self._lock:
            under_way = [(self._since, time.perf_counter())] if self._waiting else []
            return sum(max(min(end, until) - begin, 0.0) for begin, end in (*self._over, *under_way))


async def within(future: asyncio.Future[Any], timeout_s: float, pauses: Pauses) -> bool:
    """Wait so many seconds for a future, without those in which its calls wait for a limit; True if done."""
    import asyncio

    began, before_s = time.perf_counter(), pauses.total_s()
    while not future.done():
        left_s = timeout_s - (time.perf_counter() - began - (pauses.total_s() - before_s))
        if left_s <= 0 and not pauses.is_waiting:
            break
        await asyncio.wait({future}, timeout=max(left_s, _LOOK_S if pauses.is_waiting else 0.001))
    return future.done()


@dataclass(slots=True, eq=False)
class _Waiter:
    """A call in line; `wake` is called once it may be sent, from any thread."""

    wake: Callable[[], None]
    waited: bool = False  # it could not be sent at once
    number: int = 0  # of the controller, once it may be sent


@dataclass(slots=True, eq=False)
class Line:
    """
    The calls of one model at one host.

    Attributes:
        times: How many calls waited for a limit.
    """

    limits: Limits
    host: str
    controller: Controller
    times: int = 0
    given_up: str = ""
    _waiters: deque[_Waiter] = field(default_factory=deque)
    _is_held: bool = False  # somebody waits for a limit
    _passed_s: float = field(default_factory=time.monotonic)  # when a call was let through, or none waited
    _moved_s: float = field(default_factory=time.monotonic)  # when one was sent, or the same
    _named_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, waiter: _Waiter, *, again: bool) -> bool:
        """Join the line, at its front if `again`; True where the call may be sent at once."""
        with self._lock:
            if self.given_up:
                waiter.number = self.controller.send(time.monotonic())
                return True
            if not self._waiters:
                self._moved_s = time.monotonic()
                if not self.controller.refusals:
                    self._passed_s = self._moved_s
            (self._waiters.appendleft if again else self._waiters.append)(waiter)
            self._dispatch()
            waiter.waited = not waiter.number
            return bool(waiter.number)

    def leave(self, waiter: _Waiter) -> None:
        """Leave the line without being sent."""
        with self._lock:
            with suppress(ValueError):
                self._waiters.remove(waiter)
            if waiter.number:
                self.controller.end(waiter.number)
            self._dispatch()

    def dispatch(self) -> None:
        """Send on those that may go."""
        with self._lock:
            self._dispatch()

    def _dispatch(self) -> None:
        try:
            self._send_on()
        finally:
            is_held = self.controller.is_limited and bool(self._waiters)
            if is_held != self._is_held:
                self._is_held = is_held
                clock = self.limits.clock(self.host)
                (clock.begin if is_held else clock.end)()

    @property
    def waiting(self) -> int:
        """The number of calls that wait for a limit now."""
        return len(self._waiters) if self._is_held else 0

    def _send_on(self) -> None:
        now = time.monotonic()
        while self._waiters:
            wait_s = 0.0 if self.given_up else self.controller.wait_s(now)
            if wait_s > 0:
                if not self._is_stuck(now, wait_s):
                    self.limits.call_at(self, now + min(wait_s, _LOOK_S))
                    return
                self.given_up = self._limited_for(now - self._moved_s)
            waiter = self._waiters.popleft()
            self.times += waiter.waited and self.controller.is_limited
            waiter.number = self.controller.send(now)
            self._moved_s = now
            waiter.wake()

    def _is_stuck(self, now: float, wait_s: float) -> bool:
        """
        Return whether nothing was sent or let through for longer than the host's pause and its patience.

        A little longer, so that the case of a call that hangs can end first, and those that wait go on.
        """
        goes_on_s = self.controller.until if math.isinf(wait_s) else now + wait_s
        pause_s = min(max(goes_on_s - self._moved_s, 0.0), self.limits.longest_named_s)
        return now - self._moved_s - pause_s > self.limits.patience_s + _LOOK_S

    def _limited_for(self, seconds: float) -> str:
        return f"limited by {self.host} for {seconds:.0f} s"

    def let_through(self, number: int, headers: Mapping[str, str]) -> None:
        with self._lock:
            self.controller.let_through(number, time.monotonic(), quota_of(headers))
            self._passed_s = self._moved_s = time.monotonic()
            self.given_up = ""
            self.limits.note_passed(self.host)
            self._dispatch()

    def end(self, number: int) -> None:
        with self._lock:
            self.controller.end(number)
            self._dispatch()

    def refused(self, number: int, headers: Mapping[str, str], *, is_final: bool) -> bool:
        """
        Take a refusal; True where its call is to be sent again.

        Args:
            is_final: Its body says that waiting does not help, as a spent quota does.
        """
        with self._lock:
            now = time.monotonic()
            pause_s = pause_of(headers)
            if pause_s is None and (quota := quota_of(headers)) is not None:
                pause_s = quota.reset_s
            if is_final:
                self.controller.end(number)
                self._dispatch()
                return False
            is_longer = pause_s is not None and pause_s > self.limits.longest_named_s
            if not is_longer:
                self._named_s = max(self._named_s, pause_s or 0.0)
                self.controller.refused(number, now, pause_s)
                passed_s = max(self._passed_s, self.limits.passed_elsewhere_s(self.host))
                without_s = now - passed_s
                if without_s <= self.limits.patience_s + self._named_s and not self.given_up:
                    self._dispatch()
                    return True
                self.given_up = self.given_up or self._limited_for(without_s)
            else:
                self.controller.end(number)
                self.given_up = (
                    f"limited by {self.host} for {pause_s:,.0f} s, as it says itself (Retry-After)"
                )
            self._dispatch()
            return False


@dataclass(slots=True, eq=False, kw_only=True)
class Limits:
    """
    The lines of a process, by host and model, and the clock that sends their calls on.

    Attributes:
        start: Calls of a line that may be out at once before its host says more.
        patience_s: How long a host may let nothing through, besides the pause that it names.
        shared: Folder in which the processes of a run note which hosts let calls through; None if alone.
    """

    start: float = START
    patience_s: float = LONGEST_NAMED_S
    shared: Path | None = None
    _lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    _clocks: dict[str, Pauses] = field(default_factory=dict)
    _noted: dict[str, float] = field(default_factory=dict)
    _alarms: dict[Line, float] = field(default_factory=dict)
    _thread: threading.Thread | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def longest_named_s(self) -> float:
        return max(self.patience_s, LONGEST_NAMED_S)

    def turn(self, host: str, model: str, pauses: Pauses, is_over: Callable[[], bool]) -> Turn:
        """Return the turn of a call, which has joined no line yet."""
        with self._changed:
            line = self._lines.get((host, model))
            if line is None:
                line = self._lines[host, model] = Line(self, host, Controller(slots=self.start))
        return Turn(line, pauses, is_over)

    def clock(self, host: str) -> Pauses:
        """Return the clock of the seconds in which calls waited for limits of a host."""
        return self._clocks.setdefault(host, Pauses())

    def costs(self) -> dict[str, tuple[float, int]]:
        """Return seconds and number of calls that waited, by host; without hosts that limited nothing."""
        times: Counter[str] = Counter()
        for line in list(self._lines.values()):
            times[line.host] += line.times
        return {host: (self.clock(host).total_s(), number) for host, number in times.items() if number}

    def waiting(self) -> dict[str, int]:
        """Return how many calls wait for limits now, by host."""
        waiting: Counter[str] = Counter()
        for line in list(self._lines.values()):
            waiting[line.host] += line.waiting
        return dict(+waiting)

    def note_passed(self, host: str) -> None:
        """Let other processes know that a host lets calls through."""
        now = time.monotonic()
        if self.shared is not None and now - self._noted.get(host, -_NOTED_S) >= _NOTED_S:
            self._noted[host] = now
            with suppress(OSError):
                _note(self.shared, host).touch()

    def passed_elsewhere_s(self, host: str) -> float:
        """Return when another process was let through, by this one's monotonic clock."""
        if self.shared is not None:
            with suppress(OSError):
                return time.monotonic() - max(time.time() - _note(self.shared, host).stat().st_mtime, 0.0)
        return -math.inf

    def call_at(self, line: Line, at: float) -> None:
        """Have a line send its calls on at a time, on a thread that runs while anybody waits."""
        with self._changed:
            self._alarms[line] = at
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="llmops-limits", daemon=True)
                start_outside(self._thread)
            self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                if not self._alarms:
                    self._thread = None
                    return
                now = time.monotonic()
                due = [line for line, at in self._alarms.items() if at <= now]
                if not due:
                    self._changed.wait(min(self._alarms.values()) - now)
                    continue
                for line in due:
                    del self._alarms[line]
            for line in due:
                line.dispatch()


def _note(folder: Path, host: str) -> Path:
    """Return the file whose time of change is that of the last call of a host that was let through."""
    return folder / f"limits-{sha256(host.encode()).hexdigest()[:16]}"


class Turn:
    """One call on its way through a line, sent once or more."""

    def __init__(self, line: Line, pauses: Pauses, is_over: Callable[[], bool]) -> None:
        self._line, self._pauses, self._is_over = line, pauses, is_over
        self._number = 0
        self._again = False

    def go_now(self) -> bool:
        """Return whether the call may be sent at once; if not, it has not joined the line."""
        waiter = _Waiter(lambda: None)
        if self._line.enter(waiter, again=self._again):
            self._number = waiter.number
            return True
        self._line.leave(waiter)
        return False

    def wait(self) -> None:
        """
        Wait on a thread until the call may be sent.

        Raises:
            ConnectionError: The case has ended meanwhile.
        """
        event = threading.Event()
        with self._in_line(_Waiter(event.set)) as may_go:
            while not may_go and not event.wait(_LOOK_S):
                self._check()

    async def wait_async(self) -> None:
        """Wait on an event loop, which goes on meanwhile; else as `wait`."""
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            await self._wait_on_trio()
            return
        future = loop.create_future()

        def settle() -> None:
            if not future.done():
                future.set_result(None)

        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed
                loop.call_soon_threadsafe(settle)

        with self._in_line(_Waiter(wake)) as may_go:
            while not may_go and not future.done():
                await asyncio.wait({future}, timeout=_LOOK_S)
                self._check()

    async def _wait_on_trio(self) -> None:
        event = threading.Event()
        with self._in_line(_Waiter(event.set)) as may_go:
            while not may_go and not event.is_set():
                await sys.modules["trio"].sleep(_TRIO_S)
                self._check()

    @contextmanager
    def _in_line(self, waiter: _Waiter) -> Iterator[bool]:
        """Join the line, and leave it on an error; True where the call may be sent at once."""
        try:
            may_go = self._line.enter(waiter, again=self._again)
            with nullcontext() if may_go else self._counted():
                yield may_go
            self._number = waiter.number  # from here on the end of the case gives it back
            if self._again or not may_go:
                self._check()
        except BaseException:
            self._line.leave(waiter)
            raise

    def _check(self) -> None:
        if self._is_over():
            raise ConnectionError(f"the case ended while its call waited for a limit of {self._line.host}")

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._pauses.begin()
        try:
            yield
        finally:
            self._pauses.end()

    def is_refused(self, status: int, headers: Mapping[str, str]) -> bool:
        """Take the head of an answer; True for a refusal, whose body is to be read for `goes_again`."""
        if is_refusal(status, headers):
            return True
        self._line.let_through(self._number, headers)
        return False

    def goes_again(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Take a refusal; True where the call is to wait and to be sent again."""
        again = self._line.refused(self._number, headers, is_final=_is_final(headers, body))
        if again:
            self._number, self._again = 0, True
        return again

    @property
    def given_up(self) -> str:
        """The reason why a refusal was handed to the app; empty where its host is not given up."""
        return self._line.given_up

    def end(self) -> None:
        """The call is over, whatever became of it."""
        if self._number:
            self._line.end(self._number)
            self._number = 0


_FINAL = (b"insufficient_quota", b"billing_hard_limit_reached", b"billing_not_active", b"access_terminated")


def _is_final(headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether waiting does not help: what is paid for is used up."""
    return headers.get("x-should-retry") == "false" or any(word in body[:10_000] for word in _FINAL)
