"""Records as JSON that people can review."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

# Controls, bidi overrides, zero width, tags and lone surrogates: only within JSON strings can they occur.
_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_LEAVES = {str, int, float, bool, type(None)}


def dump_json(value: Any, indent: int | None = None) -> str:
    """
    Write a value as JSON without invisible characters.

    Raises:
        TypeError, ValueError: JSON has no such value.
    """
    text = _escape(json.dumps(value, ensure_ascii=False, allow_nan=False))
    return text if indent is None else lay_out(text, indent)


def lay_out(text: str, indent: int) -> str:
    """Indent the JSON of `dump_json`, as `json` does it, whose fast encoder takes no indent."""
    import msgspec

    try:
        return msgspec.json.format(text, indent=indent)
    except msgspec.DecodeError:  # of half a surrogate pair
        return _escape(json.dumps(json.loads(text), indent=indent, ensure_ascii=False))


def _escape(text: str) -> str:
    return _UNSEEN.sub(lambda match: json.dumps(match[0])[1:-1], text)


def plain(value: Any) -> Any:
    """Convert records to mappings of their fields, at any depth."""
    kind: Any = type(value)
    if kind in _LEAVES:
        return value
    if names := _field_names(kind):
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value


@lru_cache(maxsize=256)
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
