"""
JSON values to the records that they must be; what does not fit is reported with its place.

The types of a record's fields say what a file may contain, so no table repeats them. Whole numbers count
something in every file of ours, so they start from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pytest_llmops.errors import hint
from pytest_llmops.printable import printable

Reader = Callable[[Any], Any]

_SHOWN = 60
_NAMED = 3


class BrokenValueError(Exception):
    """Values that cannot be read, each with its place; the places grow outwards while the error rises."""

    def __init__(self, *problems: str | tuple[str, str]) -> None:
        super().__init__()
        self.problems = [("", each) if isinstance(each, str) else each for each in problems]

    def within(self, place: str) -> BrokenValueError:
        return BrokenValueError(*((place + inner, problem) for inner, problem in self.problems))

    def __str__(self) -> str:
        shown = [
            ": ".join(filter(None, (place.removeprefix("."), problem)))
            for place, problem in self.problems[:_NAMED]
        ]
        more = len(self.problems) - len(shown)
        return "; ".join([*shown, *([f"and {more} more"] if more else [])])


def read_version(value: Any, version: int, file: str) -> dict[str, Any]:
    """The content of a file of this version; `file` is what it should be, for the message."""
    if not isinstance(value, dict):
        raise BrokenValueError(f"must be a JSON object, not {show(value)}")
    if "version" not in value:
        raise BrokenValueError(f"version: is missing, so this is no {file}")
    written = value["version"]
    if written != version or isinstance(written, bool):
        raise BrokenValueError(f"version: is {show(written)}, this release reads {version}")
    return value


@lru_cache(maxsize=256)
def reader_of(kind: Any) -> Reader:
    """What reads a JSON value as this type: a scalar, a literal, a tuple, a mapping or a record of such."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:  # with the reader that knows more than the type says
        return inner[1]  # type: ignore[no-any-return]
    if origin is Literal:
        return one_of(*inner)
    if origin in {Union, UnionType}:
        (present,) = (each for each in inner if each is not NoneType)
        return optional(reader_of(present))
    if origin is tuple:
        return list_of(reader_of(inner[0]))
    if origin is Mapping:
        return mapping_of(reader_of(inner[1]))
    return _SCALARS[kind] if kind in _SCALARS else record_reader(kind)


def record_reader(
    cls: Callable[..., Any],
    kind: type | None = None,
    *,
    without: Iterable[str] = (),
    optional: Iterable[str] = (),
    **readers: Reader,
) -> Reader:
    """
    Reads an object into `cls`; fields with a default may be missing, others may not be there.

    Args:
        kind: The dataclass whose fields are read; `cls` itself by default.
        without: Its fields that no file has.
        optional: Its fields without a default that may be missing all the same.
        readers: For fields that are read otherwise than their type says.
    """
    kind = kind or cls  # type: ignore[assignment]
    hints = get_type_hints(kind, include_extras=True)
    written = [each for each in fields(kind) if each.name not in without]  # type: ignore[arg-type]
    known = {each.name: readers.get(each.name) or reader_of(hints[each.name]) for each in written}
    bare = [each.name for each in written if each.default is each.default_factory is MISSING]
    required = [name for name in bare if name not in optional]

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise BrokenValueError(f"must be an object, not {show(value)}")
        for name in required:
            if name not in value:
                raise BrokenValueError(f"{name} is missing")
        return cls(**read_fields(value, known))

    return read


def read_fields(value: dict[str, Any], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """The fields that are there, each by its reader."""
    if unknown := [name for name in value if name not in readers]:
        raise BrokenValueError(f"unknown key {show(unknown[0])}.{hint(unknown[0], readers)}")
    return _read_all((name, readers[name], each) for name, each in value.items())


def within(place: str, reader: Reader, value: Any) -> Any:
    """What the reader reads; an error of it has the place, too."""
    try:
        return reader(value)
    except BrokenValueError as error:
        raise error.within(place) from None


def list_of(reader: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise BrokenValueError(f"must be a list, not {show(value)}")
        items: list[Any] = []
        problems: list[tuple[str, str]] = []
        rest = iter(value)
        while len(items) < len(value):  # once more after each error; a try for each item would cost more
            try:
                for each in rest:
                    items.append(reader(each))  # noqa: PERF401 - how many were read is the place of the error
            except BrokenValueError as error:
                problems += error.within(f"[{len(items)}]").problems
                items.append(None)
        if problems:
            raise BrokenValueError(*problems)
        return tuple(items)

    return read


def mapping_of(reader: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BrokenValueError(f"must be an object, not {show(value)}")
        return _read_all((name, reader, each) for name, each in value.items())

    return read


def _read_all(parts: Iterable[tuple[str, Reader, Any]]) -> dict[str, Any]:
    """Every value of an object by its reader; all that is wrong in any of them is one error."""
    values: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for name, reader, value in parts:
        try:
            values[name] = reader(value)
        except BrokenValueError as error:
            problems += error.within(f".{printable(name, _SHOWN)}").problems
    if problems:
        raise BrokenValueError(*problems)
    return values


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


_read_members, _read_items = mapping_of(read_any), list_of(read_any)
_SCALARS: dict[Any, Reader] = {
    str: read_text, float: read_number, int: read_count, bool: read_flag, Any: read_any
}  # fmt: skip
