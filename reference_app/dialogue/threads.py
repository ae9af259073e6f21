"""What is kept between the questions of one asker."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from reference_app.errors import QuestionError

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
        customer: Who was signed in when it began; it is nobody else's.
        said: Masked, oldest first.
        waiting: The graph's own name of a question that waits for a person. Under the asker's name two who
            use one name would share a state.
    """

    customer: int | None = None
    said: list[Turn] = field(default_factory=list)
    waiting: str | None = None


class Threads:
    """May be used from many threads of the process; nothing is written to disk."""

    def __init__(self, forget: Callable[[str], None]) -> None:
        """`forget` is called with what waited and does no longer."""
        self._known: OrderedDict[str, Thread] = OrderedDict()
        self._lock = threading.Lock()
        self._forget = forget

    def recall(self, name: str, customer: int | None = None) -> list[Turn]:
        """
        What was said under this name.

        Raises:
            QuestionError: To another customer, or to somebody who was not signed in or is no longer.
        """
        with self._lock:
            thread = self._known.get(name)
            if thread is not None and thread.customer != customer:
                raise QuestionError("This conversation was begun by another customer; begin a new one.")
            return list(thread.said) if thread else []

    def note(self, name: str, *turns: Turn, customer: int | None = None) -> None:
        """Keep what was said, unless the name has become another customer's."""
        with self._lock:
            thread = self._open(name, customer)
            if thread.customer == customer:
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

    def wait(self, name: str, waiting: str, customer: int | None = None) -> None:
        """Keep a question that waits, and forget an earlier one; or this one if the name is another's."""
        with self._lock:
            thread = self._open(name, customer)
            given_up: str | None = waiting
            if thread.customer == customer:
                given_up, thread.waiting = thread.waiting, waiting
        if given_up is not None:
            self._forget(given_up)
        self._trim()

    def _open(self, name: str, customer: int | None) -> Thread:
        thread = self._known.setdefault(name, Thread(customer=customer))
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
