"""
What leaves an app while a case runs: every request passes here, whichever client makes it.

A request that a reader of `providers` knows is a model call, and is replayed or recorded. Any other that
goes to another machine is noted with its destination and is read by the leak check; so is a connection
that no seam saw, of which only the destination is known.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn, Protocol
from urllib.parse import parse_qsl, urlsplit

from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder import processes
from pytest_llmops.recorder.bodies import decode
from pytest_llmops.recorder.call import CallLog, CallRules, Elsewhere
from pytest_llmops.recorder.exchange import Exchange, MetricCalls, Recording
from pytest_llmops.recorder.identity import (
    find_kind,
    identify,
    is_host,
    is_loopback,
    kind_of_listed,
    may_be_call,
    name_place,
)
from pytest_llmops.recorder.threads import is_inherited, looked_at

# Headers and query parameters whose very purpose is a secret that the provider gave.
_CREDENTIALS = frozenset({
    "authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "key", "api_key",
    "ocp-apim-subscription-key", "x-amz-security-token", "access_token", "token", "appid", "subscription-key",
    "x-auth-token", "xi-api-key", "x-subscription-token", "x-functions-key", "sig", "signature",
})  # fmt: skip
_OF_EVERY_CLIENT = frozenset({
    "accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "host",
    "traceparent", "transfer-encoding", "user-agent", "amz-sdk-invocation-id", "amz-sdk-request",
    "x-amz-date", "x-amz-content-sha256",
})  # fmt: skip
MOST_COLLECTED = 32 << 20
"""Bytes of a body that are kept in memory to be looked at."""

MOST_ANSWERED = 128 << 20
"""The same of an answer: a batch of embeddings has several tens of MiB."""

TOO_LONG = f"has more than {MOST_COLLECTED >> 20} MiB"

_MOST_READ = 1 << 20  # bytes of a body, by the leak check
_CHARSET = re.compile(r"charset=\"?([\w.:-]{1,40})", re.IGNORECASE)
_UNREADABLE = 0.1  # share of characters; with more a body is no text, and nobody can look
_OF_OPENAI_CLIENTS = "x-stainless-"


class Listener(Protocol):
    """A recorder that listens in this process."""

    @property
    def metric_calls(self) -> MetricCalls: ...

    def recording(
        self, case: str, repeat: int, *, rules: CallRules | None = None, shared: bool = True
    ) -> AbstractContextManager[CallLog]: ...

    def rule_unattributed(self) -> CassetteError | None:
        """Count a call that may belong to any of several cases; the error where it may not be made."""

    def rule_outside(self, phase: Phase, host: str) -> CassetteError | None:
        """Note what leaves in a phase that belongs to no case; the error where it may not."""

    def rule_elsewhere(self, host: str) -> CassetteError | None:
        """Note what left for another machine and may belong to any of several cases; the error likewise."""


class Phase(NamedTuple):
    """
    A time in which an app may send something although no case runs.

    Attributes:
        name: In words, `while the app was imported`.
        rules: Of the golden files; what one of them allows may leave.
    """

    name: str
    rules: Sequence[CallRules]

    def allows(self, host: str, port: int | None, address: str = "") -> bool:
        return any(rules.allows(host, port, address) for rules in self.rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """
    A request as a client is about to send it.

    Attributes:
        host: Without brackets and port.
        port: None for the usual one of the scheme.
        query: As it is written in the URL.
        headers: Names in any case.
        leaves: It goes over the network; not to an app in this process, and not by a client below this one.
    """

    method: str
    host: str
    port: int | None
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    content: bytes
    leaves: bool = True

    def describe(self) -> dict[str, Any]:
        """Path, query and headers, without credentials and the headers of every client."""
        headers: dict[str, str] = {}
        for written, value in self.headers:
            name = written.lower()
            if name not in _CREDENTIALS | _OF_EVERY_CLIENT and not name.startswith(_OF_OPENAI_CLIENTS):
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return {"path": self.path, "query": self.open_query(), "headers": headers}

    def read_text(self) -> str:
        """The beginning of the body as text: in the charset that is named, in UTF-32, UTF-16 or UTF-8."""
        content = self.content[:_MOST_READ]
        kind = next((value for name, value in self.headers if name.lower() == "content-type"), "")
        charset = _CHARSET.search(kind)
        if charset:
            with suppress(LookupError, UnicodeError):
                return content.decode(charset[1], "replace")
        if content[:4] in {b"\xff\xfe\0\0", b"\0\0\xfe\xff"}:
            return content.decode("utf-32", "replace")
        if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
            return content.decode("utf-16", "replace")
        even, odd = (content[first::2].count(0) for first in (0, 1))
        half, few = len(content) / 4, len(content) / 40
        if min(even, odd) <= few and max(even, odd) > half:  # padding has zeros everywhere
            return content.decode("utf-16-le" if odd > even else "utf-16-be", "replace")
        return content.decode("utf-8", "replace")

    def decoded(self) -> Egress:
        """The request without the content coding of its body, where that is known."""
        encoding = next((value for name, value in self.headers if name.lower() == "content-encoding"), "")
        if not encoding and self.content[:2] == b"\x1f\x8b":
            encoding = "gzip"
        with suppress(Exception):  # whichever decoder it is; what is damaged stays as it is
            return replace(self, content=decode(self.content, encoding)) if encoding else self
        return self

    def open_query(self) -> list[str]:
        """The parameters of the query, without credentials."""
        pairs = parse_qsl(self.query, keep_blank_values=True)
        return [f"{name}={value}" for name, value in pairs if name.lower() not in _CREDENTIALS]


recorders: list[Listener] = []
"""The last one decides."""

current: ContextVar[Recording | None] = ContextVar("pytest_llmops_recording", default=None)
_in_metric: ContextVar[bool] = ContextVar("pytest_llmops_in_metric", default=False)
_phase: ContextVar[Phase | None] = ContextVar("pytest_llmops_phase", default=None)
_ANY = "*"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")

_under_way: list[Phase] = []

# Of every context; a thread that the app started without its context may belong to any of them.
_open_recordings: list[Recording] = []


@contextmanager
def attributing(recording: Recording, *, shared: bool) -> Iterator[None]:
    """Give what leaves this context to a recording; with `shared`, see `interception.attribute_calls`."""
    token = current.set(recording)
    if shared:
        _open_recordings.append(recording)
    try:
        yield
    finally:
        if shared:
            _open_recordings.remove(recording)
        current.reset(token)


@contextmanager
def outside(phase: Phase) -> Iterator[None]:
    """Give what leaves this context to a phase, which is no case."""
    token = _phase.set(phase)
    _under_way.append(phase)
    try:
        yield
    finally:
        _under_way.remove(phase)
        _phase.reset(token)


def stand_aside() -> None:
    """From now on, model calls of this thread outside a recording are a metric's, and none of an app."""
    _in_metric.set(True)


