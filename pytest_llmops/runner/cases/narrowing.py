"""Which cases may run together, once some of them were running when a process ended."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

MOST_TRIES = 3


@dataclass(slots=True)
class Narrowing:
    """
    Finds the case that ends processes among those that ran at the same time.

    Cases that a process took along when it ended are run in small groups, and those of a group that ended one
    again each alone, so that only what ends a process by itself is begun more than `MOST_TRIES` times.

    Attributes:
        concurrency: Cases that may run at once when nothing has ended.
    """

    concurrency: int
    _running: Counter[int] = field(default_factory=Counter)
    _waiting: int = 0  # to be alone; nobody may go before them, or they would wait for ever
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def room(self, tries: int) -> AsyncIterator[None]:
        """Wait until a case may run that has been begun `tries` times, this time included."""
        level = min(tries, MOST_TRIES)
        async with self._changed:
            self._waiting += level == MOST_TRIES
            try:
                await self._changed.wait_for(lambda: self._has_room(level))
            finally:
                self._waiting -= level == MOST_TRIES
            self._running[level] += 1
        try:
            yield
        finally:
            async with self._changed:
                self._running[level] -= 1
                self._changed.notify_all()

    def _has_room(self, level: int) -> bool:
        if level == MOST_TRIES:
            return self._running.total() == 0
        group = math.isqrt(self.concurrency) if level > 1 else self.concurrency
        return not self._waiting and not self._running[MOST_TRIES] and self._running[level] < max(group, 1)
