"""
An app that ends the process by Python's own means: an error of its case, and not the end of all cases.

`os._exit` and similar calls run no cleanup, so a run would end without a message, and as a success where
the code is 0. While cases run they raise instead, in this process only: a child that was forked ends as it
always did. An end by C code (a crash, its own `_exit`) needs a separate process, see decision 13.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from threading import Lock
from typing import Any

from pytest_llmops.recorder.patches import Change, Patches

_GUARDED = ("_exit", "abort", "execv", "execve")
_real_exit = os._exit

_UNATTRIBUTED = "error: a thread of no case, or of one that had ended, would have ended the process by "
_REMEDY = (
    "start threads by threading.Thread or a ThreadPoolExecutor while the case runs, and the case is named"
)


class ProcessEndError(SystemExit):
    """Raised where the process would have ended; as little caught by an app as `sys.exit` is."""


class _Notes(list[str]):
    """Calls by which one context would have ended the process, until its case is over."""

    closed: bool = False


@dataclass(slots=True)
class _Guard:
    """
    State of the guarded process.

    Attributes:
        runs: How many are under way.
        pid: Of the process in which `install` was called: a forked child is not guarded.
        exit_code: Of a run that is over, where the process must still end by it.
        unattributed: Calls from threads of no running case.
    """

    runs: int = 0
    pid: int = 0
    exit_code: int = 0
    unattributed: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)


_guard = _Guard()
_notes: ContextVar[_Notes | None] = ContextVar("pytest_llmops_process_end", default=None)


def install() -> None:
    """Guard this process; counted, so that several runs of one process share it."""
    with _guard.lock:
        _guard.runs += 1
        _guard.pid = os.getpid()
        _guard.exit_code = 0
        _patches.apply()


def hand_over(code: int) -> None:
    """
    Set the exit code of a run that is over.

    An `atexit` function or a thread of the app that later ends the process by 0, or puts another program in
    its place, ends it by this code.
    """
    _guard.exit_code = code


def uninstall() -> None:
    """Stop guarding. The stand-ins stay, for `hand_over`, and otherwise call the real functions."""
    with _guard.lock:
        _guard.runs -= 1


@contextlib.contextmanager
def noting() -> Iterator[list[str]]:
    """Collect the calls by which this context, and those copied from it, would have ended the process."""
    notes = _Notes()
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        notes.closed = True
        _notes.reset(token)


def take_unattributed() -> list[str]:
    """
    Return a sentence for each call that would have ended the process from a thread of no running case, once.

    No case carries them, so each is an error of the suite.
    """
    calls = list(dict.fromkeys(_guard.unattributed))
    _guard.unattributed.clear()
    return [f"{_UNATTRIBUTED}{call}; {_REMEDY}" for call in calls]


def describe(notes: list[str]) -> str:
    """Return the error of a case or import whose notes these are."""
    return f"the app called {notes[0]}, which ends the process"


def _guarded(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def end(*arguments: Any, **named: Any) -> Any:
        if os.getpid() != _guard.pid:
            return real(*arguments, **named)
        code = (*arguments, *named.values())[:1]
        is_failure = name == "abort" or (name == "_exit" and code != (0,))
        if _guard.exit_code and not is_failure:
            _real_exit(_guard.exit_code)
        notes = _notes.get()
        # Outside a case a failure stays one: tools that watch over a run (a time limit, execnet) end it so.
        if not _guard.runs or (notes is None and is_failure):
            return real(*arguments, **named)
        call = f"os.{name}({', '.join(map(repr, code))})"
        (_guard.unattributed if notes is None or notes.closed else notes).append(call)
        raise ProcessEndError(call)

    return end


@lru_cache(maxsize=1)
def _stand_ins() -> dict[int, Callable[..., Any]]:
    """Return a stand-in for the id of each real function, as it is when a run first begins."""
    return {id(real): _guarded(name, real) for name in _GUARDED for real in [getattr(os, name)]}


_searched: set[str] = set()  # names of modules


def _find_guarded() -> Iterator[Change]:
    """Find the real functions in all modules, under whatever name they were imported."""
    stand_ins = _stand_ins()
    for name, module in [item for item in sys.modules.copy().items() if item[0] not in _searched]:
        _searched.add(name)
        names = {} if name == __name__ else getattr(module, "__dict__", {})
        if stand_ins.keys().isdisjoint(map(id, list(names.values()))):  # true of nearly all modules
            continue
        for attribute, value in list(names.items()):
            if id(value) in stand_ins:
                yield module, attribute, lambda real: stand_ins[id(real)]


_patches = Patches(_find_guarded)
