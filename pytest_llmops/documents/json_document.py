"""
Strict reading of JSON.

`read_json` and `read_json_lines` return values with their lines, which the standard library's parser does not
keep, and every mistake, for files that people write. `parse_json` stops at the first mistake, and is fast.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn, TypeVar

from pytest_llmops.documents.reading import BrokenValueError, show
from pytest_llmops.documents.values import (
    MAX_DEPTH,
    Lines,
    Mistake,
    Place,
    Row,
    Table,
    UnreadableError,
    has_lone_surrogate,
    split_lines,
)
from pytest_llmops.printable import excerpt

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<real>\.[0-9]+)?(?P<power>[eE][-+]?[0-9]+)?")
_WORD = re.compile(r"-?[A-Za-z]+|'[^'\n]*'?|.", re.DOTALL)
_DECODER = JSONDecoder()
_TWICE = "is written twice"
_CONSTANTS = {"true": True, "false": False, "null": None}


def read_json(text: str) -> tuple[Any, list[Mistake]]:
    """
    Return the value of a text and the mistakes in it. An empty text is None.

    Raises:
        UnreadableError: It is no JSON, or nested too deeply.
    """
    reader = _Reader(text)
    return reader.document(), reader.mistakes


def read_json_lines(text: str) -> tuple[Any, list[Mistake]]:
    """Return the values of all lines as a list under `cases`; a line that is no JSON spoils no other."""
    cases = Row()
    mistakes: list[Mistake] = []
    for number, line in enumerate(split_lines(text), start=1):
        if not line.strip():
            continue
        reader = _Reader(line, first_line=number, place=("cases", len(cases)))
        try:
            value = reader.document()
        except UnreadableError as error:
            # The next case takes its position, so the mistake may not claim it.
            mistakes.append(Mistake(line=error.mistake.line, message=error.mistake.message))
        else:
            mistakes.extend(reader.mistakes)
            cases.append(value)
            cases.lines.append(number)
    if not cases:
        return None, mistakes
    document = Table()
    document["cases"], document.lines["cases"] = cases, cases.lines[0]
    return document, mistakes


class _Reader:
    def __init__(self, text: str, *, first_line: int = 1, place: Place = ()) -> None:
        self.mistakes: list[Mistake] = []
        self._text = text
        self._lines = Lines(text)
        self._first = first_line - 1
        self._at = 0
        self._place = list(place)
        self._depth = 0

    def document(self) -> Any:
        self._skip()
        if self._at == len(self._text):
            return None
        value = self._value()
        self._skip()
        if self._at < len(self._text):
            raise self._broken(f"nothing may follow the value, but {self._word()} does")
        return value

    def _value(self) -> Any:
        here = self._text[self._at : self._at + 1]
        if here == '"':
            return self._string()
        if here == "{":
            return self._nested(self._table)
        if here == "[":
            return self._nested(self._row)
        if match := _NUMBER.match(self._text, self._at):
            return self._number(match)
        for word, value in _CONSTANTS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        raise self._broken(f"a value should stand here, not {self._word()}")

    def _nested(self, read: Callable[[], Any]) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._broken(f"nested more than {MAX_DEPTH} levels deep")
        self._at += 1
        self._skip()
        value = read()
        self._depth -= 1
        return value

    def _table(self) -> Table:
        table = Table()
        if self._ended("}"):
            return table
        while True:
            line = self._line()
            if self._text[self._at : self._at + 1] != '"':
                raise self._broken(f'a key in "double quotes" should stand here, not {self._word()}')
            key = self._string()
            self._expect(":", f"should stand after the key {excerpt(key)}")
            self._place.append(key)
            if twice := key in table:
                self._note(line, f"the key {excerpt(key)} {_TWICE}; first on line {table.lines[key]}")
            value = self._value()
            if not twice:
                table[key], table.lines[key] = value, line
            self._place.pop()
            self._skip()
            if self._ended("}"):
                return table
            self._expect(",", "or } should stand after a value")

    def _row(self) -> Row:
        row = Row()
        if self._ended("]"):
            return row
        while True:
            row.lines.append(self._line())
            self._place.append(len(row))
            row.append(self._value())
            self._place.pop()
            self._skip()
            if self._ended("]"):
                return row
            self._expect(",", "or ] should stand after an item")

    def _string(self) -> str:
        line = self._line()
        try:
            value, self._at = _DECODER.raw_decode(self._text, self._at)
        except JSONDecodeError as error:
            self._at = min(error.pos, len(self._text))
            problem = error.msg.removesuffix(" at").removesuffix(" starting")
            raise self._broken(f"{problem[0].lower()}{problem[1:]}") from None
        text = str(value)
        if has_lone_surrogate(text):
            self._note(line, "the text holds half of a surrogate pair")
        return text

    def _number(self, match: re.Match[str]) -> int | float:
        self._at = match.end()
        number = float(match[0])
        if abs(number) == float("inf"):
            self._note(self._line(), f"{excerpt(match[0])} is too large a number")
            return 0
        return number if match["real"] or match["power"] else int(match[0])

    def _expect(self, sign: str, where: str) -> None:
        self._skip()
        if not self._text.startswith(sign, self._at):
            raise self._broken(f"a {sign} {where}, not {self._word()}")
        self._at += 1
        self._skip()

    def _ended(self, sign: str) -> bool:
        ended = self._text.startswith(sign, self._at)
        self._at += ended
        return ended

    def _skip(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _word(self) -> str:
        match = _WORD.match(self._text, self._at)
        return excerpt(match[0]) if match else "the end of the text"

    def _line(self) -> int:
        return self._first + self._lines.at(self._at)

    def _note(self, line: int, message: str) -> None:
        self.mistakes.append(Mistake(line=line, message=message, place=tuple(self._place)))

    def _broken(self, message: str) -> UnreadableError:
        return UnreadableError(
            Mistake(line=self._line(), message=f"not valid JSON: {message}", place=tuple(self._place))
        )


Content = TypeVar("Content")


class AmbiguousJsonError(ValueError):
    """A text that two readers may take for two values; `found` is the doubled key, or the constant."""

    def __init__(self, message: str, found: str) -> None:
        super().__init__(message)
        self.found = found


class DoubledKeyError(AmbiguousJsonError):
    """A key occurs twice in one object, of which `json` would keep the last value."""


class ConstantError(AmbiguousJsonError):
    """NaN or an infinity, which Python reads and JSON does not have."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of pairs with different keys, as `object_pairs_hook`."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for at, key in enumerate(keys) if key in keys[:at])
        raise DoubledKeyError(f"the key {twice!r} occurs twice in one object", twice)
    return table


