"""Arguments that end up in a command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reference_app.guardrails.calls.formats import is_hostname
from reference_app.safety.addresses import is_number, is_public, read_address
from reference_app.safety.urls import is_listed

_META = re.compile(r"[;|&`$<>(){}\[\]!*?~^#\\\"'\x00-\x1f\x7f]|[\u037e\uff1b\uff5c\uff06\uff04\uff40]")
_CHAINED = re.compile(r"[;|&`<>\x00\n\r]|\$[({A-Za-z_]|[\uff1b\uff5c\uff06\uff04\uff40]")


def find_host_fault(host: str, hosts: Sequence[str] | None = None) -> str:
    """
    Why the text is no host name that a command may get; empty if it is one.

    Args:
        hosts: Names, `*.example.org` or `.example.org` for all below; None allows every public host.
    """
    if _META.search(host) or any(one.isspace() for one in host):
        return "the host contains characters that a shell reads"
    if not is_hostname(host):
        address = read_address(host.strip("[]"))
        if address is None:
            return "the host is no plain host name"
    name = host.lower().removesuffix(".")
    if hosts is not None:
        listed = [one.lower().removeprefix("*") for one in hosts]
        return "" if is_listed(name, listed) else "the host is not in the list"
    address = read_address(name.strip("[]"))
    if (is_number(name) and address is None) or (address is not None and not is_public(address)):
        return "the host is a private or hidden address"
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal", ".localdomain")):
        return "the host is private"
    return ""


def find_command_fault(text: str, *, whole: bool = False) -> str:
    """
    Why the text may not be part of a command line; empty if it may.

    Args:
        whole: Whether the text is the command itself, in which options are fine.
    """
    if _CHAINED.search(text):
        return "the value contains characters that chain or redirect commands"
    if not whole and text.lstrip().startswith("-"):
        return "the value would be read as an option"
    return ""
