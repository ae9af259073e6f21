"""Parts of a decoded body: JSON with its repeated keys, ids, times, and fields that no format knows."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pytest_llmops.errors import LLMOpsError

OTHER = "other fields"
"""Name of the event that holds fields unknown to a format."""

_ID_BYTES = frozenset({8, 16})  # of a span, of a trace
_HEX_ID = re.compile(r"(?:[0-9a-fA-F]{16}){1,2}")
_NANOSECONDS = 1e9
_MILLISECONDS = 1e3
_FIRST_MILLISECOND = 1e11  # as seconds it is the year 5138


class DecodingError(LLMOpsError):
    """A body is not in the format that it should have, so that none of it can be read."""


def parse_body(text: str | bytes) -> Any:
    """
    Parse JSON; of a key that an object has twice both values stay, the earlier under `key (1)`.

    Raises:
        DecodingError: It is no JSON, or nested too deep to be read.
    """
    try:
        return json.loads(text, object_pairs_hook=_keep_all)
    except (ValueError, RecursionError) as error:
        raise DecodingError(f"it is no JSON ({type(error).__name__})") from None  # which may quote the text


def _keep_all(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return merge_pairs(pairs) if len({key for key, _ in pairs}) < len(pairs) else dict(pairs)


def merge_pairs(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a mapping, the last value of a key under the key itself."""
    merged: dict[str, Any] = {}
    for key, value in pairs:
        if key in merged:
            number = 1
            while f"{key} ({number})" in merged:
                number += 1
            merged[f"{key} ({number})"] = merged[key]
        merged[key] = value
    return merged


def mappings(value: Any, others: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings of a list; its other items are added to the others."""
    items = value if isinstance(value, list | tuple) else () if value is None else (value,)
    for item in items:
        if isinstance(item, Mapping):
            yield item
        else:
            others.append(item)


def others_event(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return an event of fields that no format knows; none where all of them are empty."""
    filled = {key: value for key, value in fields.items() if value not in (None, "", [], {}, ())}
    return [{"name": OTHER, "attributes": filled}] if filled else []


def read_trace_id(value: Any) -> str:
    """Return an id in small hexadecimal, as OpenTelemetry and UUIDs are written; other text as it is."""
    if not isinstance(value, str):
        return "" if value is None else str(value)
    if _HEX_ID.fullmatch(value):
        return value.lower()
    return read_uuid(value) or _from_base64(value) or value


def is_trace_id(value: Any) -> bool:
    """Return whether a value is the id of a trace or of a span, and so no text."""
    return _HEX_ID.fullmatch(read_trace_id(value)) is not None


def read_uuid(value: Any) -> str:
    """Return a UUID in 32 digits; an empty text for any other value."""
    try:
        return UUID(value).hex if isinstance(value, str) and len(value) in {32, 36} else ""
    except ValueError:
        return ""


def _from_base64(value: str) -> str:
    """Return an id that was written as Protobuf's own JSON has it."""
    try:
        digits = base64.b64decode(value, validate=True) if value.endswith("=") else b""
    except (binascii.Error, ValueError):
        return ""
    return digits.hex() if len(digits) in _ID_BYTES else ""


def read_nanoseconds(value: Any) -> float | None:
    """Return seconds since the epoch, of a whole number or its digits; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value) / _NANOSECONDS
    except (ValueError, OverflowError):
        return None


def take_time(fields: dict[str, Any], key: str, read: Callable[[Any], float | None]) -> float:
    """Take a time, in seconds, out of the fields; a value that is no time stays there, and 0 is returned."""
    seconds = read(fields.get(key))
    if seconds is not None:
        del fields[key]
    return seconds or 0.0


def read_time(value: Any) -> float | None:
    """Return seconds since the epoch, of ISO 8601, seconds or milliseconds; None for any other value."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    if not math.isfinite(seconds):
        return None
    return seconds / _MILLISECONDS if seconds > _FIRST_MILLISECOND else seconds
