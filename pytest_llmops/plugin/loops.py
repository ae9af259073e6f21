"""The event loop of the tests: that of session-scoped async fixtures, of pytest-asyncio or of anyio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pytest_llmops.errors import AppError
from pytest_llmops.runner.app.main_thread import use_loop

_NAME = "llmops-loops"
_OF_ASYNCIO, _OF_ANYIO = "llm_loop_of_asyncio", "llm_loop_of_anyio"


class _LoopFixtures:
    """
    Session-scoped async fixtures, whose value is the loop that runs them.

    Attributes:
        llm_loop_of_anyio: Keeps anyio's loop alive until the end of the session.
        llm_loop_of_asyncio: None without pytest-asyncio.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.llm_loop_of_anyio: Any = pytest.fixture(scope="session", name=_OF_ANYIO)(_loop_of_anyio)
        self.llm_loop_of_asyncio: Any = None
        if config.pluginmanager.has_plugin("asyncio"):
            import pytest_asyncio

            fixture = pytest_asyncio.fixture(scope="session", loop_scope="session", name=_OF_ASYNCIO)
            self.llm_loop_of_asyncio = fixture(_loop_of_asyncio)


def use_loop_of_tests(request: pytest.FixtureRequest) -> None:
    """
    Run apps that need the loop of the tests on that of the session's async fixtures, if it has such a loop.

    Raises:
        AppError: The project's loop is not one of asyncio.
    """
    config = request.config
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(_LoopFixtures(config), _NAME)
    # Private, as for the fixture `llm_app`.
    backends = request.session._fixturemanager.getfixturedefs("anyio_backend", request.node) or ()  # noqa: SLF001
    if backends and backends[-1].scope == "session":
        use_loop(request.getfixturevalue(_OF_ANYIO))
    elif config.pluginmanager.has_plugin("asyncio"):
        use_loop(request.getfixturevalue(_OF_ASYNCIO))


async def _loop_of_anyio(anyio_backend: Any) -> AsyncIterator[asyncio.AbstractEventLoop]:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise AppError(
            f"runs_on needs a loop of asyncio, and the fixture anyio_backend is {anyio_backend!r}"
        ) from None
    yield loop


async def _loop_of_asyncio() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
