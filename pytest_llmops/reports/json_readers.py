"""JSON values to what they must be; what does not fit is told with its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmops.errors import hint
from pytest_llmops.printable import printable

Reader = Callable[[Any], Any]

_SHOWN = 60
_MISSING = object()


class BrokenValueError(Exception):
    """A value that cannot be read; `place` grows outwards while the error rises."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.place: list[str] = []

    def __str__(self) -> str:
        place = "".join(self.place).removeprefix(".")
        return f"{place}: {super().__str__()}" if place else super().__str__()


def read_version(value: Any, version: int, file: str) -> dict[str, Any]:
    """The content of a file of this version; `file` is what it should be, for the message."""
    if not isinstance(value, dict):
        raise BrokenValueError(f"must be a JSON object, not {show(value)}")
    found = value.get("version", _MISSING)
    if found is _MISSING:
        raise BrokenValueError(f"version: is missing, so this is no {file}")
    if found != version or isinstance(found, bool):
        raise BrokenValueError(f"version: is {show(found)}, this release reads {version}")
    return value


def record(cls: Callable[..., Any], required: tuple[str, ...], readers: Mapping[str, Reader]) -> Reader:
    """Reads an object into `cls`; keys that are not required may be missing, others may not be there."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise BrokenValueError(f"must be an object, not {show(value)}")
        for name in required:
            if name not in value:
                raise BrokenValueError(f"{name} is missing")
        return cls(**read_fields(value, readers))

    return read


def read_fields(value: dict[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The fields that are there, each by its reader."""
    if unknown := [name for name in value if name not in readers]:
        raise BrokenValueError(f"unknown key {show(unknown[0])}.{hint(unknown[0], readers)}")
    fields = {}
    name = ""
    try:
        for name, each in value.items():
            fields[name] = readers[name](each)
    except BrokenValueError as error:
        error.place.insert(0, f".{name}")
        raise
    return fields


def within(place: str, reader: Reader, value: Any) -> Any:
    """What the reader reads; an error of it tells the place, too."""
    try:
        return reader(value)
    except BrokenValueError as error:
        error.place.insert(0, place)
        raise


def list_of(reader: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise BrokenValueError(f"must be a list, not {show(value)}")
        found: list[Any] = []
        try:
            for each in value:
                found.append(reader(each))  # noqa: PERF401 - how many were read is the place of the error
        except BrokenValueError as error:
            error.place.insert(0, f"[{len(found)}]")
            raise
        return tuple(found)

    return read


def mapping_of(reader: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BrokenValueError(f"must be an object, not {show(value)}")
        found = {}
        name = ""
        try:
            for name, each in value.items():
                found[name] = reader(each)
        except BrokenValueError as error:
            error.place.insert(0, _key(name))
            raise
        return found

    return read


def optional(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def one_of(*words: str) -> Reader:
    def read(value: Any) -> str:
        if value not in words:
            raise BrokenValueError(f"must be {' or '.join(words)}, not {show(value)}")
        return str(value)

    return read


def read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise BrokenValueError(f"must be text, not {show(value)}")
    return value


def read_number(value: Any) -> float:
    if type(value) is float and -math.inf < value < math.inf:
        return value
    try:
        number = float(value) if type(value) in {int, float} else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BrokenValueError(f"must be a finite number, not {show(value)}")
    return number


def read_count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise BrokenValueError(f"must be a whole number from 0, not {show(value)}")
    return value


def read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise BrokenValueError(f"must be true or false, not {show(value)}")
    return value


def read_object(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = _read_members(value)
    return found


def read_any(value: Any) -> Any:
    """Any JSON value, but for the numbers that JSON does not have and Python reads."""
    if isinstance(value, float):
        return read_number(value)
    if isinstance(value, dict):
        _read_members(value)
    elif isinstance(value, list):
        _read_items(value)
    return value


def show(value: Any) -> str:
    """A value in a message."""
    if isinstance(value, int) and abs(value) > 10**_SHOWN:
        return "an enormous number"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _key(name: str) -> str:
    """The place of a key that anybody may have chosen."""
    return f".{printable(name, _SHOWN)}"


_read_members, _read_items = mapping_of(read_any), list_of(read_any)
