"""
Readers: each takes a JSON value and gives what it must be, or says what is wrong with it, and where.

A value's own reader stands with its field in a record, as `Annotated[int, whole(1, 100)]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeGuard
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