def refuse_constant(name: str) -> NoReturn:
    """Raise ConstantError, as `parse_constant`."""
    raise ConstantError(f"{name} is no JSON number", name)


parse_unique = json.JSONDecoder(object_pairs_hook=unique_keys).decode
"""Parse JSON; raises DoubledKeyError where an object has a key twice."""


def parse_json(text: str, line: int = 0) -> Any:
    """
    Parse JSON whose objects have each key once.

    Args:
        line: The number of the line before the text.

    Raises:
        BrokenValueError: The text is not such JSON; with the line.
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
        place = ""
        with suppress(UnreadableError):
            for mistake in read_json(text)[1]:
                if _TWICE in mistake.message and mistake.place[-1] == error.found:
                    place = f"line {line + mistake.line}: "
                    break
        raise BrokenValueError(f"{place}key {show(error.found)} occurs twice in one object") from None
    except ValueError:  # a whole number of more digits than Python converts
        raise BrokenValueError("holds a number that is too long to be one") from None


def read_bytes(data: bytes, read: Callable[[str], Content], file: str) -> Content:
    """
    Return the result of `read` for a file's text.

    Args:
        file: The kind of file, for messages.

    Raises:
        BrokenValueError: The data is no UTF-8, nested too deeply, or `read` met a broken value.
    """
    try:
        return read(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BrokenValueError(f"byte {error.start} is no UTF-8") from None
    except RecursionError:
        raise BrokenValueError(f"is nested too deeply to be a {file}") from None
