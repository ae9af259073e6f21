"""How long a team may take, and what is said if it takes longer."""

from __future__ import annotations

import os
import re
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from reference_app.errors import AppError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
TURNS, TIMEOUT_S = ("REFERENCE_APP_TEAM_TURNS", "6"), ("REFERENCE_APP_TEAM_TIMEOUT_S", "300")
MOST = 3600


class TeamError(AppError):
    """The team failed or did not end."""


def read_limit(limit: tuple[str, str]) -> int:
    """
    The environment's, or the default.

    Raises:
        SettingsError: It is no whole number from 1 to 3600.
    """
    value = os.environ.get(limit[0]) or limit[1]
    if not re.fullmatch(r"[0-9]{1,4}", value) or not 1 <= int(value) <= MOST:
        raise SettingsError(f"{limit[0]} is {value[:60]!r}; it must be a whole number, 1 to {MOST}.")
    return int(value)


def run_within(work: Callable[[], T], timeout_s: float) -> T:
    """
    In a thread that is left behind when its time is over: a tool that hangs cannot be stopped.

    Raises:
        TeamError: It took longer.
    """
    done: Future[T] = Future()
    context = copy_context()  # so that spans stay with the question

    def run() -> None:
        try:
            done.set_result(context.run(work))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is awaited
            done.set_exception(error)

    Thread(target=run, daemon=True).start()
    try:
        return done.result(timeout_s)
    except TimeoutError:
        if done.done():
            raise
        reason = f"within {timeout_s} s; a model or a tool hangs or is slow; see {TIMEOUT_S[0]}."
        raise TeamError(f"The team did not end {reason}") from None
