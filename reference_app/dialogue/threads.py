"""What is kept between the questions of one asker."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_THREADS = 1000
"""How many askers are remembered; of more, the one who was silent longest is forgotten."""
MAX_TURNS = 8


class Turn(TypedDict):
    """What was said before, by the `user` or the `assistant`."""

    role: str
    content: str


@dataclass(slots=True)
class Thread:
    """
    One asker.

    Attributes:
        said: Masked, oldest first.
        waiting: The graph's own name of a question that waits for a person. Under the asker's name two who
            use one name would share a state.
    """

    said: list[Turn] = field(default_factory=list)
    waiting: str | None = None


class Threads:
    """May be used from many threads of the process; nothing is written to disk."""

    def __init__(self, forget: Callable[[str], None]) -> None:
        """`forget` is called with what waited and does no longer."""
        self._known: OrderedDict[str, Thread] = OrderedDict()
        self._lock = threading.Lock()
        self._forget = forget

    def recall(self, name: str) -> list[Turn]:
        """What was said under this name."""
        with self._lock:
            thread = self._known.get(name)
            return list(thread.said) if thread else []

    def note(self, name: str, *turns: Turn) -> None:
        """Keep what was said."""
        with self._lock:
            thread = self._open(name)
            thread.said = [*thread.said, *turns][-MAX_TURNS:]
        self._trim()

    def take(self, name: str) -> str | None:
        """What waits under this name; it waits no longer."""
        with self._lock:
            thread = self._known.get(name)
            if thread is None:
                return None
            waiting, thread.waiting = thread.waiting, None
            return waiting

    def wait(self, name: str, waiting: str) -> None:
        """Keep a question that waits; an earlier one is forgotten."""
        with self._lock:
            thread = self._open(name)
            given_up, thread.waiting = thread.waiting, waiting
        if given_up is not None:
            self._forget(given_up)
        self._trim()

    def _open(self, name: str) -> Thread:
        thread = self._known.setdefault(name, Thread())
        self._known.move_to_end(name)
        return thread

    def _trim(self) -> None:
        with self._lock:
            gone = [
                self._known.popitem(last=False)[1].waiting
                for _ in range(max(0, len(self._known) - MAX_THREADS))
            ]
        for waiting in gone:
            if waiting is not None:
                self._forget(waiting)
