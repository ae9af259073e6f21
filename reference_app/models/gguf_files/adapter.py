"""Whether a file is an adapter of the chat model, before an engine is given it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from reference_app.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping
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


def check_fit(path: Path, chat: Path) -> None:
    """
    Look whether an adapter that does not say what it was trained on has the model's form.

    The chat model's head is read for it, which takes two seconds, once in a process; an adapter with a
    fingerprint needs none.

    Args:
        path: A file that `check_adapter` passed.
        chat: The chat model's weights, as packaged.

    Raises:
        WeightsError: It is of another architecture, or a matrix of it fits none of the chat model's.
    """
    adapter = open_gguf(path)
    if adapter is None or read_text(adapter, BASE) is not None or (form := _read_form(chat)) is None:
        return
    made_for = read_text(adapter, "general.architecture")
    if made_for != form.architecture:
        raise WeightsError(
            f"The adapter {path} was made for a model of the architecture {str(made_for)[:100]!r}, and the "
            f"chat model's is {form.architecture!r}."
        )
    for tensor in adapter.tensors:
        place, size = form.sizes.get(tensor.name, (0, -1))
        if tensor.shape.tolist()[place : place + 1] != [size]:
            raise WeightsError(
                f"The adapter {path} was made for another model: its {tensor.name[:100]} fits no matrix of "
                f"{chat.name}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """
    Attributes:
        sizes: Name of a matrix of a LoRA pair to one side of it, `a` its columns and `b` its rows, as the
            chat model's matrix has it; the other side is the rank.
    """

    architecture: str | None
    sizes: Mapping[str, tuple[int, int]]


@cache
def _read_form(chat: Path) -> _Form | None:
    reader = open_gguf(chat)
    if reader is None:
        return None
    sizes = {
        f"{tensor.name}.lora_{side}": (place, size)
        for tensor in reader.tensors
        for place, (side, size) in enumerate(zip("ab", tensor.shape.tolist(), strict=False))
    }
    return _Form(architecture=read_text(reader, "general.architecture"), sizes=sizes)


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
