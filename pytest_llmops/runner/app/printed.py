"""
What an app prints, logs and warns of while it answers a case; kept by case, since many run at once.

What threads write that know of no case, and what the app writes while it is imported, is kept for the run.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from itertools import accumulate
from traceback import format_exception
from typing import Any, Literal

from pytest_llmops.detect.mask import mask_shown
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

_outside: list[Printed] = []

_lock = threading.Lock()
_routed_streams: Counter[int] = Counter()
_listening = 0
_SHOW = "_showwarnmsg"  # of `warnings`, and private: pytest exchanges whatever is public
_OF_EVERY_RECORD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


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


def watch_outside() -> Printed:
    """From now on what no case prints is kept there, until `unwatch_outside`."""
    printed = Printed()
    _outside.append(printed)
    return printed


def unwatch_outside(printed: Printed) -> None:
    _outside[:] = [each for each in _outside if each is not printed]


@contextlib.contextmanager
def collect_outside() -> Iterator[None]:
    """Keep what this context prints for the run, since it is of no case."""
    token = current.set(None)
    try:
        with collect() as printed:
            yield
    finally:
        current.reset(token)
        for each in tuple(_outside):
            each.take(printed)


@contextlib.contextmanager
def route_through() -> Iterator[None]:
    """While it is open, what a case prints and logs is kept for it, and shown masked."""
    streams: list[tuple[Channel, Any]] = [("stdout", sys.stdout), ("stderr", sys.stderr)]
    with _lock:
        for channel, stream in streams:
            if not _routed_streams[id(stream)]:
                with contextlib.suppress(AttributeError):  # of somebody's own kind, or none
                    stream.write = routed(stream.write, channel, _masked(stream.write))
            _routed_streams[id(stream)] += 1
    log = CaseLog()
    logging.getLogger().addHandler(log)
    try:
        with listening():
            yield
    finally:
        logging.getLogger().removeHandler(log)
        with _lock:
            for _, stream in streams:
                _routed_streams[id(stream)] -= 1
                if not _routed_streams[id(stream)]:
                    with contextlib.suppress(AttributeError):  # as above
                        del stream.write  # the class's own shows again


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Listen to every logger, whatever its handlers, to warnings, and to what ends threads."""
    global _listening  # noqa: PLW0603 - what is changed is global too
    with _lock:
        _listening += 1
        if _listening == 1:
            logging.Logger.handle = _noting(logging.Logger.handle)  # type: ignore[method-assign]
            if show := getattr(warnings, _SHOW, None):
                setattr(warnings, _SHOW, _noting_first(show, _describe_warning))
            threading.excepthook = _noting_first(threading.excepthook, _describe_raised)
    try:
        yield
    finally:
        with _lock:
            _listening -= 1
            if _listening == 0:
                changed = ((logging.Logger, "handle"), (warnings, _SHOW), (threading, "excepthook"))
                for owner, name in changed:
                    if own := getattr(getattr(owner, name, None), "__wrapped__", None):
                        setattr(owner, name, own)


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
        if not isinstance(text, str):  # the stream itself refuses it
            return write(text)
        printed = current.get()
        if printed is not None:
            printed.add(channel, text)
            if shown is not None:
                shown(text)
        elif _is_of_the_app():
            _keep_outside(channel, text)
            write(mask_shown(text))
        else:
            return write(text)
        return len(text)

    return routed


def _is_of_the_app() -> bool:
    """Whether a thread that knows of no case may be the app's: pytest and its tests have the main one."""
    return bool(_outside) and threading.current_thread() is not threading.main_thread()


def _keep_outside(channel: Channel, text: str) -> None:
    for printed in tuple(_outside):
        printed.add(channel, text)


def _masked(write: Callable[[str], int]) -> Callable[[str], int]:
    return lambda text: write(mask_shown(text))


def _noting(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps of a record what the root's handlers do not show: extra fields, and all where it ends before."""

    @wraps(handle)
    def note(self: logging.Logger, record: logging.LogRecord) -> Any:
        extra = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        said = [f"{extra}\n"] if extra else []
        printed = current.get()
        if printed is None or not _reaches_root(self):
            said.append(f"{logging.Formatter().format(record)}\n")
        for text in said:
            if printed is not None:
                printed.add("log", text)
            elif _is_of_the_app():
                _keep_outside("log", text)
        return handle(self, record)

    return note


def _reaches_root(logger: logging.Logger) -> bool:
    each: logging.Logger | None = logger
    while each is not None and each.propagate and each.parent is not None:
        each = each.parent
    return each is logging.getLogger()


def _noting_first(hook: Callable[[Any], object], describe: Callable[[Any], str]) -> Callable[[Any], None]:
    """Keeps what a hook gets as lines on standard error, which it is without pytest."""

    @wraps(hook)
    def note(seen: Any) -> None:
        text = f"{describe(seen)}\n"
        if (printed := current.get()) is not None:
            printed.add("stderr", text)
        elif _is_of_the_app():
            _keep_outside("stderr", text)
        hook(seen)

    return note


def _describe_warning(message: warnings.WarningMessage) -> str:
    return f"{message.category.__name__}: {message.message}"


def _describe_raised(raised: threading.ExceptHookArgs) -> str:
    return "".join(format_exception(raised.exc_value)) if raised.exc_value else ""
