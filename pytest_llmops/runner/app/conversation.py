"""Conversations: what an app is called with at each turn, found by its signature, and by which session."""

from __future__ import annotations

import inspect
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from pytest_llmops.errors import AppError
from pytest_llmops.metrics.conversations import list_asked, list_messages
from pytest_llmops.printable import excerpt, printable
from pytest_llmops.protocols import App, RemoteApp
from pytest_llmops.records import CaseTurn, Played, TurnOutput

SESSIONS = ("session", "session_id", "thread", "thread_id")
"""Names of a parameter by which an app keeps its conversations apart."""

RecordedCalls = Callable[[], AbstractContextManager[object]]
"""Opens a context in which model calls are recorded or replayed, and are none of the app's."""

_MESSAGES = "messages"
_LETTERS = "abcdef"  # no digits, so that nothing takes a session for a number of a person
_MARK, _RANDOM = "fabacade", 22
SESSION_PATTERN = f"{_MARK}-[a-f]{{4}}-4[a-f]{{3}}-a[a-f]{{3}}-[a-f]{{12}}"
"""Finds the sessions of conversations in a request, of whose identity they are no part."""

_REMEDY = (
    f"let its first parameter take the messages so far, a list of role and content, or add a parameter "
    f"{', '.join(SESSIONS[:-1])} or {SESSIONS[-1]}, by which it keeps conversations apart"
)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """
    The end of a conversation.

    Attributes:
        played: The part of its simulated user; None for a script.
        fault: What that user did wrong; empty for nothing.
        broke: Why nobody knows what that user would say; empty where that is known.
    """

    played: Played | None = None
    fault: str = ""
    broke: str = ""


class Talk(ABC):
    """A conversation, as it is led."""

    __slots__ = ()

    @property
    @abstractmethod
    def history(self) -> tuple[Mapping[str, str], ...]:
        """Messages before the first turn."""

    @property
    @abstractmethod
    def most(self) -> int:
        """The number of turns, at most."""

    @abstractmethod
    async def next_turn(self, turns: Sequence[TurnOutput], calls: RecordedCalls) -> CaseTurn | Over:
        """
        Return what the user says after these turns.

        Args:
            calls: Records the model calls that this takes.

        Raises:
            CassetteError: One is not recorded and may not be made.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Talk):
    """
    A conversation as it is written.

    Attributes:
        turns: At least one.
        history: Messages before the first turn.
    """

    turns: tuple[CaseTurn, ...]
    history: tuple[Mapping[str, str], ...] = ()

    def messages(self) -> list[Any]:
        """Return the messages of the user, with the history before them."""
        return list_asked(self.history, self.turns)

    @property
    def most(self) -> int:
        """The number of turns."""
        return len(self.turns)

    async def next_turn(self, turns: Sequence[TurnOutput], calls: RecordedCalls) -> CaseTurn | Over:  # noqa: ARG002 - it takes none
        """Return the next turn as it is written."""
        return self.turns[len(turns)] if len(turns) < self.most else Over()


def describe_turn(number: int, asked: CaseTurn) -> str:
    """Name a turn, for the end of the reason why it broke; numbers count from 1."""
    return f" (turn {number}: {excerpt(asked.user)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calling:
    """
    How an app is called in a conversation.

    Attributes:
        session: The name of its parameter for the session; empty for none.
        takes_messages: Its first argument is the list of messages, else the text of the user's message.
    """

    session: str
    takes_messages: bool

    def bind(self, app: App, session: str) -> App:
        """Return the app with its session."""
        return partial(app, **{self.session: session}) if self.session else app

    def question(
        self, asked: CaseTurn, history: Iterable[Mapping[str, str]], turns: Iterable[TurnOutput]
    ) -> Any:
        """
        Return the argument of the next turn.

        Args:
            asked: That turn; `turns` are those before it.
        """
        if not self.takes_messages:
            return asked.user
        return list_asked(list_messages(history, turns), [asked])


def find_calling(app: App) -> Calling:
    """
    Find out how an app is called in a conversation.

    Raises:
        AppError: It takes one text at a time and no session, or something else that is not there.
    """
    if isinstance(app, RemoteApp):
        if not app.conversation:
            raise AppError("has neither {{ messages }} nor {{ session }} in its request; add one of them")
        return Calling(session="session", takes_messages=app.conversation == _MESSAGES)
    try:
        parameters = list(inspect.signature(app).parameters.values())
    except (TypeError, ValueError):  # of a callable of C: nothing speaks against messages
        return Calling(session="", takes_messages=True)
    sessions = [
        parameter
        for parameter in parameters
        if parameter.name in SESSIONS and parameter.kind != inspect.Parameter.POSITIONAL_ONLY
    ]
    others = [parameter for parameter in parameters if parameter not in sessions]
    first = next((parameter for parameter in others if parameter.kind in _POSITIONAL), None)
    several = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in others)
    if first is None and not several:
        raise AppError(f"takes no message; {_REMEDY}")
    if lacking := [_show(parameter) for parameter in _list_required(others) if parameter is not first]:
        raise AppError(f"needs {lacking[0]} too, which no conversation has; give it a default")
    if len(sessions) > 1 and len(needed := _list_required(sessions)) > 1:
        names = " and ".join(parameter.name for parameter in needed)
        raise AppError(f"has several parameters for the session, {names}; leave one of them")
    if sessions:
        chosen = next(iter([*_list_required(sessions), *sessions]))
        return Calling(session=chosen.name, takes_messages=first is not None and first.name == _MESSAGES)
    if first is not None and first.annotation in {str, "str"}:
        raise AppError(f"takes one text at a time ({_show(first)}) and no session; {_REMEDY}")
    return Calling(session="", takes_messages=True)


def find_session(app: App, *, wanted: bool = False) -> str:
    """
    Return the name of the parameter by which an app gets the session of a single question; empty for none.

    Args:
        wanted: Somebody else has to know the session, so an app that can do without one gets it too.
    """
    if isinstance(app, RemoteApp):
        return "session" if wanted else ""
    try:
        _, *further = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):  # of a callable of C, or without a parameter
        return ""
    taken = further if wanted else _list_required(further)
    return next((parameter.name for parameter in taken if parameter.name in SESSIONS), "")


def takes_session(app: App) -> bool:
    """Return whether an app can be given a session."""
    return bool(find_session(app, wanted=True))


def check_calling(app: App, name: str, *, with_history: bool) -> None:
    """
    Check that an app can hold a conversation.

    Args:
        name: Of the app, for messages.
        with_history: The conversation begins with messages that were said before.

    Raises:
        AppError: It cannot; with the remedy.
    """
    try:
        calling = find_calling(app)
    except AppError as error:
        raise AppError(f"{name} can hold no conversation: it {error}") from None
    if with_history and not calling.takes_messages:
        raise AppError(
            f"{name} cannot be given a history: it takes one message and a {calling.session}. Write the "
            f"history as turns, or name its first parameter {_MESSAGES}"
        )


def open_session() -> str:
    """Return a session that no other conversation has, in the form of a UUID."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM))
    return f"{_MARK}-{letters[:4]}-4{letters[4:7]}-a{letters[7:10]}-{letters[10:]}"


def _list_required(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind not in variable
    ]


def _show(parameter: inspect.Parameter) -> str:
    return printable(str(parameter), 80)
