"""Plain values with their lines, as the readers of YAML and JSON return them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
    """A mistake at a place of the file; lines count from 1."""

    line: int
    message: str
    place: Place = ()


class UnreadableError(Exception):
    """A mistake past which the file cannot be read."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.message)
        self.mistake = mistake


class Lines:
    """Lines of a text by offset. U+2028 and its like end no line here, as in editors."""

    def __init__(self, text: str) -> None:
        starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self.at: Callable[[int], int] = partial(bisect_right, starts)


def split_lines(text: str) -> list[str]:
    return _LINE_END.split(text)


def line_of(value: Any, place: Place) -> int:
    """Return the line of the value at that place, or of the last one on the way there that exists."""
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
    """Return the same value made of ordinary dicts and lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def has_lone_surrogate(text: str) -> bool:
    """Return whether the text contains half of a character: an escape can write it, no file can store it."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def escaped(text: str) -> str:
    """Return a name that can be shown without quotes."""
    safe = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[:_SHORT])
    return safe[: _SHORT - 1] + "…" if len(safe) > _SHORT or len(text) > _SHORT else safe


def described(value: Any) -> str:
    """Return a value with its kind, `the number 3.5`."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {excerpt(value)}"
    if isinstance(value, str):
        return f"the text {excerpt(value)}"
    return f"the {'mapping' if isinstance(value, dict) else 'list'} {excerpt(value)}"
