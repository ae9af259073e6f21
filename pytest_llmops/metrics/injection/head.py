"""
The project's own head on the packaged classifier: a logistic regression whose weights are in `head.json`.

Trained by `make injection`; where its labels come from is described in `docs/injection.md`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from pytest_llmops.errors import WeightsError

if TYPE_CHECKING:
    from pytest_llmops.models.injection_classifier import Reply

FILE = "head.json"
LOGITS = 0.1  # by which the network's logits are scaled, so that they weigh like its 384 numbers
_MAIN = 3.0  # the network's own logit is about three times as steep as the head's
_STEEP = 2.0  # so that what is clear comes near 0 and 1
WIDTH = 386
_FAR = 30.0  # beyond, 1 - 1e-13 is as good as 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """
    Attributes:
        weights: Of the two logits and the 384 pooled numbers.
        cut: The rating that becomes 0.5.
        identity: Digest of the file.
    """

    weights: tuple[float, ...]
    intercept: float
    cut: float
    identity: str

    def rate(self, reply: Reply) -> float:
        """The score, 0 to 1: the network and the head count half each."""
        own = self.intercept + sum(map(float.__mul__, self.weights, features(reply)))
        return squash(_STEEP * ((reply.main / _MAIN + own) / 2 - self.cut))


@lru_cache(maxsize=1)
def load_head() -> Head:
    """
    The head of this package.

    Raises:
        WeightsError: Its file is broken.
    """
    raw = files("pytest_llmops.metrics.injection").joinpath(FILE).read_bytes()
    try:
        written = json.loads(raw)
        weights = tuple(float(written["weights"][at]) for at in range(WIDTH))
        numbers = {name: float(written[name]) for name in ("intercept", "cut")}
    except (ValueError, LookupError, TypeError) as error:
        raise WeightsError(f"{FILE} of the injection metric is broken ({error}); reinstall it") from None
    return Head(weights=weights, **numbers, identity=sha256(raw).hexdigest()[:12])


def features(reply: Reply) -> tuple[float, ...]:
    """What the head sees of a reply."""
    return (LOGITS * reply.main, LOGITS * reply.aux, *reply.pooled.tolist())


def squash(logit: float) -> float:
    """The logistic function; never quite 0 or 1."""
    return 1 / (1 + math.exp(-max(min(logit, _FAR), -_FAR)))
