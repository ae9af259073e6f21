"""Every text in a span or a JSON value, with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, Protocol

from pytest_llmops.records import Span

_DEEPEST = 64  # levels of nesting, of JSON inside strings too; deeper values are read as one text
_JSON_STARTS = ("{", "[", '"')
_JSON_WORDS = ("true", "false", "null", "-")
_ESCAPE = 6  # characters of `\u00e9`
_OURS = frozenset({"start", "end", "origin"})
_IDS = frozenset({"span_id", "parent_id", "trace_id"})
_RANDOM_ID = re.compile(r"(?:[0-9a-f]{16}){1,2}")  # as OpenTelemetry draws them; an app cannot choose them


def walk(value: Any) -> Iterator[tuple[str, str]]:
    """
    Yield JSON pointer and text of every string, key and number in a value; of a span, all fields but the
    times, the origin and its random ids, one of which in 80,000 looks like a card number.

    A key has the place of its value. A string of JSON gives the texts in it, with places below its own, and
    all values of a repeated key.
    """
    if isinstance(value, Span):
        for field in fields(value):
            part = getattr(value, field.name)
            if field.name not in _OURS and not (field.name in _IDS and _RANDOM_ID.fullmatch(part or "")):
                yield from _walk(part, f"/{field.name}", 1)
    else:
        yield from _walk(value, "", 0)


class _Pairs(tuple[tuple[str, Any], ...]):
    """A JSON object as written, with all values of a repeated key."""

    __slots__ = ()


def _walk(value: Any, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        inner = _parse(value) if depth < _DEEPEST else None
        if inner is None:
            yield pointer, value
        else:
            yield from _walk(inner, pointer, depth + 1)
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, Mapping | _Pairs) and depth < _DEEPEST:
        for key, item in value.items() if isinstance(value, Mapping) else value:
            below = f"{pointer}/{escape(str(key))}"
            yield below, str(key)
            yield from _walk(item, below, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        for at, item in enumerate(value):
            yield from _walk(item, f"{pointer}/{at}", depth + 1)
    elif isinstance(value, bytes):
        yield pointer, value.decode(errors="replace")
    else:
        yield pointer, str(value)


class Change(Protocol):
    """Returns the replacement of a text; the label, such as `ssn: ` or nothing, is read before the text."""

    def __call__(self, text: str, /, *, label: str) -> str: ...


def rewrite(value: Any, change: Change, label: str = "", depth: int = 0) -> Any:
    """
    Return a value of mappings, lists, strings and numbers with every text changed that `walk` yields.

    Args:
        change: Gets each text with its key as the label. A number stays a number, and a string of JSON is
            left as written, unless something changed.
        depth: Levels of nesting above the value.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        inner = _parse(value) if depth < _DEEPEST else None
        if inner is None:
            return change(value, label=label)
        touched = []

        def note(text: str, /, *, label: str) -> str:
            new = change(text, label=label)
            touched.append(new != text)
            return new

        rewritten = rewrite(inner, note, label, depth + 1)
        return json.dumps(rewritten, ensure_ascii=False) if any(touched) else value
    if isinstance(value, Mapping | _Pairs) and depth < _DEEPEST:
        items = value.items() if isinstance(value, Mapping) else value
        return {
            change(str(key), label=""): rewrite(item, change, f"{key}: ", depth + 1) for key, item in items
        }
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [rewrite(item, change, label, depth + 1) for item in value]
    text = str(value)
    changed = change(text, label=label)
    return value if changed == text and isinstance(value, int | float) else changed


def _parse(text: str) -> Any:
    """Read a JSON object, list or string, its numbers as written; None for anything else."""
    if not text.lstrip().startswith(_JSON_STARTS):
        return None
    try:
        return json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None


def is_cut_json(text: str) -> bool:
    """Return whether a text begins as a JSON object or list and ends before that does."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        rest = text[error.pos :].rstrip()
        in_string = error.msg.startswith("Unterminated string") or (
            "escape" in error.msg and len(rest) <= _ESCAPE
        )
        return in_string or any(word.startswith(rest) for word in _JSON_WORDS)
    except (ValueError, RecursionError):
        return False
    return False


def label_of(pointer: str, text: str) -> str:
    """Return `ssn: ` of a text at `/attributes/ssn/0`: its nearest key, unless the text is that key."""
    key = _nearest_key(pointer)
    return f"{key}: " if key and key != text else ""


@lru_cache(maxsize=1000)  # spans of one kind have their texts at the same places
def _nearest_key(pointer: str) -> str:
    return next((step for step in reversed(pointer.split("/")) if step and not step.isdigit()), "")


def escape(key: str) -> str:
    """Write a key as a step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def unescape(step: str) -> str:
    """Read the key from a step of a JSON pointer."""
    return step.replace("~1", "/").replace("~0", "~")
