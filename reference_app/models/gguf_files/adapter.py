"""Whether a file is an adapter of the chat model, before an engine is given it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from gguf import GGUFReader

BASE = "reference_app.base.fingerprint"
"""The key in a GGUF file of the fingerprint of the weights that the adapter was trained on."""


def check_adapter(path: Path, *, base: str) -> None:
    """
    Look at the head of a GGUF file; its tensors are not read.

    Args:
        path: The file.
        base: Name of the chat model, which ends in the fingerprint of its weights.

    Raises:
        WeightsError: The file is missing, cut short, no LoRA adapter, or of another model.
    """
    if not path.is_file():
        raise WeightsError(f"There is no adapter {path}; REFERENCE_APP_ADAPTER=none does without one.")
    reader = open_gguf(path)
    if reader is None:
        raise WeightsError(f"The adapter {path} is no GGUF file, or was cut short.")
    trained_on = read_text(reader, BASE)
    if read_text(reader, "adapter.type") != "lora" or not reader.tensors or is_short(reader):
        raise WeightsError(f"The GGUF file {path} holds no whole LoRA adapter.")
    if trained_on is not None and not base.endswith(trained_on):
        raise WeightsError(
            f"The adapter {path} was trained on {trained_on[:100]!r}, and the chat model is {base!r}."
        )


def open_gguf(path: Path) -> GGUFReader | None:
    """A reader that maps the file; None where it is no GGUF file, or ends within its head or a tensor."""
    from gguf import GGUFReader

    try:
        return GGUFReader(path)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError):
        return None


def is_short(reader: GGUFReader) -> bool:
    """Whether a tensor ends before all of it is there."""
    return any(tensor.data.nbytes != tensor.n_bytes for tensor in reader.tensors)


def read_text(reader: GGUFReader, key: str) -> str | None:
    """A value of the head."""
    field = reader.get_field(key)
    return None if field is None else str(field.contents())
