"""Model calls among the requests, and the identity by which two of them are the same call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

LOOPBACK = "loopback"

_KINDS = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/responses": "responses",
    "/embeddings": "embeddings",
    "/messages": "messages",
}
_ENDS = tuple(_KINDS)
_AZURE = "/deployments/"  # the path names the model there
# Keys of which a request must have one: an app's own service may end in `/messages`, too.
_MARKS: Mapping[str, tuple[str, ...]] = {
    "chat": (),
    "completions": ("model", "prompt"),
    "responses": ("model", "prompt", "previous_response_id"),
    "embeddings": ("input",),
    "messages": ("model",),
}
_USUAL_PORTS = frozenset({80, 443})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """
    Everything in a request that may change its answer: no headers, no query, no order of JSON keys.

    Attributes:
        provider: Host, with a port that is not the usual one; `loopback` for any port of this machine.
        body: The request's JSON; its text where it has none.
        key: SHA-256 of the parts above in canonical form.
        sent: Path, query and headers, which change no answer, without credentials.
    """

    provider: str
    path: str
    kind: str
    body: Any
    key: str
    sent: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str | None:
        model = self.body.get("model") if isinstance(self.body, dict) else None
        return model if isinstance(model, str) else None


def may_call_model(method: str, path: str) -> bool:
    """Return whether a request can be a model call, without a look at its body: see `is_model_call`."""
    return method == "POST" and path.endswith(_ENDS)


def is_model_call(method: str, path: str, content: bytes) -> bool:
    """Return whether a request is a model call; an app's backend may have a path `/tickets/7/messages`."""
    if not may_call_model(method, path):
        return False
    marks = _MARKS[kind_of(path)]
    if not marks or _AZURE in path:
        return True
    body = _parse(content)
    return isinstance(body, dict) and any(mark in body for mark in marks)


def is_host(written: str, host: str, port: int | None) -> bool:
    """
    Return whether a request goes to a host as a golden file names it, `api.shop.example` or `localhost:8000`.

    A name without a port covers all ports. All names of this machine are the same host.
    """
    name, _, number = written.rpartition(":")
    is_bare_ipv6 = ":" in name.strip("[]") and not name.startswith("[")
    if not number.isdecimal() or is_bare_ipv6:
        name, number = written, ""
    alike = _bare(name) == _bare(host) or (is_loopback(name) and is_loopback(host))
    return alike and (not number or int(number) == port or (port is None and int(number) in _USUAL_PORTS))


def identify(
    host: str, port: int | None, path: str, content: bytes, sent: Mapping[str, Any] | None = None
) -> Identity:
    """Return the identity of a request that `is_model_call`."""
    body = _parse(content)
    if body is _NO_JSON:
        body = content.decode("utf-8", "surrogateescape")
    return replace(identify_body(host, port, path, body), sent=sent or {})


def identify_body(host: str, port: int | None, path: str, body: Any) -> Identity:
    """Return the identity of a request whose body is a JSON value."""
    provider = LOOPBACK if is_loopback(host) else host if port is None else f"{host}:{port}"
    return Identity(
        provider=provider, path=path, kind=kind_of(path), body=body, key=key_of(provider, path, body)
    )


def key_of(provider: str, path: str, body: Any) -> str:
    """SHA-256, in hex, of the canonical JSON of a call's parts: keys sorted, no spaces, ASCII."""
    # ASCII escapes give half a surrogate pair bytes too, which UTF-8 refuses.
    canonical = json.dumps([provider, path, body], sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()


def kind_of(path: str) -> str:
    """Return the kind of call by the end of its path; empty for no model call."""
    return next((kind for end, kind in _KINDS.items() if path.endswith(end)), "")


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, where a call costs nothing."""
    host = _bare(host)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_NO_JSON = object()


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return _NO_JSON


def _bare(host: str) -> str:
    return host.lower().rstrip(".").strip("[]")
