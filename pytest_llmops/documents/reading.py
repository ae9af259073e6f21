"""
Readers: each takes a JSON value and gives what it must be, or says what is wrong with it, and where.

A value's own reader stands with its field in a record, as `Annotated[int, whole(1, 100)]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields
from functools import lru_cache
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin
from urllib.parse import urlsplit

from pytest_llmops.documents.values import Place
from pytest_llmops.errors import hint
from pytest_llmops.printable import printable

Reader = Callable[[Any], Any]

UNKNOWN_KEY = "unknown key"
"""How the problem of a key begins that may not be there; it names the key, so its place is shown without."""

_SHOWN = 60
_NAMED = 3
_TWO = 2


class BrokenValueError(Exception):
    """Values that cannot be read, each with its place; the places grow outwards while the error rises."""

    def __init__(self, *problems: str | tuple[Place, str]) -> None:
        super().__init__()
        self.problems = [((), each) if isinstance(each, str) else each for each in problems]

    def within(self, *place: str | int) -> BrokenValueError:
        return BrokenValueError(*(((*place, *inner), problem) for inner, problem in self.problems))

    def __str__(self) -> str:
        shown = [
            ": ".join(filter(None, (show_place(place[: -problem.startswith(UNKNOWN_KEY) or None]), problem)))
            for place, problem in self.problems[:_NAMED]
        ]
        more = len(self.problems) - len(shown)
        return "; ".join([*shown, *([f"and {more} more"] if more else [])])


def show_place(place: Place) -> str:
    """`results[1].scores[0]`, with nothing in it that a terminal obeys."""
    steps = (f"[{each}]" if isinstance(each, int) else f".{printable(each, _SHOWN)}" for each in place)
    return "".join(steps).removeprefix(".")


@contextmanager
def refused_as(error: Callable[[str], Exception], before: str, after: str = "") -> Iterator[None]:
    """Raises what is wrong in values that are read within as that error, between those texts."""
    try:
        yield
    except BrokenValueError as broken:
        raise error(f"{before}{broken}{after}") from None


def within(place: str | int, reader: Reader, value: Any) -> Any:
    """What the reader reads; an error of it has the place, too."""
    try:
        return reader(value)
    except BrokenValueError as error:
        raise error.within(place) from None


def list_of(reader: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            advice = f"; write it in brackets: [{show(value)}]" if isinstance(value, str) else ""
            raise BrokenValueError(f"must be a list, not {show(value)}{advice}")
        items: list[Any] = []
        problems: list[tuple[Place, str]] = []
        rest = iter(value)
        while len(items) < len(value):  # once more after each error; a try for each item would cost more
            try:
                for each in rest:
                    items.append(reader(each))  # noqa: PERF401 - how many were read is the place of the error
            except BrokenValueError as error:
                problems += error.within(len(items)).problems
                items.append(None)
        if problems:
            raise BrokenValueError(*problems)
        return tuple(items)

    return read


def mapping_of(reader: Reader) -> Reader:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BrokenValueError(f"must be an object, not {show(value)}")
        return read_all((name, reader, each) for name, each in value.items())

    return read


def read_all(parts: Iterable[tuple[str, Reader, Any]]) -> dict[str, Any]:
    """Every value of an object by its reader; all that is wrong in any of them is one error."""
    values: dict[str, Any] = {}
    problems: list[tuple[Place, str]] = []
    for name, reader, value in parts:
        try:
            values[name] = reader(value)
        except BrokenValueError as error:
            problems += error.within(name).problems
    if problems:
        raise BrokenValueError(*problems)
    return values


def optional(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def one_of(*words: str) -> Reader:
    listed = " or ".join(words) if len(words) <= _TWO else f"one of {', '.join(words)}"

    def read(value: Any) -> str:
        if value not in words:
            near = hint(value, words) if isinstance(value, str) else ""
            raise BrokenValueError(f"must be {listed}, not {show(value)}{near and f'.{near}'}")
        return str(value)

    return read


def checked(
    reader: Reader, wanted: str, holds: Callable[[Any], Any] | None = None, *, shown: bool = True
) -> Reader:
    """
    What the reader reads, where it holds.

    Args:
        wanted: What messages call such a value, `a name`.
        holds: Returns what is false, or raises ValueError, of a value that cannot be.
        shown: Off for a value that may be a secret.
    """

    def read(value: Any) -> Any:
        try:
            made = reader(value)
            if holds is None or holds(made):
                return made
        except (BrokenValueError, TypeError, ValueError):
            pass
        raise BrokenValueError(f"must be {wanted}{f', not {show(value)}' if shown else ''}")

    return read


def whole(least: float = -math.inf, most: float = math.inf) -> Reader:
    """A whole number from `least` to `most`, both included."""
    return checked(_read_int, f"a whole number{_limits(least, most)}", lambda value: least <= value <= most)


def number(least: float = -math.inf, most: float = math.inf, *, unit: str = "a number") -> Reader:
    """A finite number from `least` to `most`, both included."""
    return checked(read_number, f"{unit}{_limits(least, most)}", lambda value: least <= value <= most)


def positive(unit: str = "a number", most: float = math.inf) -> Reader:
    """A finite number above 0, to `most`, which is included."""
    upper = "" if most == math.inf else f" and at most {most:g}"
    return checked(read_number, f"{unit} above 0{upper}", lambda value: 0 < value <= most)


def matching(pattern: str, wanted: str, *, shown: bool = True) -> Reader:
    """A text that is as the pattern says from its first character to its last."""
    return checked(read_text, wanted, re.compile(pattern, re.ASCII | re.DOTALL).fullmatch, shown=shown)


def hexadecimal(digits: int) -> Reader:
    return matching(f"[0-9a-f]{{{digits}}}", f"{digits} hexadecimal digits")


def any_of(*readers: Reader) -> Reader:
    """What the first of them reads that can; what is wrong is what the last one says."""

    def read(value: Any) -> Any:
        for reader in readers[:-1]:
            with suppress(BrokenValueError):
                return reader(value)
        return readers[-1](value)

    return read


def some(reader: Reader) -> Reader:
    """A list, of which one text may stand for itself; each once."""
    return lambda value: tuple(
        dict.fromkeys((reader(value),) if isinstance(value, str) else list_of(reader)(value))
    )


def unique(reader: Reader, wanted: str) -> Reader:
    """A list whose items differ."""
    return checked(list_of(reader), wanted, lambda items: len(set(items)) == len(items))


def _is_address(text: str) -> bool:
    parts = urlsplit(text)
    has_port = parts.port is None or parts.port > 0  # `port` raises ValueError where it is no number
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and has_port


def refuse_twice(values: Iterable[str], items: str, field: str) -> None:
    """Raises BrokenValueError where two items of that list have the same value in that field."""
    seen: set[str] = set()
    for at, value in enumerate(values):
        if value in seen:
            raise BrokenValueError(((items, at, field), f"{show(value)} occurs twice"))
        seen.add(value)


def _limits(least: float, most: float) -> str:
    return (f" from {least:g}" if least > -math.inf else "") + (f" to {most:g}" if most < math.inf else "")


def read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise BrokenValueError(f"must be text, not {show(value)}")
    return value


def read_number(value: Any) -> float:
    if type(value) is float and -math.inf < value < math.inf:
        return value
    if not is_number(value):
        raise BrokenValueError(f"must be a finite number, not {show(value)}")
    return float(value)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number; true and false are none."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def _read_int(value: Any) -> int:
    if type(value) is not int:
        raise BrokenValueError("must be a whole number")
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
read_count = whole(0)
read_name = checked(read_text, "text", str.strip)
# A password in an address, or a key in the place of the name of its variable, may not be shown.
read_address = checked(
    read_text, "a URL without user or password, such as https://host/v1", _is_address, shown=False
)
read_variable = matching(
    "[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable, such as OPENAI_API_KEY", shown=False
)


def read_version(value: Any, version: int, file: str) -> dict[str, Any]:
    """The content of a file of this version; `file` is what it should be, for the message."""
    if not isinstance(value, dict):
        raise BrokenValueError(f"must be a JSON object, not {show(value)}")
    if "version" not in value:
        raise BrokenValueError(f"version: is missing, so this is no {file}")
    written = value["version"]
    if written != version or isinstance(written, bool):
        newer = type(written) is int and written > version
        advice = "; a newer pytest-llmops may have written it" if newer else ""
        raise BrokenValueError(f"version: is {show(written)}, this release reads {version}{advice}")
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
        present = any_of(*(reader_of(each) for each in inner if each is not NoneType))
        return optional(present) if NoneType in inner else present
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
    hints = hints_of(kind)
    written = [each for each in fields(kind) if each.name not in without]  # type: ignore[arg-type]
    known = {each.name: readers.get(each.name) or reader_of(hints[each.name]) for each in written}
    bare = [each.name for each in written if each.default is each.default_factory is MISSING]
    required = [name for name in bare if name not in optional]

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise BrokenValueError(f"must be an object, not {show(value)}")
        return cls(**read_fields(value, known, required))

    return read


def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields, even where its module was unloaded since, as in tests of plugins."""
    hints: dict[str, Any] = {}
    for each in reversed(kind.__mro__):
        if "__dataclass_fields__" in vars(each):
            hints |= get_annotations(each, globals=each.__init__.__globals__, eval_str=True)
    return hints


def read_fields(
    value: dict[str, Any], readers: Mapping[str, Reader], required: Iterable[str] = ()
) -> dict[str, Any]:
    """The fields that are there, each by its reader."""
    if unknown := [name for name in value if name not in readers]:
        message = f"{UNKNOWN_KEY} {show(unknown[0])}.{hint(str(unknown[0]), readers)}"
        raise BrokenValueError(((unknown[0],), message))
    for name in required:
        if name not in value:
            raise BrokenValueError(f"{name} is missing")
    return read_all((name, readers[name], each) for name, each in value.items())


_SCALARS: dict[Any, Reader] = {
    str: read_text, float: read_number, int: read_count, bool: read_flag, Any: read_any
}  # fmt: skip
