"""Adapters that look whole and are not, for showing that the gate sees them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from reference_app.training.layout import ALPHA_KEY, read_layout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reference_app.training.layout import Layout

SEED = 11
NOISE = 2.0  # standard deviation of what is added to each matrix, in units of the matrix's own
SCALE = 3.0  # times the alpha it was trained with
SWAPPED = (16, 28)  # of the pairs tried, the one that costs most


def damage(adapter: Path, folder: Path) -> dict[str, Path]:
    """
    Write `noise.gguf`, `scale.gguf` and `swapped.gguf` made from a whole adapter.

    Returns:
        The files by the name of the damage.

    Raises:
        AdapterError: The adapter cannot be read, or is damaged already.
    """
    layout = read_layout(adapter)
    whole = adapter.read_bytes()
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    kinds: dict[str, Callable[[bytearray, Layout], None]] = {
        "noise": _noise,
        "scale": _scale,
        "swapped": _swap,
    }
    for name, spoil in kinds.items():
        data = bytearray(whole)
        spoil(data, layout)
        written[name] = folder / f"{name}.gguf"
        written[name].write_bytes(data)
    return written


def _noise(data: bytearray, layout: Layout) -> None:
    import numpy as np

    random = np.random.default_rng(SEED)
    for _, tensor in sorted(layout.tensors.items()):
        kind = np.float16 if tensor.kind == 1 else np.float32
        raw = bytes(data[tensor.offset : tensor.offset + tensor.size])
        matrix = np.frombuffer(raw, dtype=kind).astype(np.float32)
        spoiled = matrix + random.normal(0.0, NOISE * float(matrix.std()), matrix.shape)
        data[tensor.offset : tensor.offset + tensor.size] = spoiled.astype(kind).tobytes()


def _scale(data: bytearray, layout: Layout) -> None:
    struct.pack_into("<f", data, layout.places[ALPHA_KEY], layout.metadata[ALPHA_KEY] * SCALE)


def _swap(data: bytearray, layout: Layout) -> None:
    first, second = (f"blk.{layer}." for layer in SWAPPED)
    for name, tensor in layout.tensors.items():
        if not name.startswith(first):
            continue
        other = layout.tensors[second + name.removeprefix(first)]
        one = bytes(data[tensor.offset : tensor.offset + tensor.size])
        data[tensor.offset : tensor.offset + tensor.size] = data[other.offset : other.offset + other.size]
        data[other.offset : other.offset + other.size] = one
