"""
The packaged classifier of texts that try to instruct a model: a quantised MiniLM with two heads.

Texts pass one at a time and unpadded: the quantisation is dynamic, so the other texts of
a batch would move its logits.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_llmops.errors import MissingExtraError, WeightsError
from pytest_llmops.models import weights
from pytest_llmops.models.minilm import WordPieceTokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

WEIGHTS = "injection"
EXTRA = "injection"
HASHES = {
    "model_quantized.onnx": "3d4a1ba798c395c140202992c50e6c8de02fb1b9bd5aba6540848705b9c1e92c",
    "tokenizer.json": "0d3aef594edd5f9b53e7f814277a9171dc70ff93eb66bda6e01f7aa53997d963",
}
LONGEST = 512  # word pieces; the positions that the network knows
_POOLED = b"/Cast_1_output_0"


_loading = Lock()


class Reply(NamedTuple):
    """
    The network's numbers for one text.

    Attributes:
        main: Logit of "this instructs the model".
        aux: Logit of its second head, "this speaks about such instructions".
        pooled: The mean of the last layer's word pieces, 384 numbers.
    """

    main: float
    aux: float
    pooled: Vector


class InjectionClassifier:
    """
    One loaded network.

    Raises:
        WeightsError: The files are not those that are pinned.
    """

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        model, tokenizer = (_read_pinned(folder / name) for name in HASHES)
        self._tokenizer = WordPieceTokenizer(tokenizer, longest=LONGEST)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            _with_output(model, _POOLED), options, providers=["CPUExecutionProvider"]
        )

    def read(self, text: str) -> Reply:
        """Read a text; of a long one, its first `LONGEST` word pieces."""
        import numpy as np

        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        logits, pooled = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        if not np.isfinite(logits).all():
            raise WeightsError("the injection classifier gave a number that is none; its weights are broken")
        return Reply(float(logits[0, 0]), float(logits[0, 1]), pooled[0])


def load() -> InjectionClassifier:
    """The classifier, once a process."""
    with _loading:
        try:
            return _load(weights.find(WEIGHTS))
        except ImportError:
            raise MissingExtraError("injection", EXTRA) from None


def forget() -> None:
    """Load it anew when it is needed next."""
    _load.cache_clear()


def describe() -> str:
    """The weights, for signatures: the digest begins that of the network."""
    return f"weights {HASHES['model_quantized.onnx'][:12]}"


@lru_cache(maxsize=1)
def _load(folder: Path) -> InjectionClassifier:
    return InjectionClassifier(folder)


def _read_pinned(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error})") from None
    if sha256(data).hexdigest() != HASHES[path.name]:
        raise WeightsError(
            f"{path} is not the pinned file, so it is not used; delete it, then run: "
            f"llmops models pull {WEIGHTS}"
        )
    return data


def _with_output(model: bytes, name: bytes) -> bytes:
    """
    The ONNX file with one more output of its graph, by name.

    Protocol Buffers merge a message that occurs twice, so a second `graph` (field 7) with a single `output`
    (field 12) of that name (field 1) adds to the first.
    """
    for field in (1, 12, 7):
        name = bytes([field << 3 | 2, len(name)]) + name
    return model + name
