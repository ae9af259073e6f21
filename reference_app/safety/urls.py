"""Which URLs a tool may ask, decided before anything is sent and again for the address it is sent to."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes, urlsplit

from reference_app.safety import RefusedError
from reference_app.safety.addresses import Address, is_number, is_public, read_address

MAX_URL_CHARACTERS = 2048
PORTS = {"http": 80, "https": 443}

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_PORT = re.compile(r"[0-9]{1,5}")
_BAD_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_HIDDEN_BACKSLASH = re.compile(r"%5[cC]")
_DOTS = re.compile(r"/\.{1,2}(?:/|$)")
_FOREIGN_DOTS = re.compile("[\u3002\uff0e\uff61]")

Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """
    What may be asked.

    Attributes:
        hosts: Names in lower case, ASCII or not; `.example.org` stands for every host below example.org.
        ports: Of both schemes.
        loopback: Whether addresses of this machine are fine. For tests with a server of their own.
    """

    hosts: tuple[str, ...]
    ports: frozenset[int] = frozenset(PORTS.values())
    loopback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    A URL taken to pieces; it is put together again from these, so nothing else of the text is ever sent.

    Attributes:
        host: In ASCII and lower case, without brackets.
        path: Begins with a slash, holds the query and is percent-encoded.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address the system's resolver knows for the host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RefusedError("The URL is refused: its host is not known.") from error
    return [str(address[0]) for *_, address in found]


def read_url(url: str, allowed: Allowed) -> Target:
    """
    Take a URL to pieces, by rules narrower than those of any program that may read it later.

    Raises:
        RefusedError: It is no plain http or https URL, or its host or port is not in the list.
    """
    target = parse_url(url)
    if target.port not in allowed.ports:
        raise _refusal("its port is not in the list")
    if not is_listed(target.host, allowed.hosts):
        raise _refusal("its host is not in the list")
    return target


def parse_url(url: str) -> Target:
    """
    The pieces of a URL of any host.

    Raises:
        RefusedError: It is no plain http or https URL.
    """
    if len(url) > MAX_URL_CHARACTERS:
        raise _refusal(f"it is longer than {MAX_URL_CHARACTERS} characters")
    if any(character <= " " or character in "\\\x7f" or not character.isprintable() for character in url):
        raise _refusal("it holds spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _refusal("it is no valid URL") from error
    if parts.scheme not in PORTS or not url.lower().startswith(f"{parts.scheme}://"):
        raise _refusal("only http:// and https:// are allowed")
    host, port = _split(parts.netloc)
    return Target(
        scheme=parts.scheme,
        host=_read_host(host),
        port=PORTS[parts.scheme] if port is None else port,
        path=_read_path(parts.path or "/", parts.query),
    )


def find_address(target: Target, allowed: Allowed, ask: Resolve = resolve) -> Address:
    """
    The address to connect to; who connects to it and to no other is not led elsewhere by a later answer.

    Raises:
        RefusedError: The host has no address, or any of its addresses is not on the public internet.
    """
    literal = read_address(target.host)
    found = [literal] if literal else [read_address(answer) for answer in ask(target.host, target.port)]
    safe = [one for one in found if one and (is_public(one) or (allowed.loopback and one.is_loopback))]
    if not safe or len(safe) < len(found):
        raise _refusal("its host has an address that is not on the public internet")
    return safe[0]


def is_listed(host: str, hosts: Sequence[str]) -> bool:
    """Whether a host in ASCII is one of the list's, or below one that begins with a dot."""
    for listed in hosts:
        below, name = listed.startswith("."), listed.removeprefix(".")
        name = name if name.isascii() else _to_ascii(name)
        if host.endswith("." + name) if below else host == name:
            return True
    return False


def _refusal(reason: str) -> RefusedError:
    return RefusedError(f"The URL is refused: {reason}.")


def _split(netloc: str) -> tuple[str, int | None]:
    """Host and port of what stands between the slashes."""
    if "@" in netloc:
        raise _refusal("it names a user")
    if "%" in netloc:
        raise _refusal("its host is percent-encoded or has a zone")
    host, colon, port = netloc.rpartition(":") if not netloc.endswith("]") else (netloc, "", "")
    if not colon:
        return netloc, None
    if not _PORT.fullmatch(port):
        raise _refusal("its port is no number")
    return host, int(port)


def _read_host(host: str) -> str:
    """The host in ASCII, if it is an address in plain form or a name."""
    if host.startswith("[") and host.endswith("]"):
        if (address := read_address(host[1:-1])) is None:
            raise _refusal("its host is no address")
        return str(address)
    if _FOREIGN_DOTS.search(host):
        raise _refusal("its host is no plain name")
    name = host.lower() if host.isascii() else _to_ascii(host)
    name = name.removesuffix(".")  # which says that the name is complete, and is not sent
    if is_number(name):
        if read_address(name) is None:
            raise _refusal("its host is a number that hides an address")
        return name
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):  # noqa: PLR2004 - of DNS
        raise _refusal("its host is no plain name")
    return name


def _to_ascii(name: str) -> str:
    """By IDNA 2008 without mapping, so that a letter which merely looks like another never becomes it."""
    import idna

    try:
        return idna.encode(name).decode()
    except idna.IDNAError as error:
        raise _refusal("its host is no name that can be registered") from error


def _resolve_dots(path: str) -> str:
    """The path without `.` and `..`, as browsers send it; one that climbs out of the site stays as it is."""
    parts: list[str] = []
    for part in path.split("/")[1:]:
        if part == ".." and not parts:
            return path
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    if path.endswith(("/.", "/..")) and parts:
        parts.append("")
    return "/" + "/".join(parts)


def _read_path(path: str, query: str) -> str:
    if _BAD_PERCENT.search(path + query):
        raise _refusal("it is percent-encoded wrongly")
    if any(byte < 32 or byte == 127 for byte in unquote_to_bytes(path + query)):  # noqa: PLR2004 - control characters
        raise _refusal("it hides control characters")
    path = _resolve_dots(path)
    decoded = re.sub(r"%2[fF]", "/", re.sub(r"%2[eE]", ".", path))
    if _DOTS.search(decoded) or _HIDDEN_BACKSLASH.search(path):
        raise _refusal("its path climbs or hides a backslash")
    sent = quote(path, safe="/%:@!$&'()*+,;=~-._")
    return f"{sent}?{quote(query, safe='/%:@!$&()*+,;=~-._?[]')}" if query else sent
