"""Whether a tool may ask for a URL, by the policy's hosts or, without any, by where the URL leads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from reference_app.guardrails.calls.request import read_list
from reference_app.guardrails.calls.values import list_words
from reference_app.safety import RefusedError
from reference_app.safety.addresses import is_number, is_public, read_address
from reference_app.safety.urls import PORTS, Target, is_listed, parse_url

MAX_DECODINGS = 3
_LEADS = re.compile(r"\s*(?:https?|ftp|file|gopher|javascript|data|vbscript|ldap|dict)\s*:", re.IGNORECASE)
_ELSEWHERE = re.compile(r"\s*(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}:|[/\\]{2})")
_IN_PATH = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}:/|/[/\\][\w-]+\.[a-zA-Z]{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """
    Where a tool may go.

    Attributes:
        hosts: `*.example.org` or `.example.org` stands for all below; None for every public host.
        redirects: Whether the URL may name another site to be sent on to.
    """

    hosts: tuple[str, ...] | None = None
    schemes: tuple[str, ...] = tuple(PORTS)
    ports: frozenset[int] = frozenset(PORTS.values())
    redirects: bool = False


def read_sites(policy: Mapping[str, Any]) -> Sites:
    """The sites of a policy; what it does not mention is as wide as the defaults of `Sites`."""
    lists = {name: read_list(policy.get(name)) for name in ("hosts", "schemes", "ports")}
    wide = Sites()
    return Sites(
        hosts=None
        if lists["hosts"] is None
        else tuple(host.lower().removeprefix("*").removesuffix(".") for host in lists["hosts"]),
        schemes=wide.schemes if lists["schemes"] is None else tuple(map(str.lower, lists["schemes"])),
        ports=wide.ports
        if lists["ports"] is None
        else frozenset(int(port) for port in lists["ports"] if port.isdecimal()),
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
    if target.port not in sites.ports:
        return "its port is not in the list"
    if fault := find_host_fault(target.host, sites.hosts):
        return fault
    return "it sends on to another site" if not sites.redirects and _sends_on(target, sites) else ""


def find_host_fault(host: str, hosts: tuple[str, ...] | None) -> str:
    """Why the host may not be reached; `hosts` begin with a dot for all below, None allows public ones."""
    name = host.lower().removesuffix(".")
    if hosts is not None:
        return "" if is_listed(name, hosts) else "its host is not in the list"
    address = read_address(name.strip("[]"))
    if is_number(name) and address is None:
        return "its host is a number that hides an address"
    if address is not None:
        return "" if is_public(address) else "its host is a private address"
    return (
        "its host is private" if "." not in name or f".{name}".endswith(tuple(list_words("private"))) else ""
    )


def _sends_on(target: Target, sites: Sites) -> bool:
    path, _, query = target.path.partition("?")
    if _IN_PATH.search(_decode(path)):
        return True
    for pair in re.split(r"[&;]", query):
        name, _, value = pair.partition("=")
        value = _decode(value)
        if _decode(name).lower() in list_words("searching") or not _ELSEWHERE.match(value):
            continue
        if re.match(r"\s*[/\\]", value):
            value = "https:" + value.strip().replace("\\", "/")
        try:
            onward = parse_url(value)
        except RefusedError:
            if "://" in value or _LEADS.match(value):
                return True
            continue  # a word with a colon, such as `a:b`
        if sites.hosts is None or not is_listed(onward.host, sites.hosts):
            return True
    return False


def _decode(text: str) -> str:
    for _ in range(MAX_DECODINGS):
        text = unquote(text)
    return re.sub(r"[\t\n\r]", "", text)
