"""Whether a tool may ask for a URL, by the policy's hosts or, without any, by where the URL leads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from reference_app.guardrails.calls.request import read_list
from reference_app.safety import RefusedError
from reference_app.safety.addresses import is_number, is_public, read_address
from reference_app.safety.urls import PORTS, Target, is_listed, parse_url

# Arguments whose value is a text to find; a URL there is a word and leads nowhere.
SEARCH = frozenset(
    ["q", "query", "search", "s", "term", "text", "keyword", "keywords", "filter", "title", "name"]
)
MAX_DECODINGS = 3

_PRIVATE_NAMES = (
    ".localhost",
    ".local",
    ".internal",
    ".localdomain",
    ".intranet",
    ".lan",
    ".corp",
    ".home.arpa",
)
_DNS_OF_ADDRESSES = (
    ".nip.io",
    ".sslip.io",
    ".xip.io",
    ".localtest.me",
    ".lvh.me",
    ".vcap.me",
    ".lacolhost.com",
)
_ELSEWHERE = re.compile(r"\s*(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}:|[/\\]{2})")
_LEADS = re.compile(r"\s*(?:https?|ftp|file|gopher|javascript|data|vbscript|ldap|dict)\s*:", re.IGNORECASE)
_IN_PATH = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}:/|/[/\\][\w-]+\.[a-zA-Z]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """
    Where a tool may go.

    Attributes:
        hosts: `*.example.org` or `.example.org` stands for all below; None for every public host.
        schemes: Of `http` and `https`.
        ports: None for those of the schemes.
        redirects: Whether the URL may name another site to be sent on to.
    """

    hosts: tuple[str, ...] | None = None
    schemes: tuple[str, ...] = ("http", "https")
    ports: frozenset[int] | None = None
    redirects: bool = False


def read_sites(policy: Mapping[str, Any]) -> Sites:
    """The sites of a policy; what it does not mention is as wide as the defaults of `Sites`."""
    hosts, ports = read_list(policy.get("hosts")), read_list(policy.get("ports"))
    schemes = read_list(policy.get("schemes"))
    return Sites(
        hosts=tuple(_as_listed(host) for host in hosts) if hosts is not None else None,
        schemes=tuple(scheme.lower() for scheme in schemes) if schemes is not None else tuple(PORTS),
        ports=frozenset(int(port) for port in ports if port.isdecimal()) if ports is not None else None,
        redirects=policy.get("open_redirects") is True,
    )


def find_url_fault(url: str, sites: Sites) -> str:
    """Why the URL may not be asked for; empty if it may."""
    text = url if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", url) or url.startswith("//") else f"https://{url}"
    try:
        target = parse_url(text)
    except RefusedError as error:
        return str(error).removeprefix("The URL is refused: ").rstrip(".")
    if target.scheme not in sites.schemes:
        return "its scheme is not in the list"
    if target.port not in (sites.ports if sites.ports is not None else frozenset(PORTS.values())):
        return "its port is not in the list"
    if fault := _find_host_fault(target.host, sites):
        return fault
    return "" if sites.redirects else _find_redirect(target, sites)


def _as_listed(host: str) -> str:
    return host.lower().removeprefix("*").removesuffix(".")


def _find_host_fault(host: str, sites: Sites) -> str:
    if sites.hosts is not None:
        return "" if is_listed(host, sites.hosts) else "its host is not in the list"
    address = read_address(host)
    if address is not None:
        return "" if is_public(address) else "its host is a private address"
    if is_number(host):
        return "its host is a number that hides an address"
    if "." not in host or f".{host}".endswith((*_PRIVATE_NAMES, *_DNS_OF_ADDRESSES)):
        return "its host is private"
    return ""


def _find_redirect(target: Target, sites: Sites) -> str:
    path, _, query = target.path.partition("?")
    if _IN_PATH.search(_decode(path)):
        return "its path leads to another site"
    for pair in re.split(r"[&;]", query):
        name, _, value = pair.partition("=")
        value = _decode(value)
        if _decode(name).lower() in SEARCH or not _ELSEWHERE.match(value):
            continue
        if re.match(r"\s*[/\\]", value):
            value = "https:" + value.strip().replace("\\", "/")
        try:
            onward = parse_url(value)
        except RefusedError:
            if "://" in value or _LEADS.match(value):
                return "it sends on to another site"
            continue  # a word with a colon, such as `a:b`
        if sites.hosts is None or not is_listed(onward.host, sites.hosts):
            return "it sends on to another site"
    return ""


def _decode(text: str) -> str:
    for _ in range(MAX_DECODINGS):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    return text.replace("\t", "").replace("\n", "").replace("\r", "")
