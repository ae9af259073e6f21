"""
The classifier of `stackone-defender` (extra `app-guards`), read from its package as weights.

Its own code takes all cores, reads 10,000 characters and pads what it batches, which moves a quantised
score. Here a text is read in windows, one at a time, on one thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = "stackone_defender"
WEIGHTS = Path("models", "minilm-multihead-v5")
WINDOW_CHARACTERS = 800
OVERLAP_CHARACTERS = 200
MAX_TOKENS = 256
CUT = 8.2
"""Logit from which one window is an order to the model, without any other sign; attacks reach about 10."""
CUT_PER_DOUBLING = 0.25
"""What is added to `CUT` whenever a text has twice as many windows, each of which may be wrong."""
WEAK_CUT = 4.0
"""The same logit where a pattern finds a weak sign as well."""


@cache
def load_defender() -> Callable[[str], float] | None:
    """The margin by which a text is an order to the model; None where the package is not installed."""
    spec = find_spec(PACKAGE)
    folder = Path(((spec and spec.submodule_search_locations) or [""])[0]) / WEIGHTS
    if not (folder / "model_quantized.onnx").is_file():
        return None
    try:
        import numpy as np
        import onnxruntime
        from tokenizers import Tokenizer
    except ImportError:
        return None
    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "model_quantized.onnx"), options, providers=["CPUExecutionProvider"]
    )

    def measure(window: str) -> float:
        encoded = tokenizer.encode(window)
        inputs = {
            "input_ids": np.array([encoded.ids], dtype=np.int64),
            "attention_mask": np.array([encoded.attention_mask], dtype=np.int64),
        }
        return float(session.run(None, inputs)[0][0][0])

    def find_margin(text: str) -> float:
        windows = list(cut_windows(text))
        return max(map(measure, windows)) - CUT - CUT_PER_DOUBLING * math.log2(len(windows))

    return find_margin


def cut_windows(text: str) -> Iterator[str]:
    """Pieces that overlap, so that an order no longer than the overlap lies in one of them."""
    step = WINDOW_CHARACTERS - OVERLAP_CHARACTERS
    for start in range(0, max(1, len(text) - OVERLAP_CHARACTERS), step):
        yield text[start : start + WINDOW_CHARACTERS]
