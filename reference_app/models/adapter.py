"""LoRA adapters of the small chat model, as GGUF files."""

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
    Look at the head of a GGUF file; whether its matrices fit is found when an engine loads it.

    Args:
        path: The file.
        base: Name of the chat model, which ends in the fingerprint of its weights.

    Raises:
        WeightsError: The file is missing, cut short, no LoRA adapter, or of another model.
    """
    from gguf import GGUFReader

    if not path.is_file():
        raise WeightsError(f"There is no adapter {path}; REFERENCE_APP_ADAPTER=none does without one.")
    try:
        reader = GGUFReader(path)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError):
        raise WeightsError(f"The adapter {path} is no GGUF file, or was cut short.") from None
    whole = reader.tensors and all(tensor.data.nbytes == tensor.n_bytes for tensor in reader.tensors)
    if _read(reader, "adapter.type") != "lora" or not whole:
        raise WeightsError(f"The GGUF file {path} holds no whole LoRA adapter.")
    trained_on = _read(reader, BASE)
    if trained_on is not None and not base.endswith(trained_on):
        raise WeightsError(
            f"The adapter {path} was trained on {trained_on[:100]!r}, and the chat model is {base!r}."
        )


def _read(reader: GGUFReader, key: str) -> str | None:
    field = reader.get_field(key)
    return None if field is None else str(field.contents())
