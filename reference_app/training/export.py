"""The trained matrices as PEFT's files and as a GGUF adapter for llama.cpp."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from reference_app.models.adapter import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

HEADS = {"q": 9, "k": 3}
_NAME = re.compile(r".*\.layers\.(\d+)\.(?:self_attn|mlp)\.(\w+)_proj\.lora_(A|B)\.weight")
_TARGETS = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def write_adapter(folder: Path, state: Mapping[str, Any], config: Any, *, base: str) -> tuple[Path, ...]:
    """
    `adapter_model.safetensors`, `adapter_config.json` and `adapter.gguf`, all in half precision.

    Args:
        state: Matrices by PEFT's names.
        config: PEFT's.
        base: Fingerprint of the GGUF file of the base.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    half = {name: matrix.to(torch.float16).contiguous() for name, matrix in state.items()}
    save_file(half, folder / "adapter_model.safetensors", metadata={"format": "pt", "base": base})
    (folder / "adapter_model.safetensors").chmod(0o644)
    _write_config(folder, config, base=base)
    write_gguf(
        folder / "adapter.gguf",
        {name: matrix.numpy() for name, matrix in half.items()},
        alpha=config.lora_alpha,
        base=base,
    )
    return tuple(
        folder / name for name in ("adapter_model.safetensors", "adapter_config.json", "adapter.gguf")
    )


def _write_config(folder: Path, config: Any, *, base: str) -> None:
    """PEFT's own file, but without the path of this machine, and in an order that repeats."""
    config.inference_mode = True
    config.save_pretrained(str(folder))
    path = folder / "adapter_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["base_model_name_or_path"] = f"SmolLM2-135M-Instruct.Q4_1-{base}"
    content["target_modules"] = sorted(content["target_modules"])
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def write_gguf(path: Path, matrices: Mapping[str, NDArray[np.float16]], *, alpha: float, base: str) -> None:
    """
    Write PEFT's matrices as a GGUF adapter.

    Raises:
        ValueError: A matrix is of no projection that llama.cpp knows.
    """
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(alpha))
    writer.add_string(BASE, base)
    for name, matrix in matrices.items():
        found = _NAME.fullmatch(name)
        if found is None or found[2] not in _TARGETS:
            raise ValueError(f"{name} is no matrix of a projection.")
        layer, projection, side = found.groups()
        if side == "B" and projection in HEADS:
            matrix = _permute(matrix, HEADS[projection])  # noqa: PLW2901 - the same matrix in llama.cpp's order
        writer.add_tensor(f"blk.{layer}.{_TARGETS[projection]}.weight.lora_{side.lower()}", matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _permute(matrix: NDArray[np.float16], heads: int) -> NDArray[np.float16]:
    """The rows in llama.cpp's order: within a head it keeps the two halves of a rotation side by side."""
    rows, rank = matrix.shape
    return matrix.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank).copy()
