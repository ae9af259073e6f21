"""
Routes what the process prints, logs and warns of to the case that causes it.

Whatever an app uses for it: Python's streams, loggers, warnings, threads that break, child processes and the
descriptors of the standard streams.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial, wraps
from traceback import format_exception
from types import FrameType
from typing import Any

from pytest_llmops.detect.mask import mask_shown
from pytest_llmops.recorder.children import preparing
from pytest_llmops.recorder.patches import Change, Patches
from pytest_llmops.runner.app.descriptors import find_writers, give_pipes, note_streams
from pytest_llmops.runner.app.printed import Channel, current, receivers, show_by
from pytest_llmops.runner.stamps.files_read import STDLIB, is_library

_is_below: ContextVar[bool] = ContextVar("pytest_llmops_is_below", default=False)
_OF_EVERY_RECORD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


def routed(
    write: Callable[[str], int], channel: Channel, shown: Callable[[str], int] | None
) -> Callable[[str], int]:
    """
    Return a `write` for a stream that gives a case's output to the case.

    Args:
        shown: Writes it too, where it is to be seen at once.
    """

    def show_masked(text: str) -> None:
        write(mask_shown(text))

    show_by(channel, shown or (lambda _: None), show_masked)

    def routed(text: str, /) -> int:
        kept_by = receivers() if isinstance(text, str) else ()  # the stream refuses anything else
        if not kept_by:
            return write(text)
        for printed in kept_by:
            printed.add(channel, text)
        if current.get() is None:
            show_masked(text)
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
            printed.add("log", f"{self.format(record)}\n", _name_origin(record))


def _enable_for_us(is_enabled: Callable[[Any, int], bool]) -> Callable[[Any, int], bool]:
    """
    Enable what a logger of the app drops by the level of the root logger, which the tests happen to have.

    Where the app runs for its users, the level is another. The record is for the checks alone, and no handler
    gets it; see `_keep_record`.
    """

    @wraps(is_enabled)
    def isEnabledFor(self: logging.Logger, level: int) -> bool:  # noqa: N802 - the name of the method
        enabled = is_enabled(self, level)
        in_case = not enabled and current.get() is not None
        below = in_case and _has_level_of_root(self) and _is_logged_by_app()
        _is_below.set(below)
        return enabled or below

    return isEnabledFor


def _has_level_of_root(logger: logging.Logger) -> bool:
    while logger.parent is not None and not logger.level and not logger.disabled:
        logger = logger.parent
    return logger is logging.getLogger() and logger.manager.disable <= logging.NOTSET


def _is_logged_by_app() -> bool:
    """Return whether a method of a logger asks, called by code of no library."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - as `logging` itself does
    method = ""
    while frame is not None and frame.f_code.co_filename == logging.__file__:
        method, frame = frame.f_code.co_name, frame.f_back
    if frame is None or method in {"", "isEnabledFor"}:  # who asks by itself gets the true answer
        return False
    file = frame.f_code.co_filename
    return not file.startswith(STDLIB) and not is_library(file)


def _keep_record(handle: Callable[..., Any]) -> Callable[..., Any]:
    """Keep extra fields of a record, which no handler shows, and all of one that no handler of ours gets."""

    @wraps(handle)
    def keep(self: logging.Logger, record: logging.LogRecord) -> Any:
        below = _is_below.get()
        _is_below.set(False)
        for printed in () if below and not _is_readable(record) else receivers():
            if below and not printed.has_room("log"):
                continue
            printed.errors += record.levelno >= logging.ERROR
            extra = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
            if extra:
                printed.add("log", f"{extra}\n", _name_origin(record))
            if below or current.get() is None or not _reaches_root(self):  # else a `CaseLog` gets it
                printed.add("log", f"{logging.Formatter().format(record)}\n", _name_origin(record))
        return None if below else handle(self, record)

    return keep


def _name_origin(record: logging.LogRecord) -> str:
    """Return `shop.orders, find (orders.py:41)`: the logger, and the place of the call."""
    return f"{record.name}, {record.funcName} ({record.filename}:{record.lineno})"


def _is_readable(record: logging.LogRecord) -> bool:
    """Return whether a record can be formatted, which nobody finds out of one that no handler gets."""
    try:
        record.getMessage()
    except Exception:  # noqa: BLE001 - of an argument's own code
        return False
    return True


def _reaches_root(logger: logging.Logger) -> bool:
    while logger.propagate and logger.parent is not None:
        logger = logger.parent
    return logger is logging.getLogger()


def _keep_as_error(describe: Callable[[Any], str], hook: Callable[[Any], object]) -> Callable[[Any], None]:
    """Keep the argument of a hook as lines on standard error, where Python shows it without pytest."""

    @wraps(hook)
    def keep(shown: Any) -> None:
        for printed in receivers():
            printed.add("stderr", f"{describe(shown)}\n")
        hook(shown)

    return keep


def _describe_warning(shown: warnings.WarningMessage) -> str:
    return f"{shown.category.__name__}: {shown.message}"


def _describe_raised(shown: threading.ExceptHookArgs) -> str:
    return "".join(format_exception(shown.exc_value)) if shown.exc_value else ""


def _find_hooks() -> Iterator[Change]:
    yield logging.Logger, "handle", _keep_record
    yield logging.Logger, "isEnabledFor", _enable_for_us
    # Private, since pytest exchanges the public names of `warnings`.
    yield warnings, "_showwarnmsg", partial(_keep_as_error, _describe_warning)
    yield threading, "excepthook", partial(_keep_as_error, _describe_raised)
    yield from find_writers()


_streams = Patches(_find_streams)
_hooks = Patches(_find_hooks)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Listen to loggers whatever their handlers, to warnings, threads that break, and child processes."""
    note_streams()
    with _hooks.installed(), preparing(give_pipes):
        yield


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
