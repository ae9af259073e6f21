"""Model calls of metrics themselves, such as an encoder's: no cassette keeps them, the budget counts them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.call import Call, CallBudget, CallOutcome, count_calls
from pytest_llmops.recorder.identity import Identity, identify
from pytest_llmops.recorder.reply import Reply, parse_body, read_reply
from pytest_llmops.settings import RecordMode

_OK = 200


@dataclass(slots=True, eq=False, kw_only=True)
class Aside:
    """Lets calls out that belong to no case, and counts them; vectors have a cache of their own."""

    mode: RecordMode
    budget: CallBudget | None = None
    ended: bool = False
    _calls: Counter[CallOutcome] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, host: str, port: int | None, path: str, content: bytes, sent: Any = None) -> _Exchange:  # noqa: ARG002 - as of recordings
        """
        Take a request in.

        Raises:
            CassetteError: No call may be made at all, or the budget is spent.
        """
        identity = identify(host, port, path, content)
        if self.mode == "none":
            raise CassetteError(
                f"record none allows no call, and vectors of {identity.model or identity.provider} are "
                "kept in no cassette but in the cache of .llmops; fill it with --llm-record new"
            )
        if self.budget is not None:
            self.budget.permit(identity.provider, identity.model)
        return _Exchange(self, identity)

    def replay(self, host: str, port: int | None, path: str, content: bytes) -> bytes | None:  # noqa: ARG002 - as of recordings
        """Nothing is kept."""
        return None

    def meet_unattributed(self, error: CassetteError | None) -> None:
        """What belongs to a case is none of these."""

    def close(self, call: Call) -> None:
        with self._lock:
            self._calls[call.outcome] += 1
        if self.budget is not None:
            self.budget.charge(call)

    def describe(self) -> list[str]:
        """A sentence on the calls, where there were any."""
        with self._lock:
            made, failed = self._calls["made"], self._calls["failed"]
        return [f"metrics: {count_calls(made, 0, failed)}"] if made or failed else []


class _Exchange:
    """One call; it is booked once, however it ends."""

    replay: tuple[str, bytes] | None = None
    leave: Callable[[], None] | None = None
    duration_s = 0.0

    def __init__(self, aside: Aside, identity: Identity) -> None:
        self._aside, self._identity = aside, identity
        self._started = time.time()
        self._open = True

    def answer(self, status: int, content_type: str, content: bytes, *, whole: bool = True) -> None:
        """Book an answer; one that was left unread may be billed, by nobody knows how many tokens."""
        if status != _OK:
            self._close("failed", Reply(), status)
            return
        try:
            reply = read_reply(parse_body(content, content_type))
        except (ValueError, RecursionError):
            self._close("failed" if whole else "made", Reply(), status)
            return
        broken = reply.error is not None or (whole and not reply.ended)
        self._close("failed" if broken else "made", reply, status)

    def fail(self, error: BaseException | str, *, status: int | None = None) -> None:  # noqa: ARG002 - as of recordings
        """Book a call that brought no answer."""
        self._close("failed", Reply(), status)

    def _close(self, outcome: CallOutcome, reply: Reply, status: int | None) -> None:
        if not self._open:
            return
        self._open = False
        self._aside.close(
            Call(
                provider=self._identity.provider,
                path=self._identity.path,
                kind=self._identity.kind,
                model=self._identity.model,
                request=None,
                key=self._identity.key,
                repeat=0,
                nth=0,
                outcome=outcome,
                model_reported=reply.model,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                status=status,
                started=self._started,
            )
        )
