"""
Threads that an app starts while a case runs carry the context of the case.

Python gives a task and `asyncio.to_thread` the context of their caller, but not a `threading.Thread` or the
work of a thread pool. Both are changed for as long as a case runs, and put back after it. What a pool is
given carries the context of whoever submits it, and the pool's own threads carry none: a pool outlives cases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import wraps
from typing import Any

is_inherited: ContextVar[bool] = ContextVar("pytest_llmops_is_inherited", default=False)
"""Set in threads that were given a context here: one that outlives its case may serve others since."""

_lock = threading.Lock()
_entered = 0
_changed: list[tuple[type, str, Any, Any]] = []


@contextmanager
def carry_context() -> Iterator[None]:
    """Change what starts threads, until the last of the blocks that are open at once ends."""
    global _entered  # noqa: PLW0603 - the classes that are changed are global too
    with _lock:
        _entered += 1
        if _entered == 1:
            _change()
    try:
        yield
    finally:
        with _lock:
            _entered -= 1
            if _entered == 0:
                _restore()


def start_outside(thread: threading.Thread) -> None:
    """Start a thread of our own that serves many cases, so that it carries the context of none."""
    Context().run(thread.start)


def _change() -> None:
    from concurrent.futures import ThreadPoolExecutor

    for changed, name, wrap in ((threading.Thread, "start", _start), (ThreadPoolExecutor, "submit", _submit)):
        original = changed.__dict__[name]
        ours = wrap(original)
        setattr(changed, name, ours)
        _changed.append((changed, name, original, ours))


def _restore() -> None:
    for changed, name, original, ours in _changed:
        if changed.__dict__[name] is ours:  # somebody who came later keeps his own
            setattr(changed, name, original)
    _changed.clear()


def _start(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def start(self: threading.Thread) -> None:
        context = copy_context()
        context.run(is_inherited.set, True)  # noqa: FBT003 - there is no other way to set it
        run = self.run

        def run_in_context() -> None:
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
    """Run it; what it raises is reported in its context, where output belongs to the case."""
    try:
        run()
    except BaseException:  # noqa: BLE001 - as a thread does that nobody changed
        thread._invoke_excepthook(thread)  # type: ignore[attr-defined] # noqa: SLF001 - the one way to all hooks


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def submit(self: Any, function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        # The thread that the pool may start for it is to carry nothing, hence the empty context.
        return Context().run(original, self, copy_context().run, function, *args, **options)

    return submit