@contextmanager
def looking(host: str = "") -> Iterator[None]:
    """
    Let what a seam has seen pass those that are below it.

    Args:
        host: Of the request, that of a seam above if there is one: what it may go to.
    """
    token = looked_at.set(looked_at.get() or host or _ANY)
    try:
        yield
    finally:
        looked_at.reset(token)


def leaves_machine(address: str) -> bool:
    """Return whether a client connects to another machine for a request to this one."""
    host = looked_at.get()
    return bool(host) and host != _ANY and is_loopback(host) and not is_loopback(address)


def is_of_seam(address: str) -> bool:
    """Return whether a connection is for a request that was seen, or for a metric."""
    return (bool(looked_at.get()) and not leaves_machine(address)) or is_of_metric()


def is_listening() -> bool:
    """Return whether somebody here wants to see what this context sends, and no seam above has."""
    if looked_at.get():
        return False
    if _find_phase() is not None:
        return True
    return bool(_open_recordings) or current.get() is not None or _in_metric.get()


def is_of_metric() -> bool:
    """Return whether this context is a metric's, of which no app is judged."""
    return current.get() is None and _in_metric.get()


def begin(request: Egress) -> Exchange | None:
    """
    Begin a model call, and replay it if it is recorded; None for any other request, which is noted.

    Raises:
        CassetteError: The request may not be made.
    """
    if len(request.content) > MOST_COLLECTED:
        pass_unread(request, TOO_LONG)
        return None
    request = request.decoded()
    path, kind = request.path, find_kind(request.method, request.path, request.content)
    if not kind:
        owner = _find_owner()
        if owner is None or not owner.rules.records(request.method, request.host, request.port, path):
            note_request(request)
            return None
        # Of any other request, method and query tell what it asks.
        query = "&".join(request.open_query())
        kind, path = kind_of_listed(request.content), f"{request.method} {path}{'?' if query else ''}{query}"
    recording = _find_recording(request.host, request.port)
    if recording is None:
        return None
    identity = identify(request.host, request.port, path, request.content, kind)
    return recording.begin(replace(identity, sent=request.describe()), request.host, request.port)


def is_call(request: Egress) -> bool:
    """Return whether a request is a model call by what it asks."""
    request = request.decoded()
    return bool(find_kind(request.method, request.path, request.content))


def pass_unread(request: Egress, why: str) -> None:
    """
    Note a request of which the beginning alone is known.

    Raises:
        CassetteError: It may not be made, or goes to where a model is called.
    """
    refuse_unread(request, why)
    note_request(request)


