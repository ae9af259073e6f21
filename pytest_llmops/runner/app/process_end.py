"""
An app that ends the process by Python's own means: an error of its case, and not the end of all cases.

`os._exit` and similar calls run no cleanup, so a run would end without a message, and as a success where
the code is 0. While cases run they raise instead, in this process alone: a child that was
forked ends as it always did. What C code does (a crash, its own `_exit`) needs a process of its own, see
decision 13.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from threading import Lock
from typing import Any

_GUARDED = ("_exit", "abort", "execv", "execve")
_CODED = "_exit"
_leave = os._exit  # the real one

_UNATTRIBUTED = "error: a thread of no case, or of one that had ended, would have ended the process by "
_REMEDY = (
    "start threads by threading.Thread or a ThreadPoolExecutor while the case runs, and the case is named"
)

_notes: ContextVar[list[str] | None] = ContextVar("pytest_llmops_process_end", default=None)
_lock = Lock()
_active = 0
_pid = 0
_ending = 0
_seen: set[str] = set()
_stand_ins: dict[int, Callable[..., Any]] = {}  # by the id of the function that each stands for
_unattributed: list[str] = []
_read: dict[int, list[str]] = {}  # by their id the notes of what has not ended yet, which are read then


class ProcessEndError(SystemExit):
    """Raised where the process would have ended; as little caught by an app as `sys.exit` is."""


def install() -> None:
    """Guard this process; counted, so that several runs of one process share it."""
    global _active, _pid, _ending  # noqa: PLW0603 - the functions that are changed are global too
    with _lock:
        _active += 1
        _ending = 0
        _pid = os.getpid()
        if not _stand_ins:
            for name in _GUARDED:
                _stand_ins[id(getattr(os, name))] = _stand_in(name, getattr(os, name))
        for module in [name for name in list(sys.modules) if name not in _seen]:
            _seen.add(module)
            _change(sys.modules.get(module))


def hand_over(code: int) -> None:
    """
    The exit code of a run that is over: what still ends the process after it by 0, or puts another program in
    its place, an `atexit` function or a thread of the app, ends it by this one.
    """
    global _ending  # noqa: PLW0603 - as above
    _ending = code


def uninstall() -> None:
    """Let go. The names stay changed, and do what they always did but for `hand_over`."""
    global _active  # noqa: PLW0603 - as above
    with _lock:
        _active -= 1


@contextlib.contextmanager
def noting() -> Iterator[list[str]]:
    """Collects what this context, and those copied from it, would have ended the process by."""
    notes: list[str] = []
    token = _notes.set(notes)
    _read[id(notes)] = notes
    try:
        yield notes
    finally:
        del _read[id(notes)]
        _notes.reset(token)


def take_unattributed() -> list[str]:
    """
    Sentences on what would have ended the process, from threads of no running case; each is reported once.

    No case carries them, so each is an error of the suite.
    """
    calls = list(dict.fromkeys(_unattributed))
    _unattributed.clear()
    return [f"{_UNATTRIBUTED}{call}; {_REMEDY}" for call in calls]


def describe(notes: list[str]) -> str:
    """What the app did, for the error of its case or import."""
    return f"the app called {notes[0]}, which ends the process"


def _change(module: Any) -> None:
    """Put the stand-ins wherever a module has a guarded function, under whatever name it was imported."""
    names = getattr(module, "__dict__", {})
    if _stand_ins.keys().isdisjoint(map(id, list(names.values()))):  # true of nearly all modules
        return
    for name, value in list(names.items()):
        stand_in = _stand_ins.get(id(value))
        if stand_in is not None and module is not sys.modules[__name__]:
            setattr(module, name, stand_in)


def _stand_in(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def end(*arguments: Any, **named: Any) -> Any:
        notes = _notes.get()
        code = (*arguments, *named.values())[:1]
        ends_badly = name == "abort" or (name == _CODED and code != (0,))
        if _ending and os.getpid() == _pid and not ends_badly:
            _leave(_ending)
        # Outside a case a bad end stays one: tools that watch over a run (a time limit, execnet) end it so.
        harmless = notes is None and ends_badly
        if not _active or os.getpid() != _pid or harmless:
            return real(*arguments, **named)
        call = f"os.{name}({', '.join(map(repr, code))})"
        _read.get(id(notes), _unattributed).append(call)
        raise ProcessEndError(call)

    end.__name__ = end.__qualname__ = name
    end.__doc__ = real.__doc__
    return end
