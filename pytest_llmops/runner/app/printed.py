"""
What an app prints and logs, kept by the case that causes it, since many cases run at once.

Output of threads that know of no case, and of the app while it is imported, is kept for the run.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import accumulate
from subprocess import Popen
from typing import Any, BinaryIO, Literal

from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.printable import counted
from pytest_llmops.records import UNSEEN, Span

Channel = Literal["stdout", "stderr", "log"]

_CHANNELS: tuple[Channel, ...] = ("stdout", "stderr", "log")
_KEPT = 1_000_000  # characters of a channel; only complete pieces, so that no half of a secret is left
_SHOWN = 100_000  # of them in reports


@dataclass(slots=True, eq=False)
class _ChildFile:
    """
    A file in place of a standard stream, which child processes inherit.

    A file and no pipe: a child that outlives the run can still write to it.
    """

    channel: Channel
    file: BinaryIO = field(default_factory=lambda: tempfile.TemporaryFile(buffering=0))  # noqa: SIM115 - closed by its owner
    read_to: int = 0

    def read(self) -> tuple[str, int]:
        """Return what was written since the last time, and how many bytes of it are too many to be kept."""
        descriptor = self.file.fileno()
        size = os.fstat(descriptor).st_size - self.read_to
        content = os.pread(descriptor, min(size, _KEPT), self.read_to)
        self.read_to += size
        return content.decode("utf-8", "replace"), size - len(content)


@dataclass(slots=True)
class Printed:
    """
    Grows while a case runs; filled by every thread that carries the case's context.

    Attributes:
        errors: Number of log records of the level ERROR and above.
        children: Processes that write to its files.
    """

    errors: int = 0
    children: list[Popen[Any]] = field(default_factory=list)
    _files: list[_ChildFile] = field(default_factory=list)
    _pieces: defaultdict[Channel, list[str]] = field(default_factory=lambda: defaultdict(list))
    _sizes: Counter[Channel] = field(default_factory=Counter)  # in characters, with those not kept

    def add(self, channel: Channel, text: str) -> None:
        self._sizes[channel] += len(text)
        if self._sizes[channel] <= _KEPT:
            self._pieces[channel].append(text)

    def descriptor(self, channel: Channel) -> int:
        """Return the descriptor of the file that child processes write this channel to."""
        for known in self._files:
            if known.channel == channel and not known.file.closed:
                return known.file.fileno()
        self._files.append(_ChildFile(channel))
        return self._files[-1].file.fileno()

    def show_children(self) -> None:
        """Print what child processes wrote, and leave the files of those that still run to the run."""
        for written in self._files:
            text, left = written.read()
            if text:
                getattr(sys, written.channel).write(text)
            self._sizes[written.channel] += left
        if any(map(_is_running, self.children)) and _outside:
            _outside[0]._files += self._files  # noqa: SLF001 - of its own class
            self._files = []
        self.close()

    def close(self) -> None:
        for written in self._files:
            written.file.close()
        self._files = []

    def take(self, inner: Printed) -> None:
        """Add the output of a nested context."""
        self.errors += inner.errors
        for channel, size in inner._sizes.items():
            pieces = inner._pieces[channel]
            for piece in pieces:
                self.add(channel, piece)
            self._sizes[channel] += size - sum(map(len, pieces))

    def texts(self) -> tuple[tuple[str, str], ...]:
        """Channel and text to show, for those that were used."""
        self._read_children()
        return tuple((channel, self._show(channel)) for channel in _CHANNELS if self._sizes[channel])

    def spans(self) -> tuple[Span, ...]:
        """A span for each channel that was used, for the checks that look at all output of the app."""
        self._read_children()
        spans = []
        for channel in _CHANNELS:
            if size := self._sizes[channel]:
                text = "".join(self._pieces[channel])
                unseen = {UNSEEN: size - len(text)} if size > len(text) else {}
                attributes = {"text": text, **unseen}
                spans.append(
                    Span(span_id="", parent_id=None, name=channel, origin=channel, attributes=attributes)
                )
        return tuple(spans)

    def _read_children(self) -> None:
        """Read what child processes of no case wrote, and show it, since no report does."""
        for written in self._files:
            text, left = written.read()
            self.add(written.channel, text)
            self._sizes[written.channel] += left
            getattr(sys, written.channel).write(mask_shown(text))

    def _show(self, channel: Channel) -> str:
        pieces = self._pieces[channel]
        ends = accumulate(map(len, pieces))
        text = "".join(piece for piece, end in zip(pieces, ends, strict=True) if end <= _SHOWN)
        left = self._sizes[channel] - len(text)
        return f"{text}\n… ({counted(left, 'more character')})\n" if left else text


current: ContextVar[Printed | None] = ContextVar("pytest_llmops_printed", default=None)
"""Of the case that runs in this context."""

_outside: list[Printed] = []  # of the runs under way


@contextlib.contextmanager
def _collect(receivers: Collection[Printed]) -> Iterator[Printed]:
    printed = Printed()
    token = current.set(printed)
    try:
        yield printed
    finally:
        printed.show_children()
        current.reset(token)
        for receiver in tuple(receivers):
            receiver.take(printed)


def collect() -> contextlib.AbstractContextManager[Printed]:
    """Keep output of this context, and of those copied from it; also for the context around it, if any."""
    outer = current.get()
    return _collect([] if outer is None else [outer])


def collect_outside() -> contextlib.AbstractContextManager[Printed]:
    """Keep output of this context for the run, since it is of no case."""
    return _collect(_outside)


def watch_outside() -> Printed:
    """Keep output that belongs to no case from now on, until `unwatch_outside`."""
    printed = Printed()
    _outside.append(printed)
    return printed


def unwatch_outside(printed: Printed) -> None:
    _outside[:] = [known for known in _outside if known is not printed]
    printed.close()


def receivers() -> tuple[Printed, ...]:
    """
    Return where output of this context is kept: for its case, or for the runs under way.

    Output of the main thread outside of cases is pytest's and its tests': it is kept nowhere.
    """
    if (printed := current.get()) is not None:
        return (printed,)
    return () if threading.current_thread() is threading.main_thread() else tuple(_outside)


def outside() -> Printed | None:
    """Return what keeps the output of no case, while a run is under way."""
    return _outside[0] if _outside else None


def keep_outside(channel: Channel, text: str) -> None:
    """Keep output that belongs to no case for the runs under way."""
    for printed in _outside:
        printed.add(channel, text)


def _is_running(child: Popen[Any]) -> bool:
    """Return whether a child has begun and not ended; whoever waits for it still gets its exit status."""
    if not hasattr(child, "pid"):
        return False
    if not hasattr(os, "waitid"):
        return child.returncode is None
    try:
        return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:  # somebody has waited for it
        return False
