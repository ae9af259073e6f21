"""
Threads that an app starts while a case runs carry the context of the case.

Python gives a task and `asyncio.to_thread` the context of their caller, but not a `threading.Thread` or the
work of a thread pool. Both are patched while a case runs. Work of a pool carries the context of its
submitter; the threads of the pool carry none, since a pool outlives cases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from functools import wraps
from typing import Any

from pytest_llmops.recorder.patches import Change, Patches

is_inherited: ContextVar[bool] = ContextVar("pytest_llmops_is_inherited", default=False)
"""Set in threads that got their context here: one that outlives its case may serve other cases since."""


looked_at: ContextVar[str] = ContextVar("pytest_llmops_looked_at", default="")
"""The host of a seen request while its client opens the connection; empty in threads that it starts."""


def start_outside(thread: threading.Thread) -> None:
    """Start a thread of this package, which serves many cases, in an empty context."""
    Context().run(thread.start)


def _find_starters() -> Iterator[Change]:
    from concurrent.futures import ThreadPoolExecutor

    yield threading.Thread, "start", _carry_to_thread
    yield ThreadPoolExecutor, "submit", _carry_to_pool


def _carry_to_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def start(self: threading.Thread) -> None:
        context = copy_context()
        context.run(is_inherited.set, True)  # noqa: FBT003 - there is no other way to set it
        context.run(looked_at.set, "")
        run = self.run

        def run_in_context(*_: Any) -> None:
            """Run with or without the thread as an argument, as other patches call it."""
            self.__dict__.pop("run", None)
            context.run(_run_reporting, self, run)

        self.run = run_in_context  # type: ignore[method-assign]
        try:
            original(self)
        except BaseException:
            self.__dict__.pop("run", None)
            raise

    return start


def _run_reporting(thread: threading.Thread, run: Callable[[], Any]) -> None:
    """Run it, and report an exception inside the context, where output belongs to the case."""
    try:
        run()
    except BaseException:  # noqa: BLE001 - as a thread does that is not patched
        thread._invoke_excepthook(thread)  # type: ignore[attr-defined] # noqa: SLF001 - the one way to all hooks


def _carry_to_pool(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def submit(self: Any, function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        # Empty, for the thread that the pool may start now is to carry nothing.
        context = copy_context()
        context.run(looked_at.set, "")
        return Context().run(original, self, context.run, function, *args, **options)

    return submit


carry_context = Patches(_find_starters).installed
"""A context manager: while any block of it is open, new threads carry the context of their starter."""
