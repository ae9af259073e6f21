"""Secrets: private keys, tokens, vendors' keys by shape, passwords in addresses, and what a label names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from pytest_llmops.detect.recognizers.secrets.labelled import find_labelled_secrets, is_placeholder
from pytest_llmops.detect.recognizers.secrets.shapes import SECRET_SHAPES

_FEWEST_CHARS = 5  # of which a key is made
_EXAMPLE = re.compile(r"(?i)x{6}|your[-_]")
_Pattern = tuple[str, str, re.Pattern[str]]
_GRAVE: tuple[_Pattern, ...] = (
    (
        "PRIVATE_KEY",
        "PRIVATE KEY",
        re.compile(
            # To its end, to the next key, or to the end of the text: a key that was cut off is one, too.
            r"-{4,5} ?BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)? ?-{4,5}(?P<value>[\s\S]+?)"
            r"(?=-{4,5} ?(?:BEGIN|END) [A-Z0-9 ]{1,40}-{4}|\Z)"
        ),
    ),
    (
        "JWT",
        "eyJ",
        re.compile(r"(?<![\w.-])(?P<value>eyJ[\w-]{8,4000}\.eyJ[\w-]{8,4000}\.[\w-]{8,1000})"),
    ),
)
_IN_URLS: tuple[_Pattern, ...] = (
    (
        "API_KEY",
        "=",
        re.compile(
            r"[?&](?i:(?:access_|auth_|id_|refresh_)?token|api_?key|(?:client_)?secret|sig|signature|password|pwd)="
            r"(?P<value>[^&\s\"'<>#]{6,400})"
        ),
    ),
    (
        "PASSWORD_IN_URL",
        "://",
        re.compile(
            r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,100}:"
            r"(?P<value>(?![*xX]{2,}@|<[^@]{0,80}>@|\$?\{[^@]{0,80}\}@|\$[A-Z_]{2,40}@)[^\s/@\"'<>]{1,100})@[\w.\[-]"
        ),
    ),
)


def find_credentials(text: str) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of each secret, the graver kind first; kinds may overlap."""
    yield from _find(_GRAVE, text)
    for _, mark, shape in SECRET_SHAPES:
        if mark in text:
            for match in _compiled(shape).finditer(text):
                if len(set(match[0])) >= _FEWEST_CHARS and not _EXAMPLE.search(match[0]):
                    yield "API_KEY", *match.span()
    yield from _find(_IN_URLS, text)
    yield from find_labelled_secrets(text)


def _find(patterns: Sequence[_Pattern], text: str) -> Iterator[tuple[str, int, int]]:
    for kind, mark, pattern in patterns:
        if mark in text:
            for match in pattern.finditer(text):
                if kind != "API_KEY" or not is_placeholder(match["value"]):
                    yield kind, match.start("value"), match.end("value")


@cache
def _compiled(shape: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{shape})(?![A-Za-z0-9])")
