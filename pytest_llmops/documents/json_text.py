"""JSON as text to plain values; what two readers could take for two values is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from pytest_llmops.documents.json_document import TWICE, read_json
from pytest_llmops.documents.value_readers import BrokenValueError, show
from pytest_llmops.documents.values import UnreadableError

Content = TypeVar("Content")


class AmbiguousJsonError(ValueError):
    """A key twice in one object, or what JSON does not have; `found` is the key, or the constant."""

    def __init__(self, message: str, found: str) -> None:
        super().__init__(message)
        self.found = found


class DoubledKeyError(AmbiguousJsonError):
    """Of a key that a merge left twice, `json` would keep the last one in silence."""


class ConstantError(AmbiguousJsonError):
    """NaN and the infinities, which Python reads and JSON does not have."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object for `object_pairs_hook`, of which each key is written once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for at, key in enumerate(keys) if key in keys[:at])
        raise DoubledKeyError(f"the key {twice!r} stands twice in one object", twice)
    return found


def refuse_constant(name: str) -> NoReturn:
    """For `parse_constant`."""
    raise ConstantError(f"{name} is no JSON number", name)


parse_unique = json.JSONDecoder(object_pairs_hook=unique_keys).decode
"""The JSON value of a text; raises DoubledKeyError of a key that an object has twice."""


def parse_json(text: str, line: int = 0) -> Any:
    """
    A JSON value of which each object has a key once.

    Args:
        line: The number of the line before the text.

    Raises:
        BrokenValueError: It is none, with the line.
    """
    try:
        return parse_unique(text)
    except json.JSONDecodeError as error:
        cut = not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
        ended = " (the file ends too early)" if cut else ""
        raise BrokenValueError(
            f"line {line + error.lineno}, column {error.colno}: is no JSON: {error.msg}{ended}"
        ) from None
    except DoubledKeyError as error:
        at = _line_of(error.found, text)
        place = f"line {line + at}: " if at else ""
        raise BrokenValueError(f"{place}key {show(error.found)} occurs twice in one object") from None
    except ValueError:  # a whole number of more digits than Python converts
        raise BrokenValueError("holds a number that is too long to be one") from None


def read_bytes(data: bytes, read: Callable[[str], Content], file: str) -> Content:
    """
    What `read` makes of a file's text.

    Args:
        file: What the file should be, for messages.

    Raises:
        BrokenValueError: It is no UTF-8, is nested too deeply, or `read` met a broken value.
    """
    try:
        return read(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BrokenValueError(f"byte {error.start} is no UTF-8") from None
    except RecursionError:
        raise BrokenValueError(f"is nested too deeply to be a {file}") from None


def _line_of(doubled: str, text: str) -> int:
    """The line where a key is for the second time in one object; 0 where that is not found."""
    try:
        _, mistakes = read_json(text)
    except UnreadableError:
        return 0
    lines = (each.line for each in mistakes if TWICE in each.message and each.place[-1] == doubled)
    return next(lines, 0)
