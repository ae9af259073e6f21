"""Scans that end, or are an error: a text that hangs the scanner must never be taken for a clean one."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from pytest_llmops.errors import ScanError

Made = TypeVar("Made")

TIMEOUT_S = 60.0
"""Of one text, imports and models included."""


def make_in_time(
    keys: Sequence[bytes], results: Iterator[Made], timeout_s: float
) -> Iterator[dict[bytes, Made]]:
    """
    The results by key, what was made before an error too.

    A thread cannot be ended: what hangs is left behind. Patterns, which no other thread can interrupt, are
    written so that they take time in proportion to a text.

    Raises:
        ScanError: One takes longer than the limit.
    """
    if math.isinf(timeout_s):
        yield dict(zip(keys, results, strict=True))
        return
    done: SimpleQueue[Made | BaseException] = SimpleQueue()
    given_up = threading.Event()
    threading.Thread(target=_put_all, args=(results, done, given_up), name="llmops-scan", daemon=True).start()
    made: dict[bytes, Made] = {}
    error: BaseException | None = None
    for key in keys:
        try:
            result = done.get(timeout=timeout_s)
        except Empty:
            given_up.set()
            error = ScanError(
                f"the scan took more than {timeout_s:g} s (timeout_s), so nothing is known of the text"
            )
            break
        if isinstance(result, BaseException):
            error = result
            break
        made[key] = result
    yield made
    if error is not None:
        raise error


def _put_all(
    results: Iterator[Made], done: SimpleQueue[Made | BaseException], given_up: threading.Event
) -> None:
    try:
        for result in results:
            done.put(result)
            if given_up.is_set():
                return
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        done.put(error)
