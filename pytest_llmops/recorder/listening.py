"""What stands between the HTTP clients and a recorder: the parts that each side knows of the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.call import CallLog


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

    def begin(self, host: str, port: int | None, path: str, content: bytes) -> Exchange: ...

    def meet_unattributed(self, error: CassetteError | None) -> None:
        """Note a call that may belong to any of several open recordings."""


class Listener(Protocol):
    """A recorder that listens in this process."""

    def recording(
        self, case: str, repeat: int, *, shared: bool = True
    ) -> AbstractContextManager[CallLog]: ...

    def rule_unattributed(self) -> CassetteError | None:
        """Count a call that may belong to any of several cases; the error where it may not be made."""

    def let_out(self, host: str, port: int | None, path: str, content: bytes) -> None:
        """Raises CassetteError where a call that stands aside, and is kept nowhere, may not be made."""
