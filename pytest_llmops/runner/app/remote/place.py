"""Where an app outside of this process is called: on one loop, whatever `runs_on` says of functions."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.protocols import App
from pytest_llmops.recorder.loop_thread import AppLoop
from pytest_llmops.runner.app.places import Turn, awaited
from pytest_llmops.settings import Settings


class RemoteApp(ABC):
    """An app outside of this process; all its coroutines run on one loop."""

    __slots__ = ()

    @abstractmethod
    async def __call__(self, question: Any, /) -> Any:
        """Return the answer to one case."""

    @abstractmethod
    async def prepare(self) -> None:
        """Find out what a run has to know before the first call, once it succeeds."""

    @abstractmethod
    async def close(self) -> None:
        """End connections and processes."""

    @abstractmethod
    def stamps(self) -> Mapping[str, str]:
        """Return stamps for the signature of the run, of what is known by now."""

    @abstractmethod
    def at_once(self, settings: Settings) -> int | None:
        """Return how many calls may be under way; None for as many as cases run at once."""

    @abstractmethod
    def files(self) -> Iterable[str]:
        """Return the files of the project that it is known to run, from the root."""


@dataclass(frozen=True, slots=True)
class Remote:
    """
    Calls an app outside of this process.

    Attributes:
        app_loop: Its connections and processes belong to it.
        at_once: How many calls may be under way; None for any number.
    """

    app: RemoteApp
    app_loop: AppLoop
    at_once: int | None = None
    _turns: list[asyncio.Semaphore] = field(default_factory=list)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait until fewer calls are under way, and the app is prepared."""
        if self.at_once is not None and not self._turns:
            self._turns.append(asyncio.Semaphore(self.at_once))
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
