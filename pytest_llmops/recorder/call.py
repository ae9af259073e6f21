"""Model calls, the log of those an app made, and their digests for a run file."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from hashlib import sha256
from typing import Any, Literal, Protocol

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder.identity import Identity, is_host, split_host
from pytest_llmops.recorder.limits.gate import Pauses
from pytest_llmops.recorder.providers import MCP
from pytest_llmops.recorder.reply import requested_tools
from pytest_llmops.recorder.request_settings import settings_of
from pytest_llmops.records import ModelCall, ModelErrors

CallOutcome = Literal["replayed", "made", "failed", "refused"]
"""A failed call was made and brought no complete answer; a refused one was not made: no cassette holds it."""

_DIGITS = 16
# Fields in which two equal answers of a model differ.
_VOLATILE = frozenset({"id", "created", "created_at", "usage", "timings", "system_fingerprint", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRules:
    """
    Rules of a golden file for the model calls of one of its cases, and for the spans of the app.

    Attributes:
        live: No call of the case is ever replayed.
        never: Hosts, with a port or without, whose calls are neither recorded nor replayed.
        errors: Effect of a failed call on the case; None leaves it to its status.
        allow: Hosts, likewise, to which the app may send what is no model call, whatever the mode is.
        also: Requests that are recorded as model calls are, as `POST api.example.com/rank*`.
        ignored: Parts of a request that change in every call: JSON pointers, and patterns in its strings.
        spans: How many spans the app must leave in addition to its calls.
    """

    live: bool = False
    never: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    errors: ModelErrors | None = None
    spans: int = 0

    def why_live(self, host: str, port: int | None) -> str:
        """Return why a call is made whatever the cassettes hold; empty where they decide."""
        if self.live:
            return "the golden file says live: true of the case"
        rule = self.find_never(host, port)
        return f"the golden file says record: {{never: [{rule}]}}" if rule else ""

    def find_never(self, host: str, port: int | None) -> str | None:
        """Return the entry of `record: {never: …}` that covers a host."""
        return next((rule for rule in self.never if is_host(rule, host, port)), None)

    def records(self, method: str, host: str, port: int | None, path: str) -> bool:
        """Return whether the golden file lists a request under `record: {also: …}`."""
        for rule in self.also:
            wanted, _, place = rule.partition(" ")
            named, slash, pattern = place.partition("/")
            if wanted == method and is_host(named, host, port) and fnmatchcase(path, f"{slash}{pattern}"):
                return True
        return False

    def without_ignored(self, body: Any) -> Any:
        """The body of a request without what `record: {ignore: …}` names."""
        for rule in self.ignored:
            if rule.startswith("/"):
                body = _drop(body, rule[1:].split("/"))
            else:
                body = _replace(body, re.compile(rule))
        return body

    def allows(self, host: str, port: int | None, address: str = "") -> bool:
        """
        Return whether the golden file lists a destination under `record: {allow: …}`.

        Args:
            address: Of a connection; the list may have it, or a name of it that nobody looked up here.
        """
        return any(
            is_host(rule, host, port) or (address and _is_name_of(rule, address, port)) for rule in self.allow
        )


def _is_name_of(rule: str, address: str, port: int | None) -> bool:
    name, _ = split_host(rule)
    return address in _addresses_of(name.strip("[]")) and is_host(rule, name, port)


@cache
def _addresses_of(name: str) -> frozenset[str]:
    with suppress(Exception):  # the network's, or that of a test which replaced the function
        return frozenset(str(entry[4][0]) for entry in socket.getaddrinfo(name, None))
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """
    What left for another machine and is no model call.

    Attributes:
        host: With a port that is not the usual one.
        sent: Method, path, query, headers and body of a request; None of a connection, in which
            nobody looked.
        allowed: The golden file lists the destination.
    """

    host: str
    sent: Mapping[str, Any] | None = None
    allowed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One request for an answer from a model.

    Attributes:
        provider: Host, with a port that is not the usual one; `loopback` for this machine.
        kind: `chat`, `completions`, `responses`, `embeddings` or `messages`, by the path's end.
        model: The requested model; `model_reported` is the name in the answer.
        sent: Path, query and headers of the request, without credentials.
        response: The answer as JSON; a streamed one as the text of its events.
        text: Text of the assistant, streamed pieces joined; None for embeddings and failed calls.
        reason: Why the call was made or failed, in one line; empty for a replayed one.
        offset_s: Seconds from the start of the repeat to the request, at the time it was made.
        duration_s: Seconds from request to complete answer, at the time it was made.
        waited_s: Seconds that this run waited.
        prompt_tokens: None when not reported; so for `completion_tokens`.
        status: HTTP status; None when no answer came.
        started: Seconds since the epoch.
        fingerprint: The provider's mark of weights and settings, `system_fingerprint`.
        answer_id: The provider's name of the answer.
        cached: By its headers the answer came out of a cache.
        finish: Why the model stopped writing; empty where the provider does not say so.
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
    answer_id: str | None = None
    cached: bool = False
    finish: str = ""
    status: int | None = None
    started: float = 0.0
    offset_s: float = 0.0
    duration_s: float = 0.0
    waited_s: float = 0.0

    @property
    def asks_model(self) -> bool:
        """A model answers it, or a request that the golden file lists as such; no tool server does."""
        return self.kind != MCP

    @property
    def answered(self) -> bool:
        """A complete answer came, from the model or from a cassette."""
        return self.outcome in {"made", "replayed"}


class CallBudget(Protocol):
    """Limits the calls that are made; consulted before each one."""

    def permit(self, provider: str, model: str | None) -> None:
        """Raises BudgetError where the call may not be made."""

    def charge(self, call: Call) -> None:
        """Books each call that it permitted once, answered or not."""


class ReplySource(Protocol):
    """Sees the replies that an app gets to its model calls, and may give others; used on many threads."""

    def replace(self, case: str, repeat: int, identity: Identity, nth: int) -> tuple[str, Any] | None:
        """
        Return content type and body of the reply to a call; None leaves it to cassettes and provider.

        Raises:
            CassetteError: The app gets no reply at all.
            StopAppError: The same, and its call of this case ends.
        """

    def note(self, case: str, repeat: int, identity: Identity, nth: int, reply: tuple[str, Any]) -> None:
        """Take content type and body of a complete reply, replayed or made."""


@dataclass(slots=True, kw_only=True)
class CallLog:
    """
    The model calls of one repeat of a case, in the order they ended; grows while the app runs.

    Attributes:
        error: Of the first call that may not be made; the app may have swallowed or wrapped the exception.
        elsewhere: In the order it left.
        broke: The app was given up, so that it may have had more calls to make.
        pauses: A clock of the seconds that its calls waited for limits of their providers.
        limited: Why a provider's refusal was not waited for any longer; empty where none was handed on.
        is_whole: False once an unattributed call was made, which may be this case's or another's.
    """

    case: str
    repeat: int
    calls: list[Call] = field(default_factory=list)
    error: CassetteError | None = None
    elsewhere: list[Elsewhere] = field(default_factory=list)
    broke: bool = False
    is_whole: bool = True
    pauses: Pauses = field(default_factory=Pauses)
    limited: str = ""


def _drop(value: Any, steps: list[str]) -> Any:
    """The value without the part at a JSON pointer (RFC 6901), where `*` is any key or place."""
    step, *rest = steps
    step = step.replace("~1", "/").replace("~0", "~")
    if isinstance(value, Mapping):
        items = value.items()
        return {
            key: _drop(part, rest) if step in (key, "*") else part
            for key, part in items
            if rest or step not in (key, "*")
        }
    if isinstance(value, list):
        parts = enumerate(value)
        return [
            _drop(part, rest) if step in (str(at), "*") else part
            for at, part in parts
            if rest or step not in (str(at), "*")
        ]
    return value


def _replace(value: Any, pattern: re.Pattern[str]) -> Any:
    """The value with what a pattern finds left out of every string."""
    if isinstance(value, str):
        return pattern.sub("", value)
    if isinstance(value, Mapping):
        return {key: _replace(part, pattern) for key, part in value.items()}
    return [_replace(part, pattern) for part in value] if isinstance(value, list) else value


def count_calls(made: int, replayed: int, failed: int) -> str:
    """`1 model call made, 90 replayed, 2 failed`; each call is counted once."""
    return f"{made:,} model call{'' if made == 1 else 's'} made, {replayed:,} replayed, {failed:,} failed"


def note_calls(calls: Iterable[Call]) -> tuple[ModelCall, ...]:
    """Digests of the models' answered calls, in the order they began."""
    return tuple(
        ModelCall(
            key=call.key,
            kind=call.kind,
            model=call.model,
            reported=call.model_reported,
            fingerprint=call.fingerprint,
            tools=_digest(tools) if (tools := _tool_schemas(call.request)) else "",
            answer=_digest(_answer(call)),
            id=_digest(call.answer_id) if call.answer_id else "",
            cached=call.cached,
            settings=settings_of(call.provider, call.kind, call.request),
            finish=call.finish,
        )
        for call in sorted(calls, key=lambda call: call.offset_s)
        if call.answered and call.asks_model
    )


def _answer(call: Call) -> Any:
    """The answer without traces of its transport: of a stream the text, and the requested tools."""
    if isinstance(call.response, Mapping):
        return call.response
    requested = requested_tools(call.response) if isinstance(call.response, str) else []
    tools = [f"{name}{arguments}" for name, arguments in requested]
    return [call.text, tools] if tools else call.text


def _tool_schemas(request: Any) -> Any:
    if not isinstance(request, Mapping):
        return None
    servers = request.get("mcp_servers")  # whose tools the provider lists itself
    tools = request.get("tools") or request.get("functions")
    return [tools, servers] if servers else tools


def _digest(value: Any) -> str:
    canonical = json.dumps(_without_volatile(value), sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()[:_DIGITS]


def _without_volatile(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_volatile(part) for key, part in value.items() if key not in _VOLATILE}
    return [_without_volatile(part) for part in value] if isinstance(value, list) else value
