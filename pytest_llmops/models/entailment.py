"""Models that decide whether one text follows from another: a classifier of three labels, or one number."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pytest_llmops.cache import Memory
from pytest_llmops.errors import WeightsError
from pytest_llmops.models.cross_encoder import answer_pairs, read_logits
from pytest_llmops.models.encoders.hub import identify_model

Relation = tuple[float, float]
"""Probabilities of entailment and of contradiction; what is left is neutral."""

_IN_MEMORY = 65_536
_FORM = "<2d"
_SUM_AT_MOST = 1 + 1e-6


def relate_pairs(model: str, pairs: Sequence[tuple[str, str]]) -> list[Relation]:
    """
    Whether the second text of each pair follows from the first, each distinct pair asked once.

    A model that gives one number rates entailment alone: the sigmoid of its logit.

    Args:
        model: A folder or hub name that the CrossEncoder of sentence-transformers can load.

    Raises:
        WeightsError, MissingExtraError: The model cannot be loaded, or has other labels.
    """
    return answer_pairs(_memory, identify(model), pairs, lambda block: _relate(model, block))


@lru_cache(maxsize=16)
def identify(model: str) -> str:
    """Names the weights: by content for a folder."""
    return f"entailment-{identify_model(model)}"


def _relate(model: str, pairs: Sequence[tuple[str, str]]) -> list[Relation]:
    import numpy as np

    given, network = read_logits(model, pairs)
    logits = np.asarray(given, dtype=np.float64)
    if not np.isfinite(logits).all():
        raise WeightsError(f"{model!r} gave a number that is none; its weights are broken")
    if logits.ndim == 1 or logits.shape[1] == 1:
        return [(float(each), 0.0) for each in 1 / (1 + np.exp(-np.clip(logits.ravel(), -700, 700)))]
    entailment, contradiction = _columns(model, network.model.config.id2label, logits.shape[1])
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    against = shares[:, contradiction] if contradiction is not None else np.zeros(len(shares))
    return list(zip(shares[:, entailment].tolist(), against.tolist(), strict=True))


def _columns(model: str, labels: Mapping[Any, Any], count: int) -> tuple[int, int | None]:
    """Which columns are entailment and contradiction, by the labels' names."""
    names = {int(at): str(name).lower() for at, name in labels.items()}
    entails = [at for at, name in names.items() if name.startswith("entail")]
    against = [at for at, name in names.items() if name.startswith("contradict")]
    if len(entails) != 1 or len(names) != count:
        raise WeightsError(
            f"{model!r} is no model of entailment: its labels are {', '.join(names.values())}; "
            "one of them has to be entailment"
        )
    return entails[0], against[0] if against else None


def _write(relation: Relation) -> bytes:
    return struct.pack(_FORM, *relation)


def _read(stored: bytes) -> Relation | None:
    if len(stored) != struct.calcsize(_FORM):
        return None
    entails, against = struct.unpack(_FORM, stored)
    return (entails, against) if entails >= 0 <= against and entails + against <= _SUM_AT_MOST else None


_memory: Memory[Relation] = Memory("entailment", _IN_MEMORY, _write, _read)
