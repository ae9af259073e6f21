"""`bertscore`: each word piece of output and reference against the nearest one of the other, by meaning."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, get_args

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.documents.reading import any_of, checked, list_of, number, read_name, whole
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.declared_metric import DeclaredMetric, fail
from pytest_llmops.metrics.words import find_blank
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.models.minilm import LAYERS
from pytest_llmops.models.pieces import Pieces, encode_pieces, split_pieces
from pytest_llmops.printable import printable
from pytest_llmops.protocols import MetricTraits
from pytest_llmops.records import Bound, Failure, Sample, Score
from pytest_llmops.settings import find_root

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_VERSION = 1  # raised when a change here moves a match
_AT_ONCE = 128  # pairs whose word pieces are held at once
_IN_MEMORY = 8_192
_FAR_AT_MOST = 3
_NEAR = 0.6  # a word of the reference that is as near to one of the output is not reported
Part = Literal["precision", "recall", "f"]
_DIGITS = 4
_BASELINE_AT_MOST = 0.95  # nearer to 1, rounding is all that is left

# Mean precision, recall and F of pairs of unrelated English sentences, by layer;
# benchmarks/bertscore_baseline.py measures them.
BASELINES: Mapping[int, tuple[float, float, float]] = {
    1: (0.3722, 0.3723, 0.3669),
    2: (0.3677, 0.3677, 0.3634),
    3: (0.3501, 0.3501, 0.3471),
    4: (0.3737, 0.3737, 0.3718),
    5: (0.4699, 0.4704, 0.4679),
    6: (0.1278, 0.1281, 0.1248),
}
_FILE = checked(read_name, "the path of a text file with a reference sentence a line")
_LEVEL = number(0, _BASELINE_AT_MOST)
_LEVELS = checked(
    any_of(_LEVEL, list_of(_LEVEL)),
    f"a number from 0 to {_BASELINE_AT_MOST}, or three of them for precision, recall and F",
    lambda levels: isinstance(levels, float) or len(levels) == len(get_args(Part)),
)


class Match(NamedTuple):
    """
    The match of an output's word pieces with a reference's, each part -1 to 1; not a number where no piece
    has a weight.

    Attributes:
        precision: Mean over the output's pieces of the cosine to the nearest one of the reference.
        recall: The same, over the reference's.
        far: The reference's words furthest from those of the output, with their cosine.
    """

    precision: float
    recall: float
    far: tuple[tuple[str, float], ...] = ()

    @property
    def f(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 or math.isnan(total) else 0.0


def match_texts(pairs: Sequence[tuple[str, str]], layer: int, corpus: tuple[str, ...] = ()) -> list[Match]:
    """
    Match each pair of output and reference, each distinct pair once.

    Args:
        corpus: Reference sentences for the weights of word pieces; none weighs all alike.
    """
    setting = (load_embedded().identity, str(_VERSION), str(layer), str(len(corpus)), *corpus)
    keys = [key_of(*setting, str(len(output)), output, reference) for output, reference in pairs]
    pair_of = dict(zip(keys, pairs, strict=True))

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, Match]]:
        weights = _weights(corpus)
        by_length = sorted(fresh, key=lambda key: sum(map(len, pair_of[key])))
        for start in range(0, len(by_length), _AT_ONCE):
            block = by_length[start : start + _AT_ONCE]
            texts = [text for key in block for text in pair_of[key]]
            pieces = encode_pieces(texts, layer, special=True)
            sides = zip(block, pieces[0::2], pieces[1::2], strict=True)
            yield {
                key: _match(output, reference, pair_of[key][1], weights) for key, output, reference in sides
            }

    matches = _memory.recall(keys, make)
    return [matches[key] for key in keys]


def forget() -> None:
    """Drop the matches in memory; the cache keeps its own."""
    _memory.forget()


@lru_cache(maxsize=8)
def _weights(corpus: tuple[str, ...]) -> Mapping[str, float] | None:
    """
    Inverse document frequency of word pieces, the sentences as documents; "" is that of a new piece.

    Source: Zhang et al. (2020), BERTScore, section 3, with the plus one of the package bert-score.
    """
    if not corpus:
        return None
    counts = Counter(piece for pieces in split_pieces(corpus) for piece in set(pieces))
    total = len(corpus) + 1
    return {"": math.log(total), **{piece: math.log(total / (count + 1)) for piece, count in counts.items()}}


def _match(output: Pieces, reference: Pieces, text: str, weights: Mapping[str, float] | None) -> Match:
    """[CLS] and [SEP] weigh nothing, but a piece may be nearest to them."""
    if min(len(output.tokens), len(reference.tokens)) == len(("[CLS]", "[SEP]")):
        return Match(0.0, 0.0)
    cosines = output.vectors @ reference.vectors.T
    nearest = cosines.max(axis=0)[1:-1]
    return Match(
        _mean(cosines.max(axis=1)[1:-1], output.tokens[1:-1], weights),
        _mean(nearest, reference.tokens[1:-1], weights),
        _far(nearest, reference, text),
    )


def _mean(cosines: NDArray[np.float32], tokens: Sequence[str], weights: Mapping[str, float] | None) -> float:
    if weights is None:
        return float(cosines.mean(dtype="f8"))
    weight_of = [weights.get(token, weights[""]) for token in tokens]
    total = sum(weight_of)
    return float(cosines.astype("f8") @ weight_of) / total if total else math.nan


def _far(nearest: NDArray[np.float32], reference: Pieces, text: str) -> tuple[tuple[str, float], ...]:
    """The furthest words, put together from their pieces; a word is as near as its furthest piece."""
    words: list[tuple[int, int, float]] = []
    for token, (start, end), cosine in zip(
        reference.tokens[1:-1], reference.offsets[1:-1], nearest.tolist(), strict=True
    ):
        if words and token.startswith("##"):
            words[-1] = (words[-1][0], end, min(words[-1][2], cosine))
        else:
            words.append((start, end, cosine))
    far = [(text[start:end], cosine) for start, end, cosine in words if cosine < _NEAR]
    far = [(word, round(cosine, 4)) for word, cosine in far if any(map(str.isalnum, word))]
    return tuple(sorted(far, key=lambda word: word[1])[:_FAR_AT_MOST])


def _read(stored: bytes) -> Match | None:
    try:
        precision, recall, far = json.loads(stored)
        return Match(
            float(precision), float(recall), tuple((str(word), float(cosine)) for word, cosine in far)
        )
    except (TypeError, ValueError):
        return None


_memory: Memory[Match] = Memory(
    "match",
    _IN_MEMORY,
    write=lambda match: json.dumps([match.precision, match.recall, match.far]).encode(),
    read=_read,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BertScore(DeclaredMetric):
    """
    Precision, recall or F1 of greedy matching between the word pieces of output and reference, equal to the
    package bert-score with the same model and layer. Finer than one vector a text, and as blind to facts.

    Attributes:
        of: `precision`, `recall` or `f`.
        layer: Of the packaged MiniLM, 1 to 6.
        idf: File with a reference sentence a line; word pieces that many of them contain weigh less.
        baseline: The score of unrelated sentences, one number, or three for precision, recall and F; it
            becomes 0 of the scale.
        rescale: Use the baseline that was measured for the layer.

    Source: Zhang et al. (2020), BERTScore, section 3.
    """

    of: Part = "f"
    layer: Annotated[int, whole(1, LAYERS)] = LAYERS
    idf: Annotated[str, _FILE] | None = None
    baseline: Annotated[float | tuple[float, float, float], _LEVELS] | None = None
    rescale: bool = False
    corpus: tuple[str, ...] = field(init=False, repr=False, default=())

    traits = MetricTraits(
        name="bertscore",
        family="semantic",
        basis="reference",
        version=2,
        needs=frozenset({"reference"}),
        range=(-1.0, 1.0),  # without a baseline
        bound=Bound(comparison=">=", threshold=0.8),
        languages=frozenset({"en"}),
    )
    weights: ClassVar[tuple[str, ...]] = ("minilm",)

    def __post_init__(self) -> None:
        DeclaredMetric.__post_init__(self)
        if self.idf is not None:
            object.__setattr__(self, "corpus", _read_corpus(self.idf))

    @property
    def range(self) -> tuple[float, float]:
        return (self._stretch(-1.0, self.of), 1.0)

    def measure_all(self, samples: Sequence[Sample]) -> Sequence[Score | Failure]:
        # An output without a word matches as an empty one does: not at all.
        pairs = [("" if _blank(sample) else sample.output.text, sample.reference or "") for sample in samples]
        matches = match_texts(pairs, self.layer, self.corpus)
        made = self._describe()
        return [self._read(sample, match, made) for sample, match in zip(samples, matches, strict=True)]

    def _read(self, sample: Sample, match: Match, made: str) -> Score | Failure:
        parts = {part: self._stretch(getattr(match, part), part) for part in get_args(Part)}
        if not all(map(math.isfinite, parts.values())):
            error = (
                "every word piece of the output or of the reference is in every sentence of the idf file, so "
                "that none has a weight"
            )
            if not self.corpus:
                error = "a word piece has a vector that is no number; the weights of the encoder are broken"
            return fail(self, sample, error)
        parts = {part: round(value, _DIGITS) for part, value in parts.items()}
        value = min(1.0, parts[self.of])
        return self.give(
            sample,
            value,
            "" if value == 1.0 else _explain(sample, parts, match),
            evidence=({**parts, "far": [{"word": word, "cosine": cosine} for word, cosine in match.far]},),
            made=made,
        )

    def _stretch(self, value: float, part: Part) -> float:
        baseline = self._baseline[get_args(Part).index(part)]
        return (value - baseline) / (1 - baseline)

    @property
    def _baseline(self) -> tuple[float, float, float]:
        if isinstance(self.baseline, tuple):
            return self.baseline
        if self.baseline is not None:
            return (self.baseline,) * 3
        return BASELINES[self.layer] if self.rescale else (0.0, 0.0, 0.0)

    def _describe(self) -> str:
        parts = [self.of, f"layer{self.layer}", load_embedded().identity]
        if self.corpus:
            parts.append(f"idf-{hashlib.sha256(repr(self.corpus).encode()).hexdigest()[:12]}")
        if any(self._baseline):
            parts.append("baseline-" + ",".join(f"{level:g}" for level in self._baseline))
        return "|".join(parts)


def _blank(sample: Sample) -> str:
    return find_blank(sample.output.text, sample.reference)


def _explain(sample: Sample, parts: Mapping[str, float], match: Match) -> str:
    if blank := _blank(sample):
        return blank
    if not (sample.reference or "").strip():
        return "the reference is empty"
    numbers = f"precision {parts['precision']:.3f}, recall {parts['recall']:.3f}"
    if not match.far:
        return numbers
    words = ", ".join(f"{printable(word, 40)!r} ({cosine:.2f})" for word, cosine in match.far)
    return f"{numbers}; furthest from the output: {words}"


def _read_corpus(written: str) -> tuple[str, ...]:
    path = find_root(Path.cwd()) / written
    try:
        lines = tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise MetricOptionError(
            f"bertscore: idf: {written} cannot be read ({type(error).__name__}); it is a UTF-8 text file "
            "with a reference sentence a line, and its path starts at the project's root"
        ) from None
    if not lines:
        raise MetricOptionError(f"bertscore: idf: {written} holds no sentence")
    return lines
