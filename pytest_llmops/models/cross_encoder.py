"""Models that read two texts at once and give one number for the pair; each distinct pair once."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.errors import WeightsError
from pytest_llmops.models.encoders.hub import identify_model, load_model
from pytest_llmops.printable import counted

Answer = TypeVar("Answer")

_IN_MEMORY = 65_536  # numbers of 8 bytes
_AT_ONCE = 1_024  # pairs given to a model, which sorts them by length
_BATCH = 32


def rate_pairs(model: str, pairs: Sequence[tuple[str, str]]) -> list[float]:
    """
    The model's number for each pair, 0 to 1: the sigmoid of its logit. Not a number where weights are broken.

    Args:
        model: A folder or hub name that the CrossEncoder of sentence-transformers can load.

    Raises:
        WeightsError, MissingExtraError: Some pair is in no cache and the model cannot be loaded, or it gives
            more than one number for a pair.
    """
    return answer_pairs(_memory, identify(model), pairs, lambda block: _rate(model, block))


def answer_pairs(
    memory: Memory[Answer],
    identity: str,
    pairs: Sequence[tuple[str, str]],
    answer: Callable[[Sequence[tuple[str, str]]], Sequence[Answer]],
) -> list[Answer]:
    """What a model says of each pair: each distinct one once, in blocks by length, and kept."""
    keys = [key_of(identity, str(len(first)), first, second) for first, second in pairs]
    pair_of = dict(zip(keys, pairs, strict=True))

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, Answer]]:
        by_length = sorted(fresh, key=lambda key: sum(map(len, pair_of[key])))
        for start in range(0, len(by_length), _AT_ONCE):
            block = by_length[start : start + _AT_ONCE]
            yield dict(zip(block, answer([pair_of[key] for key in block]), strict=True))

    answers = memory.recall(keys, make)
    return [answers[key] for key in keys]


@lru_cache(maxsize=16)
def identify(model: str) -> str:
    """Names the weights: by content for a folder."""
    return f"cross-{identify_model(model)}"


def forget() -> None:
    """Drop the numbers in memory; the cache keeps its own."""
    _memory.forget()


def read_logits(model: str, pairs: Sequence[tuple[str, str]]) -> tuple[Any, Any]:
    """The logits of a model's last layer, and the model."""
    with _working:
        network = _network(model)
        logits = network.predict(
            [list(pair) for pair in pairs],
            batch_size=_BATCH,
            show_progress_bar=False,
            activation_fn=_leave_raw,
        )
    return logits, network


def _rate(model: str, pairs: Sequence[tuple[str, str]]) -> list[float]:
    logits, _ = read_logits(model, pairs)
    if getattr(logits, "ndim", 1) != 1:
        raise WeightsError(
            f"cross-encoder {model!r} gives {counted(logits.shape[1], 'number')} for a pair, so it is a "
            "classifier (of entailment, it may be); name a model that gives one"
        )
    return [_sigmoid(float(logit)) for logit in logits]


def _leave_raw(logits: Any) -> Any:
    """What the library makes of logits by itself differs between models and versions."""
    return logits


def _sigmoid(logit: float) -> float:
    if math.isnan(logit):
        return math.nan
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else 1 - 1 / (1 + math.exp(max(logit, -700.0)))


@lru_cache(maxsize=4)
def _network(model: str) -> Any:
    return load_model("CrossEncoder", f"cross-encoder {model!r}", model)


def _write(value: float) -> bytes:
    return struct.pack("<d", value)


def _read(stored: bytes) -> float | None:
    if len(stored) != struct.calcsize("<d"):
        return None
    value: float = struct.unpack("<d", stored)[0]
    return value if 0 <= value <= 1 else None


_working = Lock()
_memory: Memory[float] = Memory("cross", _IN_MEMORY, _write, _read)
