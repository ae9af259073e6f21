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

from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.runner.app.printed import Channel, Printed, outside, show

_READ = 65_536  # bytes at a time
_MOST_READS = 32  # in a row, since a child may print without end
_LONGEST_LINE = 65_536  # characters that are held back until their line ends


@dataclass(slots=True, eq=False)
class Pipe:
    """
    Delivers what comes through a pipe, in complete lines.

    Attributes:
        target: Keeps the output; None once no run is under way that would.
    """

    channel: Channel
    target: Printed | None
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

    def finish(self, then: Printed | None) -> None:
        """Deliver all that is there, and what comes later to another one."""
        self.read()
        with self._lock:
            self._deliver(self._line)
            self._line = ""
            self.target = then
            if then is not None and not self._ended:
                then.sources.append(self)

    def _deliver(self, text: str) -> None:
        if text and self.target is not None:
            # By lines, since a report shows as many pieces as it has room for.
            for line in text.splitlines(keepends=True):
                self.target.add(self.channel, line)
            show(self.channel, text, of_case=self.target is not outside())

    def _end(self) -> None:
        self._deliver(self._line)
        self._line, self._ended = "", True
        _pump.forget(self)
        with suppress(OSError):
            os.close(self.read_end)


class _Pump:
    """Reads pipes on a thread, since a child waits while its pipe is full."""

    def __init__(self) -> None:
        self._open: set[Pipe] = set()
        self._selector: selectors.BaseSelector | None = None
        self._lock = threading.Lock()

    def watch(self, pipe: Pipe) -> None:
        with self._lock:
            if self._selector is None:
                self._selector = selectors.DefaultSelector()
                self._selector.register(pipe.read_end, selectors.EVENT_READ, pipe)
                start_outside(threading.Thread(target=self._work, name="llmops-pipes", daemon=True))
            else:
                self._selector.register(pipe.read_end, selectors.EVENT_READ, pipe)
            self._open.add(pipe)

    def forget(self, pipe: Pipe) -> None:
        with self._lock:
            self._open.discard(pipe)
            if self._selector is not None:
                with suppress(KeyError, ValueError, OSError):
                    self._selector.unregister(pipe.read_end)

    def leave_open(self) -> None:
        """At the end of the process: what still prints goes nowhere, and is not ended by a closed pipe."""
        for pipe in tuple(self._open):
            with suppress(OSError):
                os.set_blocking(pipe.read_end, True)
                subprocess.Popen(
                    ["cat"],  # noqa: S607 - of the system
                    stdin=pipe.read_end,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )

    def _work(self) -> None:
        while self._selector is not None:
            for key, _ in self._selector.select():
                key.data.read()


_pump = _Pump()
atexit.register(_pump.leave_open)


def open_pipe(channel: Channel, target: Printed) -> int | None:
    """
    Open a pipe and return its end to write to, which the caller closes once the child has it.

    None where no descriptor is left: that is noted, since nobody sees what the child prints.
    """
    try:
        read_end, write_end = os.pipe()
    except OSError:
        target.lose(channel)
        return None
    os.set_blocking(read_end, False)
    pipe = Pipe(channel, target, read_end)
    target.sources.append(pipe)
    _pump.watch(pipe)
    return write_end


def start_anew() -> None:
    """In a forked process: the thread that reads is not there."""
    global _pump  # noqa: PLW0603
    _pump = _Pump()
