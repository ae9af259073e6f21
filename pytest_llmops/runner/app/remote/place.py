"""Where an app outside of this process is called: on one loop, whatever `runs_on` says of functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.protocols import App, RemoteApp
from pytest_llmops.recorder.loop_thread import AppLoop
from pytest_llmops.runner.app.places import Turn, awaited


@dataclass(frozen=True, slots=True)
class Remote:
    """
    Calls an app outside of this process.

    Attributes:
        app_loop: Its connections and processes belong to it.
    """

    app: RemoteApp
    app_loop: AppLoop
    _turns: list[asyncio.Semaphore] = field(default_factory=list)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait until fewer calls are under way, and the app is prepared."""
        if self.app.at_once is not None and not self._turns:
            self._turns.append(asyncio.Semaphore(self.app.at_once))
        if not self._turns:
            await self._prepare()
            yield self
            return
        async with self._turns[0]:
            await self._prepare()
            yield self

    async def answer(self, app: App, question: Any) -> Any:
        """Call the app on its loop; cancelling ends the call there."""
        return await asyncio.wrap_future(self.app_loop.submit(awaited(app(question))))

    async def _prepare(self) -> None:
        await asyncio.wrap_future(self.app_loop.submit(self.app.prepare()))
