"""A training that was killed goes on from its last checkpoint."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Checkpoints:
    """One file a stage, written beside and renamed, so that a kill leaves the last whole one."""

    def __init__(self, folder: Path, *, signature: str) -> None:
        """
        Args:
            signature: Of data, base and hyperparameters; a checkpoint of another one is not taken up.
        """
        self._folder, self._signature = folder, signature
        folder.mkdir(parents=True, exist_ok=True)

    def load(self, stage: str) -> dict[str, Any] | None:
        """What was saved last, None without a checkpoint of this signature."""
        import torch

        path = self._path(stage)
        if not path.is_file():
            return None
        saved: dict[str, Any] = torch.load(path, weights_only=True)
        return saved if saved.pop("signature") == self._signature else None

    def save(self, stage: str, content: dict[str, Any]) -> None:
        """Replace the stage's checkpoint."""
        import torch

        beside = self._path(stage).with_suffix(f".{os.getpid()}.part")
        torch.save({**content, "signature": self._signature}, beside)
        beside.replace(self._path(stage))

    def _path(self, stage: str) -> Path:
        return self._folder / f"{stage}.checkpoint"


def clear_checkpoints(folder: Path) -> None:
    """Forget every stage of a training."""
    for path in folder.glob("*.checkpoint"):
        path.unlink()
