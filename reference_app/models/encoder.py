"""The embedded text encoder: MiniLM in 8-bit integers on one thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.models.engines import cores

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reference_app.models.weights import Weights

BATCH = 32
MAX_TOKENS = 256


class Encoder:
    """May be called from many threads; a text's vector does not depend on its batch."""

    def __init__(self, weights: Weights) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self.name = weights.encoder_name
        self._tokenizer: Any = Tokenizer.from_file(str(weights.tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(weights.encoder), options, providers=["CPUExecutionProvider"]
        )

    def passage(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of at least one text, shape (texts, 384); text beyond 256 tokens is cut."""
        import numpy as np

        batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
        with ThreadPoolExecutor(cores()) as threads:  # one thread works on one batch, without the GIL
            return np.concatenate(list(threads.map(self._encode_batch, batches)))

    query = passage

    def count_tokens(self, texts: Sequence[str], *, is_query: bool = False) -> int:
        """Tokens of the texts after the cut, padding not counted."""
        del is_query  # all texts are encoded alike
        return sum(sum(encoded.attention_mask) for encoded in self._tokenizer.encode_batch(list(texts)))

    def _encode_batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        encoded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([row.ids for row in encoded], dtype=np.int64)
        mask = np.array([row.attention_mask for row in encoded], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(["last_hidden_state"], inputs)[0]
        mean = (hidden * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        unit: NDArray[np.float32] = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
        return unit


def load_encoder(weights: Weights) -> Encoder:
    """The encoder of these weights, loaded once in a process: loading it costs ten questions."""
    with _loading:
        return _load(weights)


_load, _loading = cache(Encoder), threading.Lock()
