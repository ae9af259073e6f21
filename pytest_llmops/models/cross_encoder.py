"""
Models that read two texts at once: a rating of the pair, or whether the second text follows from the first.

Each distinct pair is read once, by any model that the CrossEncoder of sentence-transformers can load.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.errors import WeightsError
from pytest_llmops.models.encoders import identify_model, load_model
from pytest_llmops.printable import counted

Relation = tuple[float, float]
"""Probabilities of entailment and of contradiction; the rest is neutral."""

_IN_MEMORY = 65_536  # pairs
_AT_ONCE = 1_024  # pairs given to a model, which sorts them by length
_BATCH = 32
_SUM_AT_MOST = 1 + 1e-6


def _open_memory(kind: str, count: int) -> Memory[tuple[float, ...]]:
    """Keeps the `count` probabilities of each pair."""
    form = f"<{count}d"

    def write(probabilities: tuple[float, ...]) -> bytes:
        return struct.pack(form, *probabilities)

    def read(stored: bytes) -> tuple[float, ...] | None:
        if len(stored) != struct.calcsize(form):
            return None
        probabilities = struct.unpack(form, stored)
        return probabilities if min(probabilities) >= 0 and sum(probabilities) <= _SUM_AT_MOST else None

    return Memory(kind, _IN_MEMORY, write, read)


_ratings = _open_memory("cross", 1)
_relations = _open_memory("entailment", 2)
_predicting = Lock()


def rate_pairs(model: str, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """
    The model's number for each pair, 0 to 1: the sigmoid of its logit. Not a number where weights are broken.

    Args:
        model: A folder or hub name.

    Raises:
        WeightsError, MissingExtraError: Some pair is in no cache and the model cannot be loaded, or it gives
            more than one number for a pair.
    """
    return [rating for (rating,) in _read_pairs(_ratings, identify_rater(model), pairs, model, _rate)]


def relate_pairs(model: str, pairs: Sequence[tuple[str, str]]) -> list[Relation]:
    """
    Decide for each pair if its second text follows from the first.

    A model that gives one number rates entailment only: the sigmoid of its logit.

    Args:
        model: A folder or hub name.

    Raises:
        WeightsError, MissingExtraError: The model cannot be loaded, or has other labels.
    """
    relations = _read_pairs(_relations, identify_entailment(model), pairs, model, _relate)
    return [(entailment, contradiction) for entailment, contradiction in relations]


def identify_rater(model: str) -> str:
    """The weights in signatures of ratings: by content for a folder."""
    return f"cross-{identify_model(model)}"


def identify_entailment(model: str) -> str:
    """The weights in signatures of relations: by content for a folder."""
    return f"entailment-{identify_model(model)}"


def forget() -> None:
    """Drop the numbers in memory; the cache keeps its own."""
    _ratings.forget()
    _relations.forget()


def _read_pairs(
    memory: Memory[tuple[float, ...]],
    identity: str,
    pairs: Sequence[tuple[str, str]],
    model: str,
    read: Callable[[str, Sequence[tuple[str, str]]], Sequence[tuple[float, ...]]],
) -> list[tuple[float, ...]]:
    """The probabilities of each pair, from the memory or from `read`, which gets blocks of like length."""
    keys = [key_of(identity, str(len(first)), first, second) for first, second in pairs]
    pair_of = dict(zip(keys, pairs, strict=True))

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, tuple[float, ...]]]:
        by_length = sorted(fresh, key=lambda key: sum(map(len, pair_of[key])))
        for start in range(0, len(by_length), _AT_ONCE):
            block = by_length[start : start + _AT_ONCE]
            yield dict(zip(block, read(model, [pair_of[key] for key in block]), strict=True))

    probabilities = memory.recall(keys, make)
    return [probabilities[key] for key in keys]


def _rate(model: str, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, ...]]:
    logits = _predict(model, pairs)
    if getattr(logits, "ndim", 1) != 1:
        raise WeightsError(
            f"cross-encoder {model!r} gives {counted(logits.shape[1], 'number')} for a pair, so it is a "
            "classifier (of entailment, it may be); name a model that gives one"
        )
    return [(_sigmoid(float(logit)),) for logit in logits]


def _sigmoid(logit: float) -> float:
    if math.isnan(logit):
        return math.nan
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else 1 - 1 / (1 + math.exp(max(logit, -700.0)))


def _relate(model: str, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, ...]]:
    import numpy as np

    logits = np.asarray(_predict(model, pairs), dtype=np.float64)
    if not np.isfinite(logits).all():
        raise WeightsError(f"{model!r} gave a number that is none; its weights are broken")
    if logits.ndim == 1 or logits.shape[1] == 1:
        return [(float(share), 0.0) for share in 1 / (1 + np.exp(-np.clip(logits.ravel(), -700, 700)))]
    entailment, contradiction = _find_columns(model, _network(model).model.config.id2label, logits.shape[1])
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    against = shares[:, contradiction] if contradiction is not None else np.zeros(len(shares))
    return list(zip(shares[:, entailment].tolist(), against.tolist(), strict=True))


def _find_columns(model: str, labels: Mapping[Any, Any], count: int) -> tuple[int, int | None]:
    """The columns of entailment and of contradiction, by the labels' names."""
    names = {int(column): str(name).lower() for column, name in labels.items()}
    entailment = [column for column, name in names.items() if name.startswith("entail")]
    contradiction = [column for column, name in names.items() if name.startswith("contradict")]
    if len(entailment) != 1 or len(names) != count:
        raise WeightsError(
            f"{model!r} is no model of entailment: its labels are {', '.join(names.values())}; "
            "one of them has to be entailment"
        )
    return entailment[0], contradiction[0] if contradiction else None


def _predict(model: str, pairs: Sequence[tuple[str, str]]) -> Any:
    with _predicting:
        return _network(model).predict(
            [list(pair) for pair in pairs],
            batch_size=_BATCH,
            show_progress_bar=False,
            # Left raw: the library's own activation differs between models and versions.
            activation_fn=lambda logits: logits,
        )


@lru_cache(maxsize=4)
def _network(model: str) -> Any:
    return load_model("CrossEncoder", f"cross-encoder {model!r}", model)
