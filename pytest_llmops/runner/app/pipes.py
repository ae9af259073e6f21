"""Pipes in place of the standard streams, by which child processes print to their case."""

from __future__ import annotations

import atexit
import codecs
import os
import selectors
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.runner.app.printed import Channel, Printed, current, receivers, show

_READ = 65_536  # bytes at a time
_MOST_READS = 32  # in a row, since a child may print without end
_LONGEST_LINE = 65_536  # characters that are held back until their line ends


@dataclass(slots=True, eq=False)
class Pipe:
    """
    Delivers what comes through a pipe, in complete lines.

    Attributes:
        targets: Keep the output: its case, or the runs under way.
        of_case: The output is shown as that of a case.
    """

    channel: Channel
    targets: tuple[Printed, ...]
    of_case: bool
    read_end: int
    _line: str = ""
    _ended: bool = False
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def read(self) -> None:
        """Deliver what is there."""
        with self._lock:
            for _ in range(_MOST_READS):
                if self._ended:
                    return
                try:
                    content = os.read(self.read_end, _READ)
                except BlockingIOError:
                    return
                except OSError:  # the app closed it
                    content = b""
                self._line += self._decoder.decode(content, final=not content)
                if not content:
                    self._end()
                    return
                complete, newline, rest = self._line.rpartition("\n")
                if len(rest) > _LONGEST_LINE:
                    complete, newline, rest = self._line, "", ""
                self._line = rest
                self._deliver(complete + newline)

    def deliver(self) -> None:
        """Deliver all that is there, a line that has not ended too."""
        self.read()
        with self._lock:
            self._deliver(self._line)
            self._line = ""

    def leave(self, then: tuple[Printed, ...]) -> None:
        """Deliver what comes later to the runs that are under way."""
        with self._lock:
            self.targets, self.of_case = then, False
            for printed in () if self._ended else then:
                printed.sources.append(self)

    def _deliver(self, text: str) -> None:
        if text and self.targets:
            # By lines, since a report shows as many pieces as it has room for.
            for line in text.splitlines(keepends=True):
                for printed in self.targets:
                    printed.add(self.channel, line)
            show(self.channel, text, of_case=self.of_case)

    def _end(self) -> None:
        self._deliver(self._line)
        self._line, self._ended = "", True
        _pump.forget(self)
        with suppress(OSError):
            os.close(self.read_end)


class _Pump:
    """Reads pipes on a thread, since a child waits while its pipe is full."""

    def __init__(self) -> None:
        self._selector: selectors.BaseSelector | None = None
        self._lock = threading.Lock()

    def watch(self, pipe: Pipe) -> None:
        """
        Read a pipe from now on.

        Raises:
            OSError: No descriptor is left.
        """
        with self._lock:
            selector = self._selector or selectors.DefaultSelector()
            selector.register(pipe.read_end, selectors.EVENT_READ, pipe)
            if self._selector is None:
                self._selector = selector
                work = partial(self._work, selector)
                start_outside(threading.Thread(target=work, name="llmops-pipes", daemon=True))

    def forget(self, pipe: Pipe) -> None:
        with self._lock, suppress(KeyError, ValueError, OSError):
            if self._selector is not None:
                self._selector.unregister(pipe.read_end)

    def leave_open(self) -> None:
        """At the end of the process: what still prints goes nowhere, and is not ended by a closed pipe."""
        with self._lock:
            left = [key.data.read_end for key in self._selector.get_map().values()] if self._selector else []
        for read_end in left:
            with suppress(OSError):
                os.set_blocking(read_end, True)
                subprocess.Popen(
                    ["cat"],  # noqa: S607 - of the system
                    stdin=read_end,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    @staticmethod
    def _work(selector: selectors.BaseSelector) -> None:
        while True:
            for key, _ in selector.select():
                key.data.read()


_pump = _Pump()
atexit.register(lambda: _pump.leave_open())  # noqa: PLW0108 - a fork has another one, and must not read the parent's


def open_pipe(channel: Channel) -> int | None:
    """
    Open a pipe to this context and return its end to write to, which the caller closes once the child has it.

    None where no descriptor is left: that is noted, since nobody sees what the child prints.
    """
    targets = receivers()
    ends: tuple[int, ...] = ()
    try:
        ends = read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        pipe = Pipe(channel, targets, current.get() is not None, read_end)
        _pump.watch(pipe)
    except OSError:
        for number in ends:
            os.close(number)
        for printed in targets:
            printed.lose(channel)
        return None
    for printed in targets:
        printed.sources.append(pipe)
    return write_end


def start_anew() -> None:
    """In a forked process: the thread that reads is not there, and the pipes are the parent's to read."""
    global _pump  # noqa: PLW0603
    _pump = _Pump()
