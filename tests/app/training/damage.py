"""Adapters that look whole and are not, for showing that the gate sees them."""

from __future__ import annotations

import shutil

import numpy as np
from gguf import GGUFReader

ALPHA_KEY = "adapter.lora.alpha"
SEED = 11
NOISE = 2.0  # standard deviation of what is added to each matrix, in units of the matrix's own
SCALE = 3.0  # times the alpha it was trained with
SWAPPED = (16, 28)  # of the pairs tried, the one that costs most


def damage(adapter, folder):
    """Write `noise.gguf`, `scale.gguf` and `swapped.gguf` made from a whole adapter; returns them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, spoil in {"noise": _noise, "scale": _scale, "swapped": _swap}.items():
        written[name] = shutil.copyfile(adapter, folder / f"{name}.gguf")
        reader = GGUFReader(written[name], "r+")  # its arrays are the file itself
        spoil(reader, {tensor.name: tensor.data for tensor in reader.tensors})
        reader.data.flush()
    return written


def _noise(_, matrices):
    random = np.random.default_rng(SEED)
    for _, matrix in sorted(matrices.items()):
        plain = matrix.astype(np.float32)
        matrix[:] = plain + random.normal(0.0, NOISE * float(plain.std()), plain.shape)


def _scale(reader, _):
    alpha = reader.get_field(ALPHA_KEY)
    alpha.parts[alpha.data[0]][0] *= SCALE


def _swap(_, matrices):
    first, second = (f"blk.{layer}." for layer in SWAPPED)
    for name, matrix in matrices.items():
        if name.startswith(first):
            other = matrices[second + name.removeprefix(first)]
            matrix[:], other[:] = other.copy(), matrix.copy()
