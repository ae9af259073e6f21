"""Printable forms of texts that a model, an app or a file wrote, without control of the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_EXCERPT = 60
_ESCAPED = 10  # characters at most of one that is escaped
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(value: Any, limit: int = 400) -> str:
    """
    Return the value on one line with everything invisible escaped, cut after about `limit` characters.

    A text is not quoted, any other value is JSON. The end of a cut text is the number of further characters.
    """
    text = value if isinstance(value, str) else _as_json(value)
    shown: list[str] = []
    length = 0
    for index, character in enumerate(text):
        piece = _escape(character)
        if length + len(piece) > limit:
            return f"{''.join(shown)}… ({counted(len(text) - index, 'more character')})"
        shown.append(piece)
        length += len(piece)
    return "".join(shown)


def printable_lines(text: str) -> list[str]:
    """Return the lines of a text, whole and with everything invisible escaped."""
    return [printable(line, _ESCAPED * len(line)) for line in text.split("\n")]


def excerpt(value: Any) -> str:
    """Return a value of a file as one short line in quotes, without characters that control a terminal."""
    shown = repr(value[:_EXCERPT] if isinstance(value, str) else value)
    cut = len(shown) > _EXCERPT or (isinstance(value, str) and len(value) > _EXCERPT)
    return shown[: _EXCERPT - 1] + "…" if cut else shown


def counted(number: int, noun: str, plural: str = "") -> str:
    """
    Return `1 model call`, `2,000 model calls`.

    Args:
        plural: Needed if it is not the noun with an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def with_article(noun: str) -> str:
    """Return `an int`, `a float`: by the sound of the name of a type."""
    sound = noun.lower().lstrip("_")
    as_you = sound.startswith(("uni", "use", "usa", "uui", "uri", "url", "ut", "eu", "one"))
    return f"{'an' if sound[:1] in {*'aeiou'} and not as_you else 'a'} {noun}"


def name_some(names: Sequence[str], most: int) -> str:
    """Return `a, b, c and 4 more`: at most so many of names that need no quotes."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def name_counts(counts: Mapping[str, int], most: int = 10) -> str:
    """Return `3 to api.example.com, 1 to b.example, and 2 others`, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{count:,} to {printable(name)}" for name, count in ordered[:most]]
    more = [f"and {counted(len(ordered) - most, 'other')}"] if len(ordered) > most else []
    return ", ".join([*named, *more])


def _escape(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isprintable():  # no control, format (bidi, zero width, tag), surrogate or odd white space
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return with_article(type(value).__name__)
