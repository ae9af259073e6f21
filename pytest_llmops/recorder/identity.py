"""Model calls among the requests, and the identity by which two of them are the same call."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from pytest_llmops.recorder.mcp_messages import is_message, without_id
from pytest_llmops.recorder.providers import MCP, OTHER, READERS

LOOPBACK = "loopback"

_AZURE = "/openai/deployments/"  # the path names the model there
_MODEL_IN_PATH = re.compile(r"/(?:models?|deployments)/([^/:]+)")
_BOUNDARY = re.compile(rb"\A--([^\r\n]{1,200})\r?\n")
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
        message_id: Of a message of MCP, which its answer repeats; None for one that gets none.
    """

    provider: str
    path: str
    kind: str
    body: Any
    key: str
    sent: Mapping[str, Any] = field(default_factory=dict)
    message_id: Any = None

    @property
    def model(self) -> str | None:
        model = self.body.get("model") if isinstance(self.body, dict) else None
        if isinstance(model, str):
            return model
        named = _MODEL_IN_PATH.search(self.path)
        return unquote(named[1]) if named else None


def find_kind(method: str, path: str, content: bytes) -> str:
    """
    Return the kind of a request that is a model call; empty for any other.

    An app's backend may have a path `/tickets/7/messages`, so that the body counts too.
    """
    if method != "POST":
        return ""
    body: Any = None
    for kind, marks in _find_kinds(path):
        if not marks or _AZURE in path:
            return kind
        body = _parse(content) if body is None else body
        if isinstance(body, dict):
            if any(_has(body, mark) for mark in marks):
                return kind
        elif _BOUNDARY.match(content) and any(b'name="%b"' % mark.encode() in content for mark in marks):
            return kind
    return ""


def may_be_call(method: str, path: str, beginning: bytes) -> bool:
    """Return whether a request of which the beginning alone is known, or nothing, may be a model call."""
    if method != "POST":
        return False
    kinds = _find_kinds(path)
    quoted = [mark.removesuffix("{}").encode() for _, marks in kinds for mark in marks]
    is_plain = any(not marks for _, marks in kinds)
    return is_plain or (
        bool(kinds) and (not beginning or any(b'"%b"' % mark in beginning for mark in quoted))
    )


def _has(body: Mapping[str, Any], mark: str) -> bool:
    """Whether a body has a key; one that ends in braces has to hold an object."""
    name = mark.removesuffix("{}")
    return name in body and (name == mark or isinstance(body[name], dict))


@lru_cache(maxsize=256)
def _find_kinds(path: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The kinds of call that a path may be, each with its marks."""
    return tuple(
        (kind, reader.marks.get(kind, ()))
        for reader in READERS
        for pattern, kind in reader.patterns
        if pattern.match(path)
    )


def is_host(written: str, host: str, port: int | None) -> bool:
    """
    Return whether a request goes to a host as a golden file names it, `api.shop.example` or `localhost:8000`.

    A name without a port covers all ports. All names of this machine are the same host.
    """
    name, number = split_host(written)
    alike = _bare(name) == _bare(host) or (is_loopback(name) and is_loopback(host))
    return alike and (not number or int(number) == port or (port is None and int(number) in _USUAL_PORTS))


def name_place(host: str, port: int | None) -> str:
    """Return a host and its port as a golden file names them, `[2001:db8::1]:5432`."""
    named = f"[{host}]" if ":" in host else host
    return named if port is None else f"{named}:{port}"


def rule_of(place: str) -> str:
    """Return a place as YAML has it in a list: an IPv6 address in quotes, for its brackets begin another."""
    return f'"{place}"' if place.startswith("[") else place


def split_host(written: str) -> tuple[str, str]:
    """Return name and port of a host as a golden file names it; the port is empty where none is written."""
    name, _, number = written.rpartition(":")
    is_bare_ipv6 = ":" in name.strip("[]") and not name.startswith("[")
    return (written, "") if not number.isdecimal() or is_bare_ipv6 else (name, number)


def identify(host: str, port: int | None, path: str, content: bytes, kind: str = "") -> Identity:
    """Return the identity of a request of a kind, which its path tells if it is not given."""
    body = _parse(content)
    if body is _NO_JSON:
        if boundary := _BOUNDARY.match(content):  # drawn anew for each request
            content = content.replace(boundary[1], b"boundary")
        body = content.decode("utf-8", "surrogateescape")
    if kind == MCP:
        identity = identify_body(host, port, path, without_id(body), kind)
        return replace(identity, message_id=body.get("id"))
    return identify_body(host, port, path, body, kind)


def kind_of_listed(content: bytes) -> str:
    """Return the kind of a request that a golden file lists."""
    return MCP if is_message(_parse(content)) else OTHER


def identify_body(host: str, port: int | None, path: str, body: Any, kind: str = "") -> Identity:
    """Return the identity of a request whose body is a JSON value."""
    provider = LOOPBACK if is_loopback(host) else host if port is None else f"{host}:{port}"
    kind = kind or kind_of(path)
    return Identity(provider=provider, path=path, kind=kind, body=body, key=key_of(provider, path, body))


def place_of(provider: str, path: str) -> str:
    """`api.example.com/v1/chat`; of a request that a golden file lists, `POST api.example.com/rank`."""
    method, _, rest = ("", "", path) if path.startswith("/") else path.partition(" ")
    return f"{method} {provider}{rest}".lstrip()


def key_of(provider: str, path: str, body: Any) -> str:
    """SHA-256, in hex, of the canonical JSON of a call's parts: keys sorted, no spaces, ASCII."""
    # ASCII escapes give half a surrogate pair bytes too, which UTF-8 refuses.
    canonical = json.dumps([provider, path, body], sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode("ascii")).hexdigest()


def kind_of(path: str) -> str:
    """Return the kind of call by the end of its path; empty for no model call."""
    return next((kind for kind, _ in _find_kinds(path)), "")


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, where a call costs nothing."""
    host = _bare(host)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address  # `::ffff:127.0.0.1` of a socket for both
    return address.is_loopback or address.is_unspecified  # `0.0.0.0` is where a server here says that it is


_NO_JSON = object()


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return _NO_JSON


def _bare(host: str) -> str:
    return host.lower().rstrip(".").strip("[]")
