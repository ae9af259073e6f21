"""Secrets by their shape: vendors' keys, tokens, private keys, passwords inside addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

_KEY_SHAPES = (
    r"sk-[\w-]{20,200}",  # OpenAI, Anthropic
    r"[sprw]k_(?:live|test)_[A-Za-z0-9]{16,120}",  # Stripe
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # AWS
    r"gh[opsur]_[A-Za-z0-9]{30,255}",  # GitHub
    r"github_pat_\w{40,255}",
    r"glpat-[\w-]{20,60}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,250}",  # Slack
    r"AIza[\w-]{35}",  # Google
    r"ya29\.[\w-]{20,300}",
    r"hf_[A-Za-z]{30,60}",  # Hugging Face
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[\w-]{50,300}",
    r"SG\.[\w-]{16,40}\.[\w-]{30,60}",  # SendGrid
    r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}",  # LangSmith
    r"dapi[0-9a-f]{32}",  # Databricks
)
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "PRIVATE_KEY",
        re.compile(
            # To its end, to the next key, or to the end of the text: a key that was cut off is one, too.
            r"-{4,5} ?BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)? ?-{4,5}(?P<value>[\s\S]+?)"
            r"(?=-{4,5} ?(?:BEGIN|END) [A-Z0-9 ]{1,40}-{4}|\Z)"
        ),
    ),
    ("JWT", re.compile(r"(?<![\w.-])(?P<value>eyJ[\w-]{8,4000}\.eyJ[\w-]{8,4000}\.[\w-]{8,1000})")),
    ("API_KEY", re.compile(rf"(?<![A-Za-z0-9])(?P<value>{'|'.join(_KEY_SHAPES)})(?![A-Za-z0-9])")),
    (
        "API_KEY",
        re.compile(
            r"(?i:\bbearer|\bauthorization|\b\w{0,30}api[_-]?key|\b\w{0,30}secret(?:[_-]?key)?|access[_-]?token)"
            r"[\"']?(?:\s{0,3}[:=]\s{0,3}|\s)(?i:bearer\s{1,3})?[\"']?"
            r"(?P<value>(?=[\w./+~-]{0,60}\d)(?=[\w./+~-]{0,60}[A-Za-z])[\w./+~-]{20,4000}=*)"
        ),
    ),
    (
        "API_KEY",
        re.compile(
            r"[?&](?i:(?:access_|auth_|id_|refresh_)?token|api_?key|(?:client_)?secret|sig|signature|password|pwd)="
            r"(?P<value>[^&\s\"'<>#]{6,400})"
        ),
    ),
    (
        "PASSWORD_IN_URL",
        re.compile(
            r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,100}:"
            r"(?P<value>(?![*xX]{2,}@|[<${])[^\s/@\"'<>]{1,100})@[\w.\[-]"
        ),
    ),
)
# What must stand in a text before a pattern is worth a pass over it.
_MARKS = {"PRIVATE_KEY": "PRIVATE KEY", "JWT": "eyJ", "PASSWORD_IN_URL": "://"}


def find_credentials(text: str) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of each secret, those of one kind in order; kinds may overlap."""
    for kind, pattern in _PATTERNS:
        if _MARKS.get(kind, "") in text:
            for match in pattern.finditer(text):
                yield kind, match.start("value"), match.end("value")
