"""Where things stand in an adapter's GGUF file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.errors import AppError
from reference_app.models.adapter import BASE as BASE_KEY
from reference_app.models.adapter import is_short, open_gguf, read_text

if TYPE_CHECKING:
    from pathlib import Path

    from gguf import GGUFReader

ALPHA_KEY = "adapter.lora.alpha"
MAX_BYTES = 64 * 1024 * 1024


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
        size = path.stat().st_size
    except OSError as error:
        raise AdapterError(f"The adapter {path} cannot be read: {error.strerror}.") from error
    if size > MAX_BYTES:
        raise AdapterError(f"The adapter {path} is larger than {MAX_BYTES // 2**20} MiB.")
    reader = open_gguf(path)
    if reader is None or is_short(reader):
        raise AdapterError(f"The adapter {path} is no whole GGUF file; build or fetch it again.")
    if (read_text(reader, "general.type"), read_text(reader, "adapter.type")) != ("adapter", "lora"):
        raise AdapterError(f"{path} is a GGUF file, but holds no LoRA adapter.")
    return _lay_out(reader)


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


def _lay_out(reader: GGUFReader) -> Layout:
    return Layout(
        metadata={key: field.contents() for key, field in reader.fields.items()},
        places={
            key: field.offset + sum(part.nbytes for part in field.parts[: field.data[0]])
            for key, field in reader.fields.items()
            if field.data
        },
        tensors={
            tensor.name: Tensor(
                shape=tuple(int(length) for length in reversed(tensor.shape)),
                kind=int(tensor.tensor_type),
                offset=int(tensor.data_offset),
                size=int(tensor.n_bytes),
            )
            for tensor in reader.tensors
        },
    )
