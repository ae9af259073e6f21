"""
What the YAML of a cassette says, kept as JSON in the cache: it is read some thirty times as fast.

An entry counts only for the very text it was made of, so an edited cassette is parsed anew. A committed
cassette is always parsed: no file outside the review may stand for it.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_llmops import cache

_KIND = "cassette"


def recall(path: Path, text: str) -> Any:
    """What the text says, if the cache knows; else None."""
    if not cache.is_at_home(path):
        return None
    key = _key(path)
    entry = cache.read(_KIND, [key]).get(key, b"")
    digest = _digest(text)
    if not entry.startswith(digest):
        return None
    try:
        return json.loads(entry[len(digest) :])
    except ValueError:
        return None


def remember(path: Path, text: str, document: Any) -> None:
    """Keep what the text says; what JSON would change, such as a date, is left out."""
    if not cache.is_at_home(path):
        return
    try:
        written = json.dumps(document)
        if json.loads(written) != document:
            return
    except (TypeError, ValueError, RecursionError):
        return
    cache.write(_KIND, {_key(path): _digest(text) + written.encode("ascii")})


def _key(path: Path) -> bytes:
    """One entry a file, so that what a file said earlier takes no room."""
    return cache.key_of(str(path))


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8")).digest()
