"""Arguments that end up in a command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reference_app.guardrails.calls import urls
from reference_app.guardrails.calls.schema import has_format
from reference_app.safety.addresses import read_address

_WIDE = "\u037e\uff1b\uff5c\uff06\uff04\uff40"  # look like what a shell reads
_META = re.compile(rf"[;|&`$<>(){{}}\[\]!*?~^#\\\"'\x00-\x1f\x7f\s{_WIDE}]")
_CHAINED = re.compile(rf"[;|&`<>\x00\n\r{_WIDE}]|\$[({{A-Za-z_]")


def find_host_fault(host: str, hosts: Sequence[str] | None = None) -> str:
    """
    Why the text is no host name that a command may get; empty if it is one.

    Args:
        hosts: Names, `*.example.org` or `.example.org` for all below; None allows every public host.
    """
    if not has_format("hostname", host) and (
        _META.search(host.strip("[]")) or read_address(host.strip("[]")) is None
    ):
        return "the value is no plain host name"
    listed = None if hosts is None else tuple(name.lower().removeprefix("*") for name in hosts)
    return urls.find_host_fault(host, listed)


def find_command_fault(text: str, *, whole: bool = False) -> str:
    """
    Why the text may not be part of a command line; empty if it may.

    Args:
        whole: Whether the text is the command itself, in which options are fine.
    """
    if _CHAINED.search(text):
        return "the value contains characters that chain or redirect commands"
    return "the value would be read as an option" if not whole and text.lstrip().startswith("-") else ""
