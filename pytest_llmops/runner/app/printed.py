"""What an app prints and logs while it answers a case; kept by case, since many run at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from pytest_llmops.printable import counted

Channel = Literal["stdout", "stderr", "log"]

_MOST = 100_000  # characters of a channel; whole pieces only, so that no half of a secret is left


@dataclass(slots=True)
class Printed:
    """Grows while a case runs; written to from whatever thread carries the case's context."""

    pieces: dict[Channel, list[str]] = field(default_factory=dict)
    _sizes: dict[Channel, int] = field(default_factory=dict)

    def add(self, channel: Channel, text: str) -> None:
        size = self._sizes.get(channel, 0)
        self._sizes[channel] = size + len(text)
        if size + len(text) <= _MOST:
            self.pieces.setdefault(channel, []).append(text)

    def texts(self) -> tuple[tuple[str, str], ...]:
        """Channel and text, for those that were used."""
        return tuple(
            (channel, "".join(self.pieces.get(channel, ())) + self._left(channel))
            for channel in ("stdout", "stderr", "log")
            if self._sizes.get(channel)
        )

    def _left(self, channel: Channel) -> str:
        lost = self._sizes[channel] - sum(map(len, self.pieces.get(channel, ())))
        return f"\n… ({counted(lost, 'more character')})\n" if lost else ""


current: ContextVar[Printed | None] = ContextVar("pytest_llmops_printed", default=None)
"""Of the case that runs in this context."""


@contextlib.contextmanager
def collect() -> Iterator[Printed]:
    """Keep what this context, and those copied from it, print; where nothing routes it there, nothing is."""
    printed = Printed()
    token = current.set(printed)
    try:
        yield printed
    finally:
        current.reset(token)
