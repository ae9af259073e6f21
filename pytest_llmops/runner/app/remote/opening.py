"""Makes an app that can be called of the way in which it is named."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from pytest_llmops.errors import AppError, MissingExtraError
from pytest_llmops.golden.apps import (
    TEXT,
    CommandApp,
    HttpApp,
    describe_mistake,
    find_app_mistakes,
    is_url,
    name_app,
    read_app,
)
from pytest_llmops.golden.structure import find_app_shape_mistakes
from pytest_llmops.protocols import App
from pytest_llmops.runner.app.importing import resolve_app
from pytest_llmops.settings import Settings


def open_app(written: str | Mapping[str, Any], settings: Settings) -> App:
    """
    Import a function, or make the caller of a service or command; nothing is called or started yet.

    Raises:
        AppError: The function cannot be imported, or the settings have a mistake in the app.
        MissingExtraError: HTTP is spoken by libraries that are not installed.
    """
    is_path = isinstance(written, str) and not is_url(written)
    if not is_path and (mistakes := list(_find_mistakes(written))):
        raise AppError(f"the app {name_app(written)!r}: {'; '.join(mistakes)}")
    spec = read_app(written)
    if isinstance(spec, CommandApp):
        from pytest_llmops.runner.app.remote.command import MOST_PROCESSES, CommandCaller

        most = MOST_PROCESSES if settings.concurrency == "auto" else settings.concurrency
        return CommandCaller(spec, settings.root, most)
    if isinstance(spec, HttpApp):
        for library in ("httpx2", *(["jsonpath_ng"] if any(_paths(spec)) else ())):
            if find_spec(library) is None:
                raise MissingExtraError("an app by http", "http")
        from pytest_llmops.runner.app.remote.http_client import HttpCaller

        return HttpCaller(spec)
    return resolve_app(spec, settings.root)


def _find_mistakes(written: Any) -> Iterator[str]:
    yield from find_app_shape_mistakes(written)
    for place, mistake in find_app_mistakes(written, os.environ):
        yield describe_mistake(place, mistake)


def _paths(spec: HttpApp) -> Iterator[str]:
    at = spec.version.at if spec.version else ""
    paths = (spec.answer, spec.passages, spec.tool_calls, spec.tokens, spec.session, at)
    return (path for path in paths if path and path != TEXT)
