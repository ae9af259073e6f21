"""
Readers of JSON and YAML values: each returns the value that it must be, or reports all problems in it.

`reader_of` makes the reader of a type, such as a dataclass; `Annotated[int, whole(1, 100)]` names a reader
that knows more than the type does. Whole numbers start from 0 otherwise, since they count things.
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
"""The begin of the problem of an unknown key; it names the key, so its place is shown without."""

_SHOWN = 60
_NAMED = 3
_TWO = 2


class BrokenValueError(Exception):
    """Problems of values, each with its place, to which callers add steps in front by `within`."""

    def __init__(self, *problems: str | tuple[Place, str]) -> None:
        super().__init__()
        self.problems = [((), problem) if isinstance(problem, str) else problem for problem in problems]

    def within(self, *place: str | int) -> BrokenValueError:
        return BrokenValueError(*(((*place, *inner), problem) for inner, problem in self.problems))

    def __str__(self) -> str:
        shown = [
            ": ".join(filter(None, (show_place(place[: -problem.startswith(UNKNOWN_KEY) or None]), problem)))
            for place, problem in self.problems[:_NAMED]
        ]
        more = len(self.problems) - len(shown)
        shown += [f"and {more} more"] if more else []
        return " ".join([*(text if text.endswith("?") else f"{text};" for text in shown[:-1]), *shown[-1:]])


def show_place(place: Place) -> str:
    """Return `results[1].scores[0]`, with no characters that control a terminal."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{printable(step, _SHOWN)}" for step in place)
    return "".join(steps).removeprefix(".")


@contextmanager
def refused_as(error: Callable[[str], Exception], before: str, after: str = "") -> Iterator[None]:
    """Raise the problems of values that are read in this context as that error, between those texts."""
    try:
        yield
    except BrokenValueError as broken:
        raise error(f"{before}{broken}{after}") from None


def within(place: str | int, reader: Reader, value: Any) -> Any:
    """Read a value; its problems get the place."""
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
        # The loop is left and entered again for each error, since a `try` for each item would cost more.
        while len(items) < len(value):
            try:
                for item in rest:
                    items.append(reader(item))  # noqa: PERF401 - their number is the place of an error
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
            raise BrokenValueError(f"must be a mapping, not {show(value)}")
        return read_all((name, reader, part) for name, part in value.items())

    return read


def read_all(parts: Iterable[tuple[str, Reader, Any]]) -> dict[str, Any]:
    """Read every value of an object with its reader; the problems of all are one error."""
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
    Accept only values that a test holds for.

    Args:
        wanted: Such a value in messages, `a name`.
        holds: Returns something false, or raises ValueError, for a wrong value.
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


def _limits(least: float, most: float) -> str:
    return (f" from {least:g}" if least > -math.inf else "") + (f" to {most:g}" if most < math.inf else "")


def whole(least: float = -math.inf, most: float = math.inf) -> Reader:
    """A whole number from `least` to `most`, both included."""
    return checked(_read_int, f"a whole number{_limits(least, most)}", lambda value: least <= value <= most)


def number(least: float = -math.inf, most: float = math.inf) -> Reader:
    """A finite number from `least` to `most`, both included."""
    return checked(read_number, f"a number{_limits(least, most)}", lambda value: least <= value <= most)


def positive(unit: str = "a number", most: float = math.inf) -> Reader:
    """A finite number above 0, to `most`, which is included."""
    upper = "" if most == math.inf else f" and at most {most:g}"
    return checked(read_number, f"{unit} above 0{upper}", lambda value: 0 < value <= most)


def matching(pattern: str, wanted: str, *, shown: bool = True) -> Reader:
    """A text that the pattern matches from its first character to its last."""
    return checked(read_text, wanted, re.compile(pattern, re.ASCII | re.DOTALL).fullmatch, shown=shown)


def hexadecimal(digits: int) -> Reader:
    return matching(f"[0-9a-f]{{{digits}}}", f"{digits} hexadecimal digits")


def any_of(*readers: Reader) -> Reader:
    """A value that one of the readers accepts, the first one first; the last one reports problems."""

    def read(value: Any) -> Any:
        for reader in readers[:-1]:
            with suppress(BrokenValueError):
                return reader(value)
        return readers[-1](value)

    return read


def some(reader: Reader) -> Reader:
    """A list without repeated items; a text is a list of one."""
    return lambda value: tuple(
        dict.fromkeys((reader(value),) if isinstance(value, str) else list_of(reader)(value))
    )


def unique(reader: Reader, wanted: str) -> Reader:
    """A list whose items differ."""
    return checked(list_of(reader), wanted, lambda items: len(set(items)) == len(items))


