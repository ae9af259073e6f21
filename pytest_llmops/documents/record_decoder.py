"""
Records from JSON as bytes, by msgspec: fast, and equal parts of one file are one record.

A text that msgspec refuses may still be a record, with a lone surrogate for example. The readers of
`reading`, made from the same types, decide that and report the problems.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

import msgspec

from pytest_llmops.documents.json_document import parse_unique
from pytest_llmops.documents.reading import Reader, reader_of

_MOST_SHARED = 20_000
"""Parts that are kept to stand for equal ones; where there are more, they are hardly ever equal."""

_LONGEST_SHARED = 10_000  # bytes: longer texts seldom recur

_Count = Annotated[int, msgspec.Meta(ge=0)]
_PLAIN: dict[Any, Any] = {
    str: str, str | None: str | None, float: float, float | None: float | None, bool: bool,
    int: _Count, int | None: _Count | None, tuple[Any, ...]: tuple[Any, ...],
}  # fmt: skip
"""Types of fields that msgspec reads as `reading` does, with the type by which it does so."""

_KEY_END = b'":'
Record = TypeVar("Record")


class RecordDecoder(Generic[Record]):
    """
    Decodes objects of one kind in one file.

    A key with a space before its colon may hide a doubled one; the caller has to look for such spaces.

    Args:
        make: Makes a record of its fields; the kind itself by default.
        without: Fields of the kind that no file has.
        optional: Fields of text without a default that may be missing all the same.
        interned: Fields with few different texts.
        shared: Whether equal records are one.
        readers: Readers of fields for which that of the type is not enough.
        decoders: For the records in fields that are tuples of such.

    Raises:
        msgspec.MsgspecError, RecursionError, ValueError, BrokenValueError: From `read`; it may be no record.
    """

    def __init__(  # noqa: PLR0913 - as `record_reader`
        self,
        kind: type,
        make: Callable[..., Record] | None = None,
        *,
        without: Iterable[str] = (),
        optional: Iterable[str] = (),
        interned: Iterable[str] = (),
        shared: bool = False,
        readers: Mapping[str, Reader] | None = None,
        decoders: Mapping[str, RecordDecoder[Any]] | None = None,
    ) -> None:
        self._make: Callable[..., Any] = make or kind
        self._interned = tuple(interned)
        self._items = {name: decoder.read for name, decoder in (decoders or {}).items()}
        self._parts: dict[str, Callable[[bytes], Any]] = {}
        hints = get_type_hints(kind)
        members: list[tuple[str, Any, Any]] = []
        for field in fields(kind):
            name, hint = field.name, hints[field.name]
            if name in without:
                continue
            if name in self._items:
                plain: Any = tuple[msgspec.Raw, ...]
                plain = plain | None if field.default is None else plain
            elif hint in _PLAIN:
                plain = _PLAIN[hint]
            else:
                plain = msgspec.Raw
                self._parts[name] = _Shared(_part_reader(hint, (readers or {}).get(name))).__getitem__
            required = name not in optional and field.default is field.default_factory is MISSING
            absent = msgspec.NODEFAULT if required else msgspec.UNSET
            members.append((name, plain if required else plain | msgspec.UnsetType, absent))
        structure = msgspec.defstruct(
            kind.__name__, members, forbid_unknown_fields=True, frozen=True, kw_only=True, gc=False
        )
        self._decode_fields = msgspec.json.Decoder(structure).decode
        read = self._read
        if not self._parts and not self._items and make is None:
            self._decode_record: Callable[[bytes], Record] = msgspec.json.Decoder(kind).decode
            read = self._read_plain
        self.read: Callable[[bytes], Record] = _Shared(read).__getitem__ if shared else read

    def _read_plain(self, text: bytes) -> Record:
        """A record whose fields msgspec fills, in less time than one line of Python for each takes."""
        fields = msgspec.structs.astuple(
            self._decode_fields(text)
        )  # refuses unknown keys, unlike a dataclass
        _refuse_doubled_keys(text, fields=len(fields) - fields.count(msgspec.UNSET))
        record: Record = self._decode_record(text)
        for name in self._interned:
            object.__setattr__(record, name, sys.intern(getattr(record, name)))  # nothing shares it yet
        return record

    def _read(self, text: bytes) -> Record:
        fields = msgspec.structs.asdict(self._decode_fields(text))
        fields = {name: value for name, value in fields.items() if value is not msgspec.UNSET}
        parts: list[bytes] = []
        for name in self._parts.keys() & fields.keys():
            parts.append(bytes(fields[name]))
            fields[name] = self._parts[name](parts[-1])
        for name, read in self._items.items():
            if fields.get(name) is not None:
                items = [*map(bytes, fields[name])]
                fields[name] = tuple(map(read, items))
                parts += items
        _refuse_doubled_keys(text, fields=len(fields), parts=parts)
        for name in self._interned:
            if fields.get(name):
                fields[name] = sys.intern(fields[name])
        record: Record = self._make(**fields)
        return record


def _refuse_doubled_keys(text: bytes, *, fields: int, parts: Sequence[bytes] = ()) -> None:
    """
    Parse a record once more where its text has more keys than fields: of doubled keys msgspec keeps the last.

    The keys of parts are not counted, since each part was checked as it was read. A string that contains `":`
    counts as a key, which costs a parse and changes nothing.

    Raises:
        DoubledKeyError: An object has a key twice.
    """
    if text.count(_KEY_END) - b"".join(parts).count(_KEY_END) != fields:
        parse_unique(text.decode())


class _Shared(dict[bytes, Any]):
    """The result of each text, looked up without a call of Python."""

    def __init__(self, make: Callable[[bytes], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: bytes) -> Any:
        made = self._make(text)
        if len(self) < _MOST_SHARED and len(text) < _LONGEST_SHARED:
            self[text] = made
        return made


def _part_reader(hint: Any, reader: Reader | None) -> Callable[[bytes], Any]:
    """Reads a field of this type, out of JSON that msgspec has seen."""
    if reader is None and is_dataclass(hint) and isinstance(hint, type):
        return RecordDecoder(hint).read
    read = reader or reader_of(hint)
    return lambda text: read(parse_unique(text.decode()))
