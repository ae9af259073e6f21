"""
What an app prints and logs, kept by the case that causes it, since many cases run at once.

Output of threads that know of no case, and of the app while it is imported, is kept for the run.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, Protocol

from pytest_llmops.printable import counted
from pytest_llmops.records import UNSEEN, Span

Channel = Literal["stdout", "stderr", "log"]

_CHANNELS: tuple[Channel, ...] = ("stdout", "stderr", "log")
_KEPT = 1_000_000  # characters of a channel; only complete pieces, so that no half of a secret is left
_SHOWN = 100_000  # of them in reports


class Source(Protocol):
    """What delivers output later, as the pipe of a child process does."""

    def deliver(self) -> None:
        """Deliver all that is there."""

    def leave(self, then: tuple[Printed, ...]) -> None:
        """Deliver what comes later to others."""


@dataclass(slots=True)
class Printed:
    """
    Grows while a case runs; filled by every thread that carries the case's context.

    Attributes:
        errors: Number of log records of the level ERROR and above.
        sources: Deliver output of child processes, until the end.
    """

    errors: int = 0
    sources: list[Source] = field(default_factory=list)
    _pieces: defaultdict[Channel, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    # Origin and text of each.
    _sizes: Counter[Channel] = field(default_factory=Counter)  # in characters, with those not kept

    def add(self, channel: Channel, text: str, origin: str = "") -> None:
        """Add a text; `origin` is the place in the app that it comes from, where that is known."""
        self._sizes[channel] += len(text)
        if text and self._sizes[channel] <= _KEPT:
            self._pieces[channel].append((origin, text))

    def has_room(self, channel: Channel) -> bool:
        """Return whether there is room for what may be left out: half of a channel is kept for the rest."""
        return self._sizes[channel] <= _KEPT // 2

    def lose(self, channel: Channel) -> None:
        """Note output that nobody can look at."""
        self._sizes[channel] += 1

    def finish(self) -> None:
        """Take what the sources have by now, and leave what comes later to the run."""
        self._listen()
        for source in self.sources:
            source.leave(tuple(_outside))
        self.sources = []

    def take(self, inner: Printed) -> None:
        """Add the output of a nested context."""
        self.errors += inner.errors
        for channel, size in inner._sizes.items():
            pieces = inner._pieces[channel]
            for origin, text in pieces:
                self.add(channel, text, origin)
            self._sizes[channel] += size - sum(len(text) for _, text in pieces)

    def texts(self) -> tuple[tuple[str, str], ...]:
        """Channel and text to show, for those that were used."""
        self._listen()
        return tuple((channel, self._show(channel)) for channel in _CHANNELS if self._sizes[channel])

    def spans(self) -> tuple[Span, ...]:
        """A span for each origin in each channel, for the checks that look at all output of the app."""
        self._listen()
        spans = []
        for channel in _CHANNELS:
            texts: dict[str, list[str]] = {}
            for origin, text in self._pieces[channel]:
                texts.setdefault(origin, []).append(text)
            unseen = self._sizes[channel] - sum(len(text) for _, text in self._pieces[channel])
            if unseen:
                texts.setdefault("", [])
            for origin, pieces in texts.items():
                lost = {UNSEEN: unseen} if unseen and not origin else {}
                attributes = {"text": "".join(pieces), **lost}
                name = f"{channel} of {origin}" if origin else channel
                spans.append(
                    Span(span_id="", parent_id=None, name=name, origin=channel, attributes=attributes)
                )
        return tuple(spans)

    def _listen(self) -> None:
        for source in tuple(self.sources):
            source.deliver()

    def _show(self, channel: Channel) -> str:
        pieces = [text for _, text in self._pieces[channel]]
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
        printed.finish()
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
    printed.finish()


def receivers() -> tuple[Printed, ...]:
    """
    Return where output of this context is kept: for its case, or for the runs under way.

    Output of the main thread outside of cases is pytest's and its tests': it is kept nowhere.
    """
    if (printed := current.get()) is not None:
        return (printed,)
    return () if threading.current_thread() is threading.main_thread() else tuple(_outside)


def keep_outside(channel: Channel, text: str) -> None:
    """Keep output that belongs to no case for the runs under way."""
    for printed in _outside:
        printed.add(channel, text)


def forget() -> None:
    """In a forked process, keep nothing: its memory is a copy."""
    current.set(None)
    _outside.clear()


Show = Callable[[str], object]
_showing: dict[Channel, tuple[Show, Show]] = {}


def show_by(channel: Channel, of_case: Show, of_none: Show) -> None:
    """From now on, show output that passes by the streams of Python by these two."""
    _showing[channel] = of_case, of_none


def show(channel: Channel, text: str, *, of_case: bool) -> None:
    """Show output that a stream would have shown, had it passed by it."""
    if channel in _showing:
        with contextlib.suppress(OSError, ValueError):  # the stream was closed
            _showing[channel][0 if of_case else 1](text)
