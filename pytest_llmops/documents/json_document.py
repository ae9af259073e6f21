"""
Strict reading of JSON.

`read_json` and `read_json_lines` return values with their lines, which the standard library's parser does not
keep, and every mistake, for files that people write. `parse_json` stops at the first mistake, and is fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from json import JSONDecodeError, JSONDecoder
from typing import Any, NoReturn

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

_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*+"?|[{}\[\]:,]|[^\s{}\[\]:,"]+""", re.DOTALL)
_WORD = re.compile(r"-?[A-Za-z]+|'[^'\n]*'?|.", re.DOTALL)
_CHECKER = JSONDecoder(parse_int=float)  # `int` refuses very long numbers
_DECODER = JSONDecoder()
_TWICE = "is written twice"


def read_json(text: str) -> tuple[Any, list[Mistake]]:
    """
    Return the value of a text and the mistakes in it. An empty text is None.

    What is no JSON or nested too deeply is one mistake, and no value.
    """
    try:
        return _Reader(text).read() if text.strip(" \t\r\n") else (None, [])
    except UnreadableError as error:
        return None, [error.mistake]


def read_json_lines(text: str) -> tuple[Any, list[Mistake]]:
    """Return the values of all lines as a list under `cases`; a line that is no JSON spoils no other."""
    cases = Row()
    mistakes: list[Mistake] = []
    for number, line in enumerate(split_lines(text), start=1):
        if line.strip():
            try:
                value, wrong = _Reader(line, first_line=number, place=("cases", len(cases))).read()
            except UnreadableError as error:
                # The next case takes its position, so the mistake may not claim it.
                mistakes.append(Mistake(line=error.mistake.line, message=error.mistake.message))
            else:
                mistakes += wrong
                cases.append(value)
                cases.lines.append(number)
    if not cases:
        return None, mistakes
    document = Table()
    document["cases"], document.lines["cases"] = cases, cases.lines[0]
    return document, mistakes


class _Reader:
    """
    Builds the value of a text, with lines, from its tokens.

    The standard library's parser finds errors first; the tokens end there, so that the error has a place.
    """

    def __init__(self, text: str, *, first_line: int = 1, place: Place = ()) -> None:
        self._text = text
        self._lines = Lines(text)
        self._first = first_line - 1
        self._place = list(place)
        self._deepest = len(place) + MAX_DEPTH
        self._tokens = self._split()
        self._mistakes: list[Mistake] = []

    def read(self) -> tuple[Any, list[Mistake]]:
        value = self._value(next(self._tokens))
        next(self._tokens, None)  # raises if more follows the value
        return value, self._mistakes

    def _split(self) -> Iterator[re.Match[str]]:
        text = self._text
        try:
            _CHECKER.decode(text)
        except JSONDecodeError as error:
            for token in _TOKEN.finditer(text, 0, error.pos):
                if token[0][0] == '"' and token.end() >= error.pos - 1:  # the error may be in this string
                    break
                yield token
            word = excerpt(match[0]) if (match := _WORD.match(text, error.pos)) else "the end of the text"
            problem = error.msg.removesuffix(" at").removesuffix(" starting")
            between = ", not " if problem.startswith("Expecting") else ": "
            raise self._broken(error.pos, f"{problem[0].lower()}{problem[1:]}{between}{word}") from None
        except RecursionError:
            raise self._too_deep(0) from None
        yield from _TOKEN.finditer(text)

    def _value(self, token: re.Match[str]) -> Any:
        text = token[0]
        if text in "[{":
            if len(self._place) >= self._deepest:
                raise self._too_deep(token.start())
            return self._table() if text == "{" else self._row()
        if text in {"NaN", "Infinity", "-Infinity"}:
            raise self._broken(token.start(), f"expecting value, not {excerpt(text)}")
        if text[0] in "-0123456789" and abs(float(text)) == float("inf"):
            self._note(token, f"{excerpt(text)} is too large a number")
            return 0
        value, _ = _DECODER.raw_decode(text)
        if isinstance(value, str) and has_lone_surrogate(value):
            self._note(token, "the text holds half of a surrogate pair")
        return value

    def _table(self) -> Table:
        table = Table()
        for token in self._members():
            key = self._value(token)
            next(self._tokens)  # the colon
            self._place.append(key)
            is_doubled = key in table
            if is_doubled:
                self._note(token, f"the key {excerpt(key)} {_TWICE}; first on line {table.lines[key]}")
            value = self._value(next(self._tokens))
            if not is_doubled:
                table[key], table.lines[key] = value, self._line(token.start())
            self._place.pop()
        return table

    def _row(self) -> Row:
        row = Row()
        for token in self._members():
            row.lines.append(self._line(token.start()))
            self._place.append(len(row))
            row.append(self._value(token))
            self._place.pop()
        return row

    def _members(self) -> Iterator[re.Match[str]]:
        """Yield the first token of each member of a container."""
        for token in self._tokens:
            if token[0] in "]}":
                return
            if token[0] != ",":
                yield token

    def _line(self, offset: int) -> int:
        return self._first + self._lines.at(offset)

    def _note(self, token: re.Match[str], message: str) -> None:
        line = self._line(token.start())
        self._mistakes.append(Mistake(line=line, message=message, place=tuple(self._place)))

    def _broken(self, offset: int, problem: str) -> UnreadableError:
        message = f"not valid JSON: {problem}"
        return UnreadableError(Mistake(line=self._line(offset), message=message, place=tuple(self._place)))

    def _too_deep(self, offset: int) -> UnreadableError:
        return self._broken(offset, f"nested more than {MAX_DEPTH} levels deep")


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
        raise DoubledKeyError(f"the key {twice!r} stands twice in one object", twice)
    return table


def refuse_constant(name: str) -> NoReturn:
    """Raise ConstantError, as `parse_constant`."""
    raise ConstantError(f"{name} is no JSON number", name)


parse_unique = JSONDecoder(object_pairs_hook=unique_keys).decode
"""Parse JSON; raises DoubledKeyError where an object has a key twice."""

STRICT = JSONDecoder(object_pairs_hook=unique_keys, parse_constant=refuse_constant)
"""Decodes JSON that every reader takes for one value; raises AmbiguousJsonError."""


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
    except JSONDecodeError as error:
        cut = not text[error.pos :].strip() or error.msg.startswith("Unterminated string")
        ended = " (the file ends too early)" if cut else ""
        raise BrokenValueError(
            f"line {line + error.lineno}, column {error.colno}: is no JSON: {error.msg}{ended}"
        ) from None
    except DoubledKeyError as error:
        twice = (mistake for mistake in read_json(text)[1] if _TWICE in mistake.message)
        lines = (mistake.line for mistake in twice if mistake.place[-1] == error.found)
        place = next((f"line {line + number}: " for number in lines), "")
        raise BrokenValueError(f"{place}key {show(error.found)} occurs twice in one object") from None
    except ValueError:  # a whole number of more digits than Python converts
        raise BrokenValueError("holds a number that is too long to be one") from None
