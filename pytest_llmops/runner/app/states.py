"""Reads what a case left behind: calls the function of its `state` after the app's last answer."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pytest_llmops.errors import AppError
from pytest_llmops.protocols import App
from pytest_llmops.records import Output
from pytest_llmops.runner.app.conversation import SESSIONS, takes_session
from pytest_llmops.runner.app.importing import resolve_app
from pytest_llmops.runner.app.returned import type_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StateReader:
    """
    The function of a `state`.

    Attributes:
        path: `module:attribute`.
        function: Returns a JSON value, or an awaitable of one.
        session: Name of its parameter for the session of the case; empty for none.
        takes_output: Its first argument is the app's output.
    """

    path: str
    function: Callable[..., Any]
    session: str
    takes_output: bool

    @classmethod
    def open(cls, path: str, root: Path, app: App) -> StateReader:
        """
        Import a function, and find out by the names of its parameters what it is called with.

        Args:
            app: The app whose state it reads.

        Raises:
            AppError: It cannot be imported, needs something else, or a session that the app has not.
        """
        try:
            function = resolve_app(path, root)
        except AppError as error:
            raise AppError(str(error).replace("the app ", "the function of state ", 1)) from error
        named = f"the function of state {path!r}"
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # of a callable of C
            parameters = []
        session = next((each.name for each in parameters if each.name in SESSIONS), "")
        others = [each for each in parameters if each.name != session and each.kind not in _VARIABLE]
        first = next((each for each in others if each.kind in _POSITIONAL), None)
        for each in others:
            if each is not first and each.default is each.empty:
                raise AppError(f"{named} needs {each.name!r} too; it gets the app's output and the session")
        if session and not takes_session(app):
            raise AppError(f"{named} takes the {session}, and the app knows none; let the app take it, too")
        return cls(path=path, function=function, session=session, takes_output=first is not None)

    def bind(self, session: str) -> Callable[[Output], Any]:
        """Return the function as one of the output alone."""
        bound = partial(self.function, **{self.session: session}) if self.session else self.function
        if inspect.iscoroutinefunction(self.function):

            async def read_later(output: Output) -> Any:
                return await (bound(output) if self.takes_output else bound())

            return read_later
        return lambda output: bound(output) if self.takes_output else bound()

    def check(self, value: Any) -> Any:
        """
        Return a state as JSON has it.

        Raises:
            AppError: JSON cannot hold it.
        """
        try:
            return json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError, RecursionError) as error:
            what = f"{type_of(value)} that JSON cannot hold ({error})"
            raise AppError(f"the function of state {self.path!r} returned {what}") from None


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
