"""
Output that passes by Python's streams: of child processes, and of writes to the descriptors 1 and 2.

A child that inherits a standard stream writes to a file of the case that starts it, a forked one to a file of
the run, since it may serve several cases.
"""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from pytest_llmops.recorder.patches import Change
from pytest_llmops.runner.app.printed import Channel, outside, receivers

_STREAMS: tuple[tuple[Channel, int], ...] = (("stdout", 1), ("stderr", 2))


def find_writers() -> Iterator[Change]:
    """Yield what writes to a descriptor, or has a shell write to it."""
    yield os, "write", _keep_written
    yield os, "system", _as_child
    _follow_forks()


def give_files(child: subprocess.Popen[Any], arguments: dict[str, Any]) -> None:
    """Have a process that is about to start write to files of its case, where it would inherit a stream."""
    if not (kept_by := receivers()):
        return
    for name, _ in _STREAMS:
        if channel := _inherited(arguments.get(name), name):
            arguments[name] = kept_by[0].descriptor(channel)
    kept_by[0].children.append(child)


def _inherited(given: Any, name: Channel) -> Channel | None:
    """Return the standard stream of this process that a child is given as its own."""
    if given is None:
        return name
    for channel, number in _STREAMS:
        if given == number or given in (getattr(sys, channel), getattr(sys, f"__{channel}__")):
            return channel
    return None


def _keep_written(write: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    channels = {number: channel for channel, number in _STREAMS}

    @wraps(write)
    def keep(descriptor: int, data: Any, /) -> int:
        if descriptor not in channels or not receivers():
            return write(descriptor, data)
        getattr(sys, channels[descriptor]).write(bytes(data).decode("utf-8", "replace"))
        return memoryview(data).nbytes

    return keep


def _as_child(system: Callable[[Any], int]) -> Callable[[Any], int]:
    @wraps(system)
    def run(command: Any) -> int:
        if os.name != "posix" or not receivers():
            return system(command)
        code = subprocess.call(command, shell=True)  # noqa: S602 - as `os.system` does
        return code << 8 if code >= 0 else -code  # a wait status

    return run


def _open_for_fork() -> None:
    if receivers() and (printed := outside()):
        for channel, _ in _STREAMS:
            printed.descriptor(channel)


def _become_fork() -> None:
    """In a forked child: write to the files of the run, since what its memory keeps is lost."""
    if not receivers() or not (printed := outside()):
        return
    for channel, number in _STREAMS:
        os.dup2(printed.descriptor(channel), number)
        stream = io.TextIOWrapper(
            io.FileIO(number, "w", closefd=False), encoding="utf-8", errors="replace", write_through=True
        )
        setattr(sys, channel, stream)
    logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))


def _follow_forks() -> None:
    """Once a process, since Python has no way to stop it."""
    global _follows_forks  # noqa: PLW0603
    if not _follows_forks and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_open_for_fork, after_in_child=_become_fork)
        _follows_forks = True


_follows_forks = False
