"""Texts of judges and endpoints as they may be shown: masked while they are whole, then cut."""

from __future__ import annotations

import re

from pytest_llmops.detect.mask import mask
from pytest_llmops.printable import printable

# As JSON and Python write what a line cannot hold; left so, `\n` would hide where a key begins.
_ESCAPE = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([nrtbf"'/\\]))""")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def quote(text: str, limit: int) -> str:
    """What was said, as an error tells it: masked, on one line, and cut after about `limit` characters."""
    return printable(mask(_ESCAPE.sub(_unescaped, text)), limit)


def _unescaped(found: re.Match[str]) -> str:
    if digits := found[1] or found[2]:
        return chr(int(digits, 16))
    return _ESCAPED.get(found[3], found[3])
