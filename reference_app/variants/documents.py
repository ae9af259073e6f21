"""What the examples on documents share: the shop's sections, and vectors of texts by all-MiniLM-L6-v2."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

KNOWLEDGE, DATA = (Path(__file__).parents[1] / name for name in ("knowledge", "data"))
DIMENSIONS = 384
BATCH = 16  # texts that the network reads at once
_SECTION = re.compile(r"^## (.+?) \{#(.+?)\}\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class Section(NamedTuple):
    """The smallest thing that is found and cited; `id` is `returns#window`."""

    id: str
    title: str
    heading: str
    text: str
    updated: str

    @property
    def headed(self) -> str:
        """As it is indexed: a text that tells what it is about."""
        return f"{self.title}: {self.heading}. {self.text}"


@cache
def load_sections() -> tuple[Section, ...]:
    """Every section of the shop's documents, in the order of the files."""
    sections = []
    for path in sorted(KNOWLEDGE.glob("*.md")):
        _, front, body = path.read_text(encoding="utf-8").split("---\n", 2)
        about = dict(line.split(": ", 1) for line in front.splitlines())
        sections += [
            Section(
                f"{about['id']}#{anchor}", about["title"], heading, " ".join(text.split()), about["updated"]
            )
            for heading, anchor, text in _SECTION.findall(body)
        ]
    return tuple(sections)


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors, shape (texts, 384), by the weights that `llmops models pull` has downloaded."""
    import numpy as np

    tokenizer, network = _open_encoder()
    rows = []
    for start in range(0, len(texts), BATCH):
        encoded = tokenizer.encode_batch(list(texts[start : start + BATCH]))
        ids = np.array([each.ids for each in encoded])
        mask = np.array([each.attention_mask for each in encoded])
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = network.run(None, given)
        mean = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        rows.append(mean / np.linalg.norm(mean, axis=1, keepdims=True))
    return np.vstack(rows).astype(np.float32)


@cache
def _open_encoder() -> tuple[Any, Any]:
    import onnxruntime
    import platformdirs
    from tokenizers import Tokenizer

    cached = platformdirs.user_cache_path("pytest-llmops") / "weights"
    folder = Path(os.environ.get("LLMOPS_WEIGHTS") or cached)
    tokenizer = Tokenizer.from_file(str(folder / "minilm" / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    return tokenizer, onnxruntime.InferenceSession(str(folder / "minilm-int8" / "model.onnx"))
