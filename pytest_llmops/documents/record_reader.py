"""
JSON values to the records that they must be; what does not fit is reported with its place.

The types of a record's fields say what a file may contain, so no table repeats them. Whole numbers count
something in every file of ours, so they start from 0, but where a field's reader says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from functools import lru_cache
from inspect import get_annotations
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pytest_llmops.documents.value_readers import (
    UNKNOWN_KEY,
    BrokenValueError,
    Reader,
    any_of,
    list_of,
    mapping_of,
    one_of,
    optional,
    read_all,
    read_any,
    read_count,
    read_flag,
    read_number,
    read_text,
    show,
)
from pytest_llmops.errors import hint


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
