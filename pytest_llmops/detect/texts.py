"""Every text in a span or a JSON value, with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, Protocol

from pytest_llmops.detect.labels import Names, Pairs, label_of, name_items, name_rows
from pytest_llmops.records import Span

_DEEPEST = 64  # levels of nesting, of JSON inside strings too; deeper values are read as one text
_JSON_STARTS = ("{", "[", '"')
_JSON_WORDS = ("true", "false", "null", "-")
_ESCAPE = 6  # characters of `\u00e9`
_OURS = frozenset({"start", "end", "origin", "repeat"})
IDS = frozenset({"span_id", "parent_id", "trace_id"})
_RANDOM_ID = re.compile(r"(?:[0-9a-f]{16}){1,2}")  # as OpenTelemetry draws them; an app cannot choose them


class Text(NamedTuple):
    """A text, its JSON pointer, and its name: the nearest key, or what is paired with it; none for a key."""

    pointer: str
    name: str
    text: str

    @property
    def label(self) -> str:
        """Return `ssn: ` of an attribute `ssn`, to be read before the text: it may show a number's kind."""
        return label_of(self.name)


def walk(value: Any, pointer: str = "", names: Names = "") -> Iterator[Text]:
    """
    Yield every string, key and number in a value; of a span, all fields but the times, the origin and its
    random ids, one of which in 80,000 looks like a card number.

    A key has the place of its value. A string of JSON gives the texts in it, with places below its own, and
    all values of a repeated key. A text has the name of its key, or the one that is paired with it.

    Args:
        pointer: The place of the value.
        names: Its key.
    """
    if isinstance(value, Span):
        for field in fields(value):
            part = getattr(value, field.name)
            if field.name not in _OURS and not (field.name in IDS and is_random_id(part or "")):
                yield from _walk(part, f"{pointer}/{field.name}", field.name, 1)
    else:
        yield from _walk(value, pointer, names, 0)


def is_random_id(text: str) -> bool:
    """Return whether an id is one that OpenTelemetry draws, and no text that an app chose."""
    return bool(_RANDOM_ID.fullmatch(text))


def _walk(value: Any, pointer: str, names: Names, depth: int) -> Iterator[Text]:
    if isinstance(value, str):
        inner = _parse(value) if depth < _DEEPEST else None
        if inner is None:
            yield Text(pointer, _name(names), value)
        else:
            yield from _walk(inner, pointer, names, depth + 1)
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, Mapping | Pairs) and depth < _DEEPEST:
        for key, item, names_below in name_items(value, names):
            below = f"{pointer}/{escape(key)}"
            yield Text(below, "", key)
            yield from _walk(item, below, names_below, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < _DEEPEST:
        for at, (item, names_below) in enumerate(name_rows(value, names)):
            yield from _walk(item, f"{pointer}/{at}", names_below, depth + 1)
    elif isinstance(value, bytes):
        yield Text(pointer, _name(names), value.decode(errors="replace"))
    else:
        yield Text(pointer, _name(names), str(value))


def _name(names: Names) -> str:
    return names if isinstance(names, str) else ""


class Change(Protocol):
    """Returns the replacement of a text; the label, such as `ssn: ` or nothing, is read before the text."""

    def __call__(self, text: str, /, *, label: str) -> str: ...


def rewrite(value: Any, change: Change, names: Names = "", depth: int = 0) -> Any:
    """
    Return a value of mappings, lists, strings and numbers with every text changed that `walk` yields.

    Args:
        change: Gets each text with its label, as `walk` yields it. A number stays a number, and a string of
            JSON is left as written, unless something changed.
        names: The key of the value.
        depth: Levels of nesting above the value.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        inner = _parse(value) if depth < _DEEPEST else None
        if inner is None:
            return change(value, label=label_of(_name(names)))
        touched = []

        def note(text: str, /, *, label: str) -> str:
            new = change(text, label=label)
            touched.append(new != text)
            return new

        rewritten = rewrite(inner, note, names, depth + 1)
        return json.dumps(rewritten, ensure_ascii=False) if any(touched) else value
    if isinstance(value, Mapping | Pairs) and depth < _DEEPEST:
        return {
            change(key, label=""): rewrite(item, change, names_below, depth + 1)
            for key, item, names_below in name_items(value, names)
        }
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [
            rewrite(item, change, names_below, depth + 1) for item, names_below in name_rows(value, names)
        ]
    text = str(value)
    changed = change(text, label=label_of(_name(names)))
    return value if changed == text and isinstance(value, int | float) else changed


def _parse(text: str) -> Any:
    """Read a JSON object, list or string, its numbers as written; None for anything else."""
    if not text.lstrip().startswith(_JSON_STARTS):
        return None
    try:
        return json.loads(text, object_pairs_hook=Pairs, parse_int=str, parse_float=str)
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


def escape(key: str) -> str:
    """Write a key as a step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def unescape(step: str) -> str:
    """Read the key from a step of a JSON pointer."""
    return step.replace("~1", "/").replace("~0", "~")
