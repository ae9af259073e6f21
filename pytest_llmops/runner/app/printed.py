"""
Output, logs and warnings of an app, kept by the case that causes them, since many cases run at once.

Output of threads that know of no case, and of the app while it is imported, is kept for the run.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial, wraps
from itertools import accumulate
from traceback import format_exception
from typing import Any, Literal

from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.printable import counted
from pytest_llmops.recorder.patches import Change, Patches
from pytest_llmops.records import UNSEEN, Span

Channel = Literal["stdout", "stderr", "log"]

_CHANNELS: tuple[Channel, ...] = ("stdout", "stderr", "log")
_KEPT = 1_000_000  # characters of a channel; only complete pieces, so that no half of a secret is left
_SHOWN = 100_000  # of them in reports
_OF_EVERY_RECORD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


@dataclass(slots=True)
class Printed:
    """
    Grows while a case runs; filled by every thread that carries the case's context.

    Attributes:
        errors: Number of log records of the level ERROR and above.
    """

    errors: int = 0
    _pieces: defaultdict[Channel, list[str]] = field(default_factory=lambda: defaultdict(list))
    _sizes: Counter[Channel] = field(default_factory=Counter)  # in characters, with those not kept

    def add(self, channel: Channel, text: str) -> None:
        self._sizes[channel] += len(text)
        if self._sizes[channel] <= _KEPT:
            self._pieces[channel].append(text)

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
        return tuple((channel, self._show(channel)) for channel in _CHANNELS if self._sizes[channel])

    def spans(self) -> tuple[Span, ...]:
        """A span for each channel that was used, for the checks that look at all output of the app."""
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


def _receivers() -> tuple[Printed, ...]:
    """
    Return where output of this context is kept: for its case, or for the runs.

    Output of the main thread outside of cases is pytest's and its tests': it is kept nowhere.
    """
    if (printed := current.get()) is not None:
        return (printed,)
    return () if threading.current_thread() is threading.main_thread() else tuple(_outside)


def routed(
    write: Callable[[str], int], channel: Channel, shown: Callable[[str], int] | None
) -> Callable[[str], int]:
    """
    Return a `write` for a stream that gives a case's output to the case.

    Args:
        shown: Writes it too, where it is to be seen at once.
    """

    def routed(text: str, /) -> int:
        receivers = _receivers() if isinstance(text, str) else ()  # the stream refuses anything else
        if not receivers:
            return write(text)
        for printed in receivers:
            printed.add(channel, text)
        if current.get() is None:
            write(mask_shown(text))
        elif shown is not None:
            shown(text)
        return len(text)

    return routed


def _route_masked(channel: Channel, write: Callable[[str], int]) -> Callable[[str], int]:
    return routed(write, channel, lambda text: write(mask_shown(text)))


def _find_streams() -> Iterator[Change]:
    yield sys.stdout, "write", partial(_route_masked, "stdout")
    yield sys.stderr, "write", partial(_route_masked, "stderr")


class CaseLog(logging.Handler):
    """Gives each record to the case that logs it."""

    def emit(self, record: logging.LogRecord) -> None:
        if (printed := current.get()) is not None:
            printed.add("log", f"{self.format(record)}\n")


def _keep_record(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Keep extra fields of a record, which no handler shows, and all of one that never reaches the root."""

    @wraps(handle)
    def keep(self: logging.Logger, record: logging.LogRecord) -> Any:
        for printed in _receivers():
            printed.errors += record.levelno >= logging.ERROR
            extra = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
            if extra:
                printed.add("log", f"{extra}\n")
            if current.get() is None or not _reaches_root(self):  # else a `CaseLog` gets it
                printed.add("log", f"{logging.Formatter().format(record)}\n")
        return handle(self, record)

    return keep


def _reaches_root(logger: logging.Logger) -> bool:
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
    return logger is logging.getLogger()


def _keep_as_error(describe: Callable[[Any], str], hook: Callable[[Any], object]) -> Callable[[Any], None]:
    """Keep the argument of a hook as lines on standard error, where Python shows it without pytest."""

    @wraps(hook)
    def keep(shown: Any) -> None:
        for printed in _receivers():
            printed.add("stderr", f"{describe(shown)}\n")
        hook(shown)

    return keep


def _describe_warning(shown: warnings.WarningMessage) -> str:
    return f"{shown.category.__name__}: {shown.message}"


def _describe_raised(shown: threading.ExceptHookArgs) -> str:
    return "".join(format_exception(shown.exc_value)) if shown.exc_value else ""


def _find_hooks() -> Iterator[Change]:
    yield logging.Logger, "handle", _keep_record
    # Private, since pytest exchanges the public names of `warnings`.
    yield warnings, "_showwarnmsg", partial(_keep_as_error, _describe_warning)
    yield threading, "excepthook", partial(_keep_as_error, _describe_raised)


_streams = Patches(_find_streams)
listening = Patches(_find_hooks).installed
"""A context manager: listen to every logger, whatever its handlers, to warnings, and to what ends threads."""


_case_log = CaseLog()


@contextlib.contextmanager
def route_through() -> Iterator[None]:
    """Keep output and logs of cases for them, and show them masked; calls at the same time share it."""
    root = logging.getLogger()
    try:
        with _streams.installed(), listening():
            if not any(isinstance(handler, CaseLog) for handler in root.handlers):
                root.addHandler(_case_log)
            yield
    finally:
        if not _streams.has_users:
            root.removeHandler(_case_log)
