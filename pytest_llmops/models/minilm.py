"""
MiniLM's forward pass in numpy.

Texts lie one after another in one matrix, so no layer spends time on padding, and a text's vector
depends on its batch by no more than rounding. Only attention looks at texts one length at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float32]

LAYERS, _HEADS, _WIDTH = 6, 12, 384
_EPSILON = 1e-12
_BLOCK = 128  # rows of the feed-forward layer at once: the values between its two products stay in cache
LONGEST = 256  # word pieces of a text that are read, as sentence-transformers does for this model
_READ_AT_MOST = 20_000  # characters given to the tokenizer: 256 word pieces are far shorter in any language


class WordPieceTokenizer:
    """
    The tokenizer of packaged weights, without padding.

    Args:
        definition: The contents of `tokenizer.json`.
        longest: Word pieces of a text that are read, [CLS] and [SEP] included.
        characters: Of a text, those that are looked at; None for all.
    """

    def __init__(self, definition: bytes, *, longest: int, characters: int | None = None) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_str(definition.decode())
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(longest)
        self._characters = characters

    def encode(self, text: str) -> Any:
        """The ids, tokens and offsets of the text's word pieces; halves of surrogate pairs count as `?`."""
        return self._tokenizer.encode(text[: self._characters].encode(errors="replace").decode())


class _Product(NamedTuple):
    """A linear layer for rows from the left."""

    weight: Matrix
    bias: Matrix


class _Layer(NamedTuple):
    qkv: _Product
    attended: _Product
    attended_norm: tuple[Matrix, Matrix]
    inner: _Product
    outer: _Product
    outer_norm: tuple[Matrix, Matrix]


class MiniLM:
    """
    The sentence encoder all-MiniLM-L6-v2: 384 dimensions, mean of the last layer's word pieces.

    Source: Reimers and Gurevych (2019), Sentence-BERT; Devlin et al. (2019), BERT, for the layers.
    """

    dimensions = _WIDTH

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        definition = (folder / "tokenizer.json").read_bytes()
        self._tokenizer = WordPieceTokenizer(definition, longest=LONGEST, characters=_READ_AT_MOST)
        weights = load_file(folder / "model.safetensors")
        self._words = weights["embeddings.word_embeddings.weight"]
        self._places = (
            weights["embeddings.position_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._norm = _norm(weights, "embeddings.LayerNorm")
        self._layers = [_layer(weights, f"encoder.layer.{number}.") for number in range(LAYERS)]

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Word piece ids, [CLS] and [SEP] included, at most `LONGEST` a text."""
        return [self._tokenizer.encode(text).ids for text in texts]

    def forward(self, ids: Sequence[Sequence[int]]) -> Matrix:
        """Unit vectors of shape (texts, 384); texts of one length must stand together."""
        import numpy as np

        hidden = self.pieces(ids)
        starts = np.cumsum([0, *(len(text) for text in ids)])[:-1]
        sums = np.add.reduceat(hidden, starts, axis=0)
        sums /= np.linalg.norm(sums, axis=1, keepdims=True)
        return sums

    def pieces(self, ids: Sequence[Sequence[int]], layer: int = LAYERS) -> Matrix:
        """
        The word pieces of the texts after that layer, one text after another: shape (pieces, 384).

        Args:
            ids: Texts of one length must stand together.
            layer: Counts from 1; 0 is the embeddings.
        """
        import numpy as np

        groups = [(length, len(list(group))) for length, group in groupby(ids, key=len)]
        places = np.concatenate([np.tile(np.arange(length), count) for length, count in groups])
        hidden = self._words[np.concatenate([np.asarray(text) for text in ids])] + self._places[places]
        hidden = _normalize(hidden, self._norm)
        for weights in self._layers[:layer]:
            mixed = _attend(hidden @ weights.qkv.weight + weights.qkv.bias, groups)
            mixed = mixed @ weights.attended.weight
            mixed += weights.attended.bias
            mixed += hidden
            hidden = _normalize(mixed, weights.attended_norm)
            fed = np.empty_like(hidden)
            for start in range(0, len(hidden), _BLOCK):
                inner = hidden[start : start + _BLOCK] @ weights.inner.weight
                inner += weights.inner.bias
                np.matmul(gelu(inner), weights.outer.weight, out=fed[start : start + _BLOCK])
            fed += weights.outer.bias
            fed += hidden
            hidden = _normalize(fed, weights.outer_norm)
        return hidden


def gelu(x: Matrix) -> Matrix:
    """
    The value times the normal distribution's share below it, to 2e-7.

    Written as max(x, 0) - |x| erfc(|x| / sqrt 2) / 2, which keeps its precision on both sides. SciPy's
    erf takes as long as both products of the layer together, this a tenth of it.

    Source: Abramowitz and Stegun (1964), 7.1.26.
    """
    import numpy as np

    size = np.abs(x)
    t = np.multiply(size, 0.3275911 / 2**0.5)
    t += 1
    np.reciprocal(t, out=t)
    tail = t * (1.061405429 / 2)
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail += coefficient / 2
        tail *= t
    tail *= size
    size *= size
    size *= -0.5
    tail *= np.exp(size, out=size)
    np.maximum(x, 0, out=t)
    t -= tail
    return t


def _attend(qkv: Matrix, groups: Sequence[tuple[int, int]]) -> Matrix:
    """Multi-head attention inside each text; rows as in `forward`, queries already scaled."""
    import numpy as np

    mixed = np.empty((len(qkv), _WIDTH), dtype=np.float32)
    start = 0
    for length, count in groups:
        rows = slice(start, start + length * count)
        start = rows.stop
        parts = qkv[rows].reshape(count, length, 3, _HEADS, -1).transpose(2, 0, 3, 1, 4)
        query, key, value = parts[0], parts[1], parts[2]
        weights = query @ key.swapaxes(-1, -2)
        weights -= weights.max(axis=-1, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed[rows] = (weights @ value).transpose(0, 2, 1, 3).reshape(-1, _WIDTH)
    return mixed


def _normalize(x: Matrix, norm: tuple[Matrix, Matrix]) -> Matrix:
    """Layer normalisation in place."""
    import numpy as np

    x -= x.mean(axis=1, keepdims=True)
    spread = np.einsum("ij,ij->i", x, x)[:, None] / _WIDTH
    x /= np.sqrt(spread + _EPSILON)
    x *= norm[0]
    x += norm[1]
    return x


def _norm(weights: dict[str, Matrix], name: str) -> tuple[Matrix, Matrix]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]


def _layer(weights: dict[str, Matrix], name: str) -> _Layer:
    """One layer's weights; the attention's scale is in the queries."""
    import numpy as np

    def product(part: str) -> _Product:
        return _Product(weights[f"{name}{part}.weight"].T, weights[f"{name}{part}.bias"])

    scale = (_WIDTH / _HEADS) ** -0.5
    query, key, value = (product(f"attention.self.{part}") for part in ("query", "key", "value"))
    return _Layer(
        qkv=_Product(
            np.concatenate([query.weight.T * scale, key.weight.T, value.weight.T]).T,
            np.concatenate([query.bias * scale, key.bias, value.bias]),
        ),
        attended=product("attention.output.dense"),
        attended_norm=_norm(weights, f"{name}attention.output.LayerNorm"),
        inner=product("intermediate.dense"),
        outer=product("output.dense"),
        outer_norm=_norm(weights, f"{name}output.LayerNorm"),
    )
