"""
Output that passes by the streams of Python: of child processes, and of writes to the descriptors 1 and 2.

A child that would inherit a standard stream of this process prints through a pipe to its case instead.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial, wraps
from typing import Any

from pytest_llmops.recorder.patches import Change
from pytest_llmops.runner.app.pipes import open_pipe, start_anew
from pytest_llmops.runner.app.printed import Channel, current, forget, receivers, show
from pytest_llmops.streams import file_of

_STREAMS: tuple[tuple[Channel, int], ...] = (("stdout", 1), ("stderr", 2))

_known: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
_forking = threading.local()


def note_streams() -> None:
    """Note the files of the standard streams; what an app puts in their place is for itself to read."""
    for _, number in _STREAMS:
        if file := _file_of(number):
            _known[number].add(file)


def find_writers() -> Iterator[Change]:
    """Yield what writes to a descriptor, or has a shell write to it."""
    yield os, "write", _keep_written
    yield os, "system", _as_child
    _follow_forks()


def give_pipes(_: subprocess.Popen[Any], arguments: dict[str, Any]) -> Callable[[], None] | None:
    """Have a process that is about to start print to its case, where it would inherit a stream."""
    if not receivers():
        return None
    opened = []
    for name, _number in _STREAMS:
        channel = _inherited(arguments.get(name), name)
        if channel and (write_end := open_pipe(channel)) is not None:
            arguments[name] = write_end
            opened.append(write_end)
    return partial(_close, opened)


def _inherited(given: Any, name: Channel) -> Channel | None:
    """Return the standard stream of this process that a child is given as its own."""
    for channel, number in _STREAMS:
        if given is None:
            is_same = channel == name
        elif given is getattr(sys, channel) or given is getattr(sys, f"__{channel}__"):
            return channel
        else:
            is_same = _number_of(given) == number
        if is_same:
            return channel if _file_of(number) in _known[number] else None
    return None


def _number_of(given: Any) -> int | None:
    if isinstance(given, int):
        return given
    with suppress(Exception):  # a stream that has none is refused by `Popen`
        number: int = given.fileno()
        return number
    return None


def _file_of(descriptor: int) -> tuple[int, int] | None:
    """Return what tells a descriptor's file from others; None where it is closed."""
    with suppress(OSError):
        return file_of(descriptor)
    return None


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _keep_written(write: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    channels = {number: channel for channel, number in _STREAMS}

    @wraps(write)
    def keep(descriptor: int, data: Any, /) -> int:
        channel = channels.get(descriptor)
        kept_by = receivers() if channel else ()
        if channel is None or not kept_by or _file_of(descriptor) not in _known[descriptor]:
            return write(descriptor, data)
        text = bytes(data).decode("utf-8", "replace")
        for printed in kept_by:
            printed.add(channel, text)
        show(channel, text, of_case=current.get() is not None)
        return memoryview(data).nbytes

    keep.__module__ = "os"  # where pickle finds it
    return keep


def _as_child(system: Callable[[Any], int]) -> Callable[[Any], int]:
    @wraps(system)
    def run(command: Any) -> int:
        if os.name != "posix" or not receivers():
            return system(command)
        code = subprocess.call(command, shell=True, close_fds=False)  # noqa: S602 - as `os.system` does
        return code << 8 if code >= 0 else -code  # a wait status

    run.__module__ = "os"
    return run


def _open_for_fork() -> None:
    _forking.opened = [
        (channel, number, _file_of(number), write_end)
        for channel, number in (_STREAMS if receivers() else ())
        if _file_of(number) in _known[number] and (write_end := open_pipe(channel)) is not None
    ]


def _close_in_parent() -> None:
    _close([opened[-1] for opened in _forking.opened])


def _become_fork() -> None:
    """In a forked child: print through the pipes, since what its memory keeps is lost."""
    opened = _forking.opened
    forget()
    start_anew()
    for channel, number, file, write_end in opened:
        if _file_of(number) == file:  # else it has another one already, such as a terminal
            os.dup2(write_end, number)
            raw = io.FileIO(number, "w", closefd=False)
            setattr(sys, channel, io.TextIOWrapper(raw, "utf-8", "replace", write_through=True))
        os.close(write_end)
    if opened:
        logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))


def _follow_forks() -> None:
    """Once a process, since Python has no way to stop it."""
    global _follows_forks  # noqa: PLW0603
    if not _follows_forks and hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_open_for_fork, after_in_parent=_close_in_parent, after_in_child=_become_fork
        )
        _follows_forks = True


_follows_forks = False
