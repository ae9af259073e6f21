"""The event loop of the tests: that of session-scoped async fixtures, of pytest-asyncio or of anyio."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from pytest_llmops.errors import AppError
from pytest_llmops.runner.app.main_thread import use_loop

_PLUGIN = "llmops-loops"
_OF_ANYIO, _OF_ASYNCIO = "llm_loop_of_anyio", "llm_loop_of_asyncio"


def use_loop_of_tests(request: pytest.FixtureRequest) -> None:
    """
    Have apps that need the loop of the tests called on that of the session's async fixtures, if it has one.

    Raises:
        AppError: The project's loop is not one of asyncio.
    """
    _define_fixtures(request.config)
    # Private, as for the fixture `llm_app`.
    backends = request.session._fixturemanager.getfixturedefs("anyio_backend", request.node) or ()  # noqa: SLF001
    if backends and backends[-1].scope == "session":
        use_loop(request.getfixturevalue(_OF_ANYIO))
    elif _has_pytest_asyncio(request.config):
        use_loop(request.getfixturevalue(_OF_ASYNCIO))


def _define_fixtures(config: pytest.Config) -> None:
    """Define session-scoped async fixtures, whose value is the loop that runs them."""
    if config.pluginmanager.has_plugin(_PLUGIN):
        return
    plugin: Any = ModuleType(_PLUGIN)
    plugin.of_anyio = pytest.fixture(scope="session", name=_OF_ANYIO)(_loop_of_anyio)
    if _has_pytest_asyncio(config):
        define = import_module("pytest_asyncio").fixture(
            scope="session", loop_scope="session", name=_OF_ASYNCIO
        )
        plugin.of_asyncio = define(_loop_of_asyncio)
    config.pluginmanager.register(plugin, _PLUGIN)


async def _loop_of_anyio(anyio_backend: Any) -> AsyncIterator[asyncio.AbstractEventLoop]:
    """Yield, so that anyio keeps its loop until the end of the session."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise AppError(
            f"runs_on needs a loop of asyncio, and the fixture anyio_backend is {anyio_backend!r}"
        ) from None
    yield loop


async def _loop_of_asyncio() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _has_pytest_asyncio(config: pytest.Config) -> bool:
    plugin = sys.modules.get("pytest_asyncio.plugin")
    return plugin is not None and config.pluginmanager.is_registered(plugin)
