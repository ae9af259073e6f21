"""Where things stand in an adapter's GGUF file; read without the libraries of the training."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError

if TYPE_CHECKING:
    from pathlib import Path

BASE_KEY = "reference_app.base.fingerprint"
ALPHA_KEY = "adapter.lora.alpha"
MAX_BYTES = 64 * 1024 * 1024
_MAGIC = b"GGUF"
_FORMATS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
_ITEM_BYTES = {0: 4, 1: 2}  # float32 and float16, the only kinds an adapter holds
_ALIGNMENT = 32


class AdapterError(AppError):
    """The file of the adapter is missing, damaged, or made for another base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """
    A matrix in the file.

    Attributes:
        shape: Rows first, as numpy has it.
        offset: Of its first byte in the file.
    """

    shape: tuple[int, ...]
    kind: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """
    Metadata and matrices of an adapter.

    Attributes:
        places: Offset of each metadata value in the file.
    """

    metadata: dict[str, Any]
    places: dict[str, int]
    tensors: dict[str, Tensor]


def read_layout(path: Path) -> Layout:
    """
    The layout of a GGUF adapter.

    Raises:
        AdapterError: The file cannot be read, is no GGUF adapter, or ends before its last matrix.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise AdapterError(f"The adapter {path} is larger than {MAX_BYTES // 2**20} MiB.")
        data = path.read_bytes()
    except OSError as error:
        raise AdapterError(f"The adapter {path} cannot be read: {error.strerror}.") from error
    try:
        layout = _Reader(data).layout()
    except (struct.error, ValueError, KeyError, IndexError) as error:
        raise AdapterError(f"The adapter {path} is no whole GGUF file; build or fetch it again.") from error
    if layout.metadata.get("general.type") != "adapter" or layout.metadata.get("adapter.type") != "lora":
        raise AdapterError(f"{path} is a GGUF file, but holds no LoRA adapter.")
    return layout


def check_base(path: Path, base: str) -> None:
    """
    Refuse an adapter that was trained on other weights.

    Args:
        base: Fingerprint of the weights it is to be used with.

    Raises:
        AdapterError: It was, or it does not say.
    """
    made_for = read_layout(path).metadata.get(BASE_KEY)
    if made_for != base:
        raise AdapterError(
            f"The adapter {path} was trained on weights {str(made_for)[:16]!r}, the model has {base!r}. "
            "Use the weights it was made for, or train it again with `make adapter`."
        )


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def layout(self) -> Layout:
        if self._data[:4] != _MAGIC:
            raise ValueError("no magic")
        self._at = 4
        self._number("<I")  # the version of the format
        tensor_count, pair_count = self._number("<Q"), self._number("<Q")
        metadata: dict[str, Any] = {}
        places: dict[str, int] = {}
        for _ in range(pair_count):
            key, kind = self._text(), self._number("<I")
            places[key] = self._at
            metadata[key] = self._value(kind)
        heads = [
            (self._text(), self._shape(), self._number("<I"), self._number("<Q")) for _ in range(tensor_count)
        ]
        start = -(-self._at // _ALIGNMENT) * _ALIGNMENT
        tensors: dict[str, Tensor] = {}
        for name, shape, kind, offset in heads:
            size = _ITEM_BYTES[kind]
            for length in shape:
                size *= length
            if start + offset + size > len(self._data):
                raise ValueError("truncated")
            tensors[name] = Tensor(shape=shape, kind=kind, offset=start + offset, size=size)
        return Layout(metadata=metadata, places=places, tensors=tensors)

    def _number(self, form: str) -> Any:
        value = struct.unpack_from(form, self._data, self._at)[0]
        self._at += struct.calcsize(form)
        return value

    def _text(self) -> str:
        length = self._number("<Q")
        raw = self._data[self._at : self._at + length]
        if len(raw) < length:
            raise ValueError("truncated")
        self._at += length
        return raw.decode()

    def _shape(self) -> tuple[int, ...]:
        return tuple(reversed([self._number("<Q") for _ in range(self._number("<I"))]))

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            inner, count = self._number("<I"), self._number("<Q")
            if count > len(self._data):
                raise ValueError("truncated")
            return [self._value(inner) for _ in range(count)]
        return self._number(_FORMATS[kind])
