"""
Records from JSON as bytes, by msgspec: fast, and equal parts of one file are one record.

Nothing is reported here. What msgspec refuses may be none, or hold what it does not know, such as a lone
surrogate; the readers of `record_reader` decide that, from the same types.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
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
_ABSENT = msgspec.Raw(b"")
_KEY = b'":'
Record = TypeVar("Record")


class RecordDecoder(Generic[Record]):
    """
    Decodes objects of one kind in one file.

    Of a doubled key, msgspec takes the last one, so keys are counted: as many keys as fields are one each.
    Where there are more, as within the evidence of a score, the text is parsed once more. A key with a
    space before its colon is not counted; the caller has to look for one.

    Args:
        make: What a record is made with; the kind itself by default.
        without: Fields of the kind that no file has.
        optional: Fields of text without a default that may be missing all the same.
        interned: Fields with few different texts.
        shared: Whether equal records are one.
        readers: For fields that are read otherwise than their type says.
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
        self._decoders = {name: decoder.read for name, decoder in (decoders or {}).items()}
        self._parts: dict[str, Callable[[bytes], Any]] = {}
        hints = get_type_hints(kind)
        members: list[tuple[str, Any, Any]] = []
        for each in (each for each in fields(kind) if each.name not in without):
            default = "" if each.name in optional else each.default
            written = _PLAIN.get(hints[each.name])
            if each.name in self._decoders:
                written = tuple[msgspec.Raw, ...]
                written = written | None if default is None else written
            elif written is None:
                reader = (readers or {}).get(each.name)
                self._parts[each.name] = _Shared(_reading(hints[each.name], reader)).__getitem__
            if written is None:
                written, default = msgspec.Raw, _ABSENT
            elif default is not MISSING:
                written, default = written | msgspec.UnsetType, msgspec.UNSET
            members.append((each.name, written, msgspec.NODEFAULT if default is MISSING else default))
        structure = msgspec.defstruct(
            kind.__name__, members, forbid_unknown_fields=True, frozen=True, kw_only=True, gc=False
        )
        self._decode = msgspec.json.Decoder(structure).decode
        read = self._read
        if not self._parts and not self._decoders and make is None:
            self._decode_record: Callable[[bytes], Record] = msgspec.json.Decoder(kind).decode
            read = self._read_plain
        self.read: Callable[[bytes], Record] = _Shared(read).__getitem__ if shared else read

    def _read_plain(self, text: bytes) -> Record:
        """The record without a line of Python for its fields: msgspec fills it, unknown keys or not."""
        values = msgspec.structs.astuple(self._decode(text))  # refuses them
        if text.count(_KEY) != len(values) - values.count(msgspec.UNSET):
            parse_unique(text.decode())
        record: Record = self._decode_record(text)
        for name in self._interned:
            object.__setattr__(record, name, sys.intern(getattr(record, name)))  # nobody else has it yet
        return record

    def _read(self, text: bytes) -> Record:
        values = msgspec.structs.asdict(self._decode(text))
        if msgspec.UNSET in values.values():
            values = {name: value for name, value in values.items() if value is not msgspec.UNSET}
        inner: list[bytes] = []
        for name, part in self._parts.items():
            if written := bytes(values[name]):
                values[name] = part(written)
                inner.append(written)
            else:
                del values[name]
        for name, read in self._decoders.items():
            if values.get(name) is not None:
                parts = [*map(bytes, values[name])]
                values[name] = tuple(map(read, parts))
                inner += parts
        if text.count(_KEY) - b"".join(inner).count(_KEY) != len(values):
            parse_unique(text.decode())
        for name in self._interned:
            if values.get(name):
                values[name] = sys.intern(values[name])
        record: Record = self._make(**values)
        return record


class _Shared(dict[bytes, Any]):
    """What was made of each text; looked up without a call of Python."""

    def __init__(self, make: Callable[[bytes], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, text: bytes) -> Any:
        made = self._make(text)
        if len(self) < _MOST_SHARED and len(text) < _LONGEST_SHARED:
            self[text] = made
        return made


def _reading(hint: Any, reader: Reader | None) -> Callable[[bytes], Any]:
    """What reads a field of this type out of JSON that msgspec has seen."""
    if reader is None and is_dataclass(hint) and isinstance(hint, type):
        return RecordDecoder(hint).read
    read = reader or reader_of(hint)
    return lambda text: read(parse_unique(text.decode()))
