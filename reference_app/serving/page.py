"""The page, and the policy that lets a browser run what is in it and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parent / "page.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    Attributes:
        policy: The Content-Security-Policy; names style and script by their hashes.
    """

    content: str
    policy: str


def open_page() -> Page:
    content = FILE.read_text("utf-8")
    return Page(
        content=content,
        policy="; ".join(
            (
                "default-src 'none'",
                f"script-src {_hash(content, 'script')}",
                f"style-src {_hash(content, 'style')}",
                "connect-src 'self'",
                "img-src data:",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            )
        ),
    )


def _hash(content: str, element: str) -> str:
    (text,) = re.findall(rf"<{element}>(.*?)</{element}>", content, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
