"""Who listens to the HTTP clients of this process, and whose a model call is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Protocol

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.call import CallLog
from pytest_llmops.recorder.identity import is_model_call, may_call_model
from pytest_llmops.recorder.interception.threads import is_inherited


class Exchange(Protocol):
    """One model call under way; exactly one of `answer` and `fail` counts, the first."""

    @property
    def replay(self) -> tuple[str, bytes] | None:
        """Content type and bytes of the recorded answer, when there is one."""

    @property
    def duration_s(self) -> float: ...

    leave: Callable[[], None] | None
    """What ends a stream that is still being read when the recording does."""

    def answer(self, status: int, content_type: str, content: bytes, *, whole: bool = True) -> None: ...
    def fail(self, error: BaseException | str, *, status: int | None = None) -> None: ...


class Interceptor(Protocol):
    """What a recording does with a model call; raises CassetteError when it may not be made."""

    @property
    def ended(self) -> bool:
        """Whether the repeat that it records is over."""

    def begin(self, host: str, port: int | None, path: str, content: bytes, sent: Any) -> Exchange: ...
    def replay(self, host: str, port: int | None, path: str, body: Any) -> bytes | None: ...

    def meet_unattributed(self, error: CassetteError | None) -> None:
        """Note a call that may belong to any of several open recordings."""


class Listener(Protocol):
    """A recorder that listens in this process; `aside` takes the calls that belong to no case."""

    @property
    def aside(self) -> Interceptor: ...

    def recording(
        self, case: str, repeat: int, *, shared: bool = True
    ) -> AbstractContextManager[CallLog]: ...

    def rule_unattributed(self) -> CassetteError | None:
        """Count a call that may belong to any of several cases; the error where it may not be made."""


current: ContextVar[Interceptor | None] = ContextVar("pytest_llmops_recording", default=None)
_aside: ContextVar[bool] = ContextVar("pytest_llmops_aside", default=False)

recorders: list[Listener] = []
"""The last one decides."""

open_recordings: list[Interceptor] = []
"""Those of every context; a thread that the app started without its context may belong to any of them."""


def stand_aside() -> None:
    """From now on, what this thread asks a model outside a recording of its own is no call of an app's."""
    _aside.set(True)


def may_be_seen(request: Any) -> bool:
    """Whether anybody listens here to what may be a model call."""
    listening = bool(open_recordings) or current.get() is not None or _aside.get()
    return listening and may_call_model(request.method, request.url.path)


def find_recording(request: Any, content: bytes) -> Interceptor | None:
    """Whose call it is: this context's, or of the only case in work. None for what is no model call."""
    url = request.url
    if not may_be_seen(request) or not is_model_call(request.method, url.path, content):
        return None
    recording = current.get()
    if recording is not None and not (recording.ended and is_inherited.get()):
        return recording
    if recording is None and _aside.get():
        return recorders[-1].aside if recorders else None
    candidates = open_recordings[:2]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        _meet_unattributed()
    return None


def _meet_unattributed() -> None:
    """
    Count a call that nobody can give to a case.

    Raises:
        CassetteError: It may not be made.
    """
    error = recorders[-1].rule_unattributed() if recorders else None
    for candidate in open_recordings[:]:
        candidate.meet_unattributed(error)
    if error is not None:
        raise error