def refuse_twice(values: Iterable[str | None], items: str, field: str) -> None:
    """Raise BrokenValueError where two items of that list have the same text in that field."""
    seen: set[str] = set()
    problems: list[tuple[Place, str]] = []
    for at, value in enumerate(values):
        if value in seen:
            problems.append(((items, at, field), f"{show(value)} occurs twice"))
        elif value is not None:
            seen.add(value)
    if problems:
        raise BrokenValueError(*problems)


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
    """Return whether a value is a finite number; true and false are none."""
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
    """Any JSON value, without the infinities and NaN, which Python reads and JSON does not have."""
    if isinstance(value, float):
        return read_number(value)
    if isinstance(value, dict):
        _read_members(value)
    elif isinstance(value, list):
        _read_items(value)
    return value


def show(value: Any) -> str:
    """Return a value as messages show it."""
    if isinstance(value, int) and abs(value) > 10**_SHOWN:
        return "an enormous number"
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _is_address(text: str) -> bool:
    parts = urlsplit(text)
    has_port = parts.port is None or parts.port > 0  # `port` raises ValueError where it is no number
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and has_port


_read_members, _read_items = mapping_of(read_any), list_of(read_any)
read_count = whole(0)
read_name = checked(read_text, "text", str.strip)
# Neither shows its value, which may contain a password, or be a key instead of the name of its variable.
read_address = checked(
    read_text, "a URL without user or password, such as https://host/v1", _is_address, shown=False
)
read_variable = matching(
    "[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable, such as OPENAI_API_KEY", shown=False
)


def read_version(value: Any, version: int, file: str, *, oldest: int | None = None) -> dict[str, Any]:
    """
    Return the content of a file of this version.

    Args:
        file: The kind of file, for messages.
        oldest: The first version that is read, too; this one alone by default.
    """
    if value is None:
        raise BrokenValueError(f"is empty, so this is no {file}")
    if not isinstance(value, dict):
        raise BrokenValueError(f"must be a mapping, not {show(value)}")
    if "version" not in value:
        raise BrokenValueError(f"version: is missing, so this is no {file}")
    written = value["version"]
    if isinstance(written, bool) or written not in range(oldest or version, version + 1):
        known = f"{oldest} to {version}" if oldest else version
        newer = type(written) is int and written > version
        advice = "; a newer pytest-llmops may have written it" if newer else ""
        raise BrokenValueError((("version",), f"is {show(written)}, this release reads {known}{advice}"))
    return value


@lru_cache(maxsize=256)
def reader_of(kind: Any) -> Reader:
    """Return the reader of a type: a scalar, a literal, a tuple, a mapping or a dataclass of such."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:  # with the reader that knows more than the type says
        return inner[1]  # type: ignore[no-any-return]
    if origin is Literal:
        return one_of(*inner)
    if origin in {Union, UnionType}:
        present = any_of(*(reader_of(option) for option in inner if option is not NoneType))
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
    Return a reader of objects into `cls`; keys without a field are refused.

    Args:
        kind: The dataclass whose fields are read; `cls` itself by default.
        without: Fields that no file has.
        optional: Fields without a default that may be missing all the same.
        readers: Readers of fields for which that of the type is not enough.
    """
    kind = kind or cls  # type: ignore[assignment]
    hints = hints_of(kind)
    known: dict[str, Reader] = {}
    required = []
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in without:
            known[field.name] = readers.get(field.name) or reader_of(hints[field.name])
            if field.name not in optional and field.default is field.default_factory is MISSING:
                required.append(field.name)

    return lambda value: cls(**read_fields(value, known, required))


def hints_of(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields, even if its module was unloaded since."""
    hints: dict[str, Any] = {}
    for cls in reversed(kind.__mro__):
        if "__dataclass_fields__" in vars(cls):
            hints |= get_annotations(cls, globals=cls.__init__.__globals__, eval_str=True)
    return hints


def read_fields(value: Any, readers: Mapping[str, Reader], required: Iterable[str] = ()) -> dict[str, Any]:
    """Read the fields of an object, each with its reader; other keys are refused, all problems at once."""
    if not isinstance(value, dict):
        raise BrokenValueError(f"must be a mapping, not {show(value)}")
    problems: list[tuple[Place, str]] = []
    for name in [name for name in value if name not in readers]:
        near = hint(str(name)[:_SHOWN], readers)
        problems.append(((name,), f"{UNKNOWN_KEY} {show(name)}{near and f'.{near}'}"))
    problems += [((), f"{name} is missing") for name in required if name not in value]
    try:
        read = read_all((name, readers[name], part) for name, part in value.items() if name in readers)
    except BrokenValueError as error:
        problems += error.problems
    if problems:
        raise BrokenValueError(*problems)
    return read


_SCALARS: dict[Any, Reader] = {
    str: read_text, float: read_number, int: read_count, bool: read_flag, Any: read_any
}  # fmt: skip
