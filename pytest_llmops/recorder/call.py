"""What one model call was, and the log of those an app made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, Protocol

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.identity import is_host
from pytest_llmops.recorder.reply import streamed_tools
from pytest_llmops.records import ModelCall, ModelErrors

CallOutcome = Literal["replayed", "made", "failed", "refused"]
"""A failed call was made and brought no whole answer; a refused one was not made: no cassette holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """
    What a golden file says of the model calls of one of its cases, and of the spans beside them.

    Attributes:
        live: No call of the case is ever replayed.
        never: Hosts, with a port or without, whose calls are neither recorded nor replayed.
        errors: What a failed call does to the case; None leaves it to its status.
        spans: How many spans the app must leave beside its calls.
    """

    live: bool = False
    never: tuple[str, ...] = ()
    errors: ModelErrors | None = None
    spans: int = 0

    def why_live(self, host: str, port: int | None) -> str:
        """Why a call is made whatever the cassettes hold; empty where they decide."""
        if self.live:
            return "the golden file says live: true of the case"
        named = next((each for each in self.never if is_host(each, host, port)), None)
        return f"the golden file says record: {{never: [{named}]}}" if named else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One request for an answer from a model.

    Attributes:
        provider: Host that was asked, with a port that is not the usual one; `loopback` for this machine.
        kind: `chat`, `completions`, `responses`, `embeddings` or `messages`, by the path's end.
        model: The model asked for; `model_reported` is the one that says it answered.
        sent: Path, query and headers of the request, but for credentials.
        response: The answer as JSON; a streamed one as the text of its events.
        text: What the assistant said, streamed pieces joined; None for embeddings and failed calls.
        reason: Why the call was made or failed, in one line; empty for a replayed one.
        offset_s: Seconds from the start of the repeat to the request, at the time it was made.
        duration_s: Real seconds from request to whole answer, at the time it was made.
        waited_s: Seconds this run really waited.
        prompt_tokens: None when not reported; so for `completion_tokens`.
        status: HTTP status; None when no answer came.
        started: Seconds since the epoch.
        fingerprint: The provider's own mark of weights and settings, `system_fingerprint`.
        key: SHA-256 of the call's identity without `repeat` and `nth`.
        nth: Counts from 0 the answered calls of that key within the case and repeat.
    """

    provider: str
    path: str
    kind: str
    model: str | None
    request: Any
    key: str
    repeat: int
    nth: int
    outcome: CallOutcome
    reason: str = ""
    sent: Mapping[str, Any] = field(default_factory=dict)
    response: Any = None
    text: str | None = None
    model_reported: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    fingerprint: str | None = None
    status: int | None = None
    started: float = 0.0
    offset_s: float = 0.0
    duration_s: float = 0.0
    waited_s: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether the whole answer came, from the model or from a cassette."""
        return self.outcome in {"made", "replayed"}


class CallBudget(Protocol):
    """Limits the calls that are made; consulted before each one."""

    def permit(self, provider: str, model: str | None) -> None:
        """Raises BudgetError where the call may not be made."""

    def charge(self, call: Call) -> None:
        """Books each call that it permitted once, answered or not."""


@dataclass(slots=True, kw_only=True)
class CallLog:
    """
    The model calls of one repeat of a case, in the order they ended; grows while the app runs.

    Attributes:
        error: The first call that a cassette should have held and did not. The app may have swallowed
            or wrapped the exception, so who runs it looks here.
        is_whole: False once an unattributed call was made, which may be this case's or another's.
    """

    case: str
    repeat: int
    calls: list[Call] = field(default_factory=list)
    error: CassetteError | None = None
    is_whole: bool = True


def count_calls(made: int, replayed: int, failed: int) -> str:
    """`1 model call made, 90 replayed, 2 failed`: of those that were seen, each stands in one place."""
    return f"{made:,} model call{'' if made == 1 else 's'} made, {replayed:,} replayed, {failed:,} failed"


_DIGITS = 16
_VOLATILE = frozenset({"id", "created", "created_at", "usage", "timings", "system_fingerprint", "model"})
"""What differs between two equal answers of a model."""


def note_calls(calls: Iterable[Call]) -> tuple[ModelCall, ...]:
    """The answered ones, in the order they began."""
    answered = (call for call in calls if call.answered)
    return tuple(
        ModelCall(
            key=call.key,
            kind=call.kind,
            model=call.model,
            reported=call.model_reported,
            fingerprint=call.fingerprint,
            tools=_tools(call.request),
            answer=_digest(_answer(call)),
        )
        for call in sorted(answered, key=lambda call: call.offset_s)
    )


def _answer(call: Call) -> Any:
    """The answer but for how it travelled: of a streamed one the words, and the tools that it asks for."""
    if isinstance(call.response, Mapping):
        return call.response
    tools = streamed_tools(call.response) if isinstance(call.response, str) else []
    return [call.text, tools] if tools else call.text


def _tools(request: Any) -> str:
    """Digest of the schemas that a request offers; empty where there are none."""
    tools = (request.get("tools") or request.get("functions")) if isinstance(request, Mapping) else None
    return _digest(tools) if tools else ""


def _digest(answer: Any) -> str:
    canonical = json.dumps(_lasting(answer), sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()[:_DIGITS]


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lasting(each) for key, each in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return [_lasting(each) for each in value]
    return value
