"""What an app prints and logs while it answers a case; kept by case, since many run at once."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import accumulate
from threading import Lock
from typing import Any, Literal

from pytest_llmops.printable import counted
from pytest_llmops.records import UNSEEN, Span

Channel = Literal["stdout", "stderr", "log"]

_CHANNELS: tuple[Channel, ...] = ("stdout", "stderr", "log")
_KEPT = 1_000_000  # characters of a channel; whole pieces only, so that no half of a secret is left
_SHOWN = 100_000  # of them in reports


@dataclass(slots=True)
class Printed:
    """Grows while a case runs; written to from whatever thread carries the case's context."""

    pieces: dict[Channel, list[str]] = field(default_factory=dict)
    _sizes: dict[Channel, int] = field(default_factory=dict)

    def add(self, channel: Channel, text: str) -> None:
        size = self._sizes.get(channel, 0)
        self._sizes[channel] = size + len(text)
        if size + len(text) <= _KEPT:
            self.pieces.setdefault(channel, []).append(text)

    def take(self, inner: Printed) -> None:
        """Add what was printed inside of it."""
        for channel, size in inner._sizes.items():
            kept = inner.pieces.get(channel, ())
            for piece in kept:
                self.add(channel, piece)
            self._sizes[channel] = self._sizes.get(channel, 0) + size - sum(map(len, kept))

    def texts(self) -> tuple[tuple[str, str], ...]:
        """Channel and text to show, for those that were used."""
        return tuple((channel, self._show(channel)) for channel in self._used())

    def spans(self) -> tuple[Span, ...]:
        """A span for each channel that was used, for the checks that look at all that left the app."""
        return tuple(
            Span(span_id="", parent_id=None, name=channel, origin=channel, attributes=self._describe(channel))
            for channel in self._used()
        )

    def _used(self) -> list[Channel]:
        return [channel for channel in _CHANNELS if self._sizes.get(channel)]

    def _describe(self, channel: Channel) -> dict[str, Any]:
        text = "".join(self.pieces.get(channel, ()))
        unseen = self._sizes[channel] - len(text)
        return {"text": text, **({UNSEEN: unseen} if unseen else {})}

    def _show(self, channel: Channel) -> str:
        pieces = self.pieces.get(channel, ())
        ends = accumulate(map(len, pieces))
        text = "".join(piece for piece, end in zip(pieces, ends, strict=True) if end <= _SHOWN)
        left = self._sizes[channel] - len(text)
        return f"{text}\n… ({counted(left, 'more character')})\n" if left else text


current: ContextVar[Printed | None] = ContextVar("pytest_llmops_printed", default=None)
"""Of the case that runs in this context."""

_routing = Lock()
_routed_streams: Counter[int] = Counter()


@contextlib.contextmanager
def collect() -> Iterator[Printed]:
    """Keep what this context, and those copied from it, print; where it is nested, outside of it too."""
    printed = Printed()
    outer = current.get()
    token = current.set(printed)
    try:
        yield printed
    finally:
        current.reset(token)
        if outer is not None:
            outer.take(printed)


@contextlib.contextmanager
def route_through() -> Iterator[None]:
    """While it is open, what a case prints and logs is kept for it, and shown as it was before."""
    streams: list[tuple[Channel, Any]] = [("stdout", sys.stdout), ("stderr", sys.stderr)]
    with _routing:
        for channel, stream in streams:
            if not _routed_streams[id(stream)]:
                with contextlib.suppress(AttributeError):  # of somebody's own kind, or none
                    stream.write = routed(stream.write, channel, stream.write)
            _routed_streams[id(stream)] += 1
    log = CaseLog()
    logging.getLogger().addHandler(log)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(log)
        with _routing:
            for _, stream in streams:
                _routed_streams[id(stream)] -= 1
                if not _routed_streams[id(stream)]:
                    with contextlib.suppress(AttributeError):  # as above
                        del stream.write  # the class's own shows again


class CaseLog(logging.Handler):
    """Gives each record to the case that logs it."""

    def emit(self, record: logging.LogRecord) -> None:
        if (printed := current.get()) is not None:
            printed.add("log", f"{self.format(record)}\n")


def routed(
    write: Callable[[str], int], channel: Channel, shown: Callable[[str], int] | None
) -> Callable[[str], int]:
    """
    A stream's `write` that gives what a case prints to the case.

    Args:
        shown: Writes it too, where it is to be seen at once.
    """

    def routed(text: str, /) -> int:
        printed = current.get()
        if printed is None or not isinstance(text, str):  # the stream itself refuses what is no text
            return write(text)
        printed.add(channel, text)
        if shown is not None:
            shown(text)
        return len(text)

    return routed
