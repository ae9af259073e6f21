"""What a receiver has to say at the end of a run: what it could not read, and what nobody answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from pytest_llmops.printable import counted, name_some, printable

_NAMED = 3


@dataclass(slots=True)
class Notes:
    """
    Counts of a receiver, filled by the threads that answer.

    Attributes:
        unread: Why requests could not be read, by reason.
        elsewhere: Addresses that runs of this process were sent to, in place of the receiver.
        unforwarded: Why requests could not be sent on, by reason.
        unknown: Requests that are no traces, by method and path.
        received: Spans and records that were delivered.
    """

    unread: Counter[str] = field(default_factory=Counter)
    elsewhere: Counter[str] = field(default_factory=Counter)
    unforwarded: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    received: int = 0
    _lock: Lock = field(default_factory=Lock)

    def count(self, kind: Counter[str], reason: str) -> None:
        with self._lock:
            if len(kind) < 100 or reason in kind:  # noqa: PLR2004 - whoever sends may choose the reasons
                kind[reason] += 1
            else:
                kind["other reasons"] += 1

    def count_received(self, spans: int) -> None:
        with self._lock:
            self.received += spans

    def errors(self) -> Iterator[str]:
        """A sentence for each kind of trace that no check saw."""
        if count := self.unread.total():
            yield (
                f"error: {counted(count, 'trace request')} could not be read, so no check saw what "
                f"{'it holds' if count == 1 else 'they hold'}: {_name(self.unread)}"
            )
        if count := self.elsewhere.total():
            yield (
                f"error: {counted(count, 'LangSmith run')} sent to {_name(self.elsewhere)} by a client with "
                "an address of its own, so no check saw them; let the client take LANGSMITH_ENDPOINT"
            )

    def warnings(self) -> Iterator[str]:
        if count := self.unforwarded.total():
            yield f"{counted(count, 'LangSmith request')} could not be forwarded: {_name(self.unforwarded)}"
        if count := self.unknown.total():
            yield (
                f"{counted(count, 'request')} to the trace receiver {'was' if count == 1 else 'were'} for "
                f"something else, and got 404: {_name(self.unknown)}"
            )


def _name(reasons: Counter[str]) -> str:
    return name_some([printable(each, 100) for each in sorted(reasons)], _NAMED)
