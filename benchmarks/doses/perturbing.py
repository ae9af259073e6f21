"""Adapters that are whole files and not what was trained: with noise, without a layer, at another scale."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader

ALPHA_KEY = "adapter.lora.alpha"
SEED = 11
_Spoil = Callable[[GGUFReader, dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """One kind of damage of one strength; `spoil` of None leaves the adapter as it is."""

    name: str
    label: str
    spoil: _Spoil | None = None


def _add_noise(share: float, _reader: GGUFReader, matrices: dict[str, Any]) -> None:
    random = np.random.default_rng(SEED)
    for _, matrix in sorted(matrices.items()):
        plain = matrix.astype(np.float32)
        matrix[:] = plain + random.normal(0.0, share * float(plain.std()), plain.shape)


def _zero_layer(layer: int, _reader: GGUFReader, matrices: dict[str, Any]) -> None:
    for name, matrix in matrices.items():
        if name.startswith(f"blk.{layer}."):
            matrix[:] = 0


def _scale(by: float, reader: GGUFReader, _matrices: dict[str, Any]) -> None:
    alpha = reader.fields[ALPHA_KEY]
    alpha.parts[alpha.data[0]][0] *= by


DOSES = (
    Dose(name="none", label="unharmed"),
    *(
        Dose(name=f"noise-{share}", label=f"noise of {share} %", spoil=partial(_add_noise, share / 100))
        for share in (10, 50, 100)
    ),
    *(
        Dose(name=f"layer-{layer}", label=f"layer {layer} zeroed", spoil=partial(_zero_layer, layer))
        for layer in (22,)
    ),
    *(Dose(name=f"scale-{by}", label=f"scale {by}", spoil=partial(_scale, by)) for by in (0.5, 1.5)),
)
"""Layers 15 to 29 are trained; 22 is in the middle of them."""


def perturb(adapter: Path, dose: Dose, folder: Path) -> Path:
    """The file `NAME.gguf` in the folder, made anew; the adapter itself where nothing is done to it."""
    if dose.spoil is None:
        return adapter
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dose.name}.gguf"
    shutil.copyfile(adapter, path)
    reader = GGUFReader(path, "r+")  # its arrays are the file itself
    dose.spoil(reader, {tensor.name: tensor.data for tensor in reader.tensors})
    reader.data.flush()
    return path