def refuse_unread(request: Egress, why: str) -> None:
    """
    Refuse a request to where a model is called, since it cannot be read whole.

    Raises:
        CassetteError: It may be a model call, whose host the golden file lists nowhere.
    """
    owner = _find_owner()
    listed = owner is not None and (
        owner.rules.find_never(request.host, request.port) or owner.rules.allows(request.host, request.port)
    )
    if not listed and may_be_call(request.method, request.path, request.content):
        refuse(
            f"a request to {name_place(request.host, request.port)}{request.path} {why}, so it cannot be "
            "read as a model call, and is not made: send it otherwise, or leave the case out"
        )


def refuse(why: str) -> NoReturn:
    """
    Refuse a request, which its case gets to know whatever the app makes of it.

    Raises:
        CassetteError: Always.
    """
    error = CassetteError(why)
    if (owner := _find_owner()) is not None:
        owner.refuse(error)
    raise error


def note_request(request: Egress) -> None:
    """
    Note a request that is no model call, or cannot be replayed as more than a request and its response.

    Raises:
        CassetteError: It may not be made.
    """
    if not request.leaves or is_loopback(request.host):
        return
    sent = {"method": request.method, **request.describe()}
    text = request.read_text()
    host = name_place(request.host, request.port)
    is_read = text.count("\ufffd") <= _UNREADABLE * len(text) and len(request.content) <= _MOST_READ
    left = Elsewhere(host=host, sent={**sent, "body": text} if is_read else None)
    _note_elsewhere(left, request.host, request.port)


def note_connection(address: str, port: int, name: str = "", opened: Any = None) -> None:
    """
    Note a connection of which no seam sees what passes.

    Args:
        name: Of the host, where it was looked up.
        opened: Its socket, where that is known.

    Raises:
        CassetteError: It may not be opened.
    """
    if not is_loopback(address) or _is_proxy(address, port):
        host = name or address
        _note_elsewhere(Elsewhere(host=name_place(host, port)), host, port, opened)


def note_unread(opened: Any) -> None:
    """Note the socket of a connection that was noted already, and on which a seam sees no more."""
    processes.note_unread(opened)
    if (owner := _find_owner()) is not None:
        owner.watch.note_opened(opened)


def _is_proxy(host: str, port: int) -> bool:
    """Return whether the environment names this as the way to other machines."""
    for proxy in (os.environ.get(name) or os.environ.get(name.upper(), "") for name in _PROXIES):
        with suppress(ValueError):
            place = urlsplit(proxy if "//" in proxy else f"//{proxy}")
            if place.port == port and is_host(place.hostname or "", host, port):
                return True
    return False


def _find_owner() -> Recording | None:
    """Return the recording of this context, or the only one open; one that ended if no other is open."""
    recording = current.get()
    if _find_phase() is not None:
        return None
    if recording is not None and not (recording.ended and is_inherited.get() and _open_recordings):
        return recording
    if recording is None and _in_metric.get():
        return None
    return _open_recordings[0] if len(_open_recordings) == 1 else None


def _find_recording(host: str, port: int | None) -> Recording | MetricCalls | None:
    """
    Return the recording that a model call belongs to.

    Raises:
        CassetteError: Several are open, and the call may not be made.
    """
    if (owner := _find_owner()) is not None:
        return owner
    if is_of_metric():
        return recorders[-1].metric_calls if recorders else None
    if (phase := _find_phase()) is not None:
        if not any(rules.find_never(host, port) for rules in phase.rules):
            _rule_outside(phase, host)
        return None
    if candidates := _open_recordings[:]:
        error = recorders[-1].rule_unattributed() if recorders else None
        for candidate in candidates:
            candidate.note_unattributed(error)
        if error is not None:
            raise error
    return None


def _find_phase() -> Phase | None:
    """Return the phase under way that this is of: by its context, or as no case is open."""
    own = _phase.get()
    if own is None:
        is_of_nobody = _under_way and not _open_recordings and not _in_metric.get()
        return _under_way[-1] if is_of_nobody else None
    return next((phase for phase in _under_way if phase is own), None)  # a thread may outlive it


def _rule_outside(phase: Phase, host: str) -> None:
    if recorders and (error := recorders[-1].rule_outside(phase, host)) is not None:
        raise error


def _note_elsewhere(left: Elsewhere, host: str, port: int | None, opened: Any = None) -> None:
    if (owner := _find_owner()) is not None:
        owner.leave(left, host, port)
        if opened is not None:
            owner.watch.note_opened(opened)
    elif (phase := _find_phase()) is not None:
        if not phase.allows(host, port):
            _rule_outside(phase, left.host)
    elif (
        _open_recordings
        and recorders
        and not _in_metric.get()
        and (error := recorders[-1].rule_elsewhere(left.host))
    ):
        raise error
