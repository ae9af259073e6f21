"""
What a file contains before anything is known of its meaning: plain values that know their lines.

Both readers, of YAML and of JSON, return these, so that every later complaint can name a line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from pytest_llmops.printable import excerpt

MAX_DEPTH = 50

Place = tuple[str | int, ...]
"""The way from the top of a file to a value: keys and positions, positions count from 0."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHORT = 60


class Table(dict[str, Any]):
    """A mapping with the line of each of its keys."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Row(list[Any]):
    """A list with the line at which each item starts."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Something wrong at a place of the file; lines count from 1."""

    line: int
    message: str
    place: Place = ()


class UnreadableError(Exception):
    """The file cannot be read past this mistake."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.message)
        self.mistake = mistake


class Lines:
    """Offset in a text to line. U+2028 and its like end no line here, as in editors."""

    def __init__(self, text: str) -> None:
        self._starts = [match.end() for match in _LINE_END.finditer(text)]

    def at(self, offset: int) -> int:
        return bisect_right(self._starts, offset) + 1


def split_lines(text: str) -> list[str]:
    return _LINE_END.split(text)


def line_of(value: Any, place: Place) -> int:
    """The line of the value at that place, or of the last one on the way there that exists."""
    line = 1
    for step in place:
        if isinstance(value, Table) and step in value:
            line, value = value.lines[str(step)], value[str(step)]
        elif isinstance(value, Row) and isinstance(step, int) and step < len(value):
            line, value = value.lines[step], value[step]
        else:
            break
    return line


def plain(value: Any) -> Any:
    """The same value out of ordinary dicts and lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def has_lone_surrogate(text: str) -> bool:
    """Whether the text holds half of a character, which an escape can write and no file can store."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def escaped(text: str) -> str:
    """A name as it may be shown without quotes."""
    safe = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:_SHORT])
    return safe[: _SHORT - 1] + "…" if len(safe) > _SHORT or len(text) > _SHORT else safe


def described(value: Any) -> str:
    """A value with its kind, `the number 3.5`."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {excerpt(value)}"
    if isinstance(value, str):
        return f"the text {excerpt(value)}"
    return f"the {'mapping' if isinstance(value, dict) else 'list'} {excerpt(value)}"
