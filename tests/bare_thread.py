"""A thread that knows of no case, however threads of an app are followed."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


def run_bare(function: Callable[[], Any]) -> Any:
    """What a function returns or raises on a thread of the lowest level, which nobody sees begin."""
    done: Future[Any] = Future()

    def work() -> None:
        try:
            done.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised for whoever waits
            done.set_exception(error)

    _thread.start_new_thread(work, ())
    return done.result(10)
