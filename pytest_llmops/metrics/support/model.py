"""The weights of `supported`: a logistic regression over the features of a claim beside a source, in `model.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from pytest_llmops.errors import WeightsError
from pytest_llmops.metrics.support.features import FEATURES

FILE = "model.json"
_FAR = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """
    Attributes:
        means: Of the features, in the order of `FEATURES`, as `scales` and `weights`.
        intercept: Chosen so that 0.5 is the bound that `true` means.
        identity: Digest of the file.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    identity: str

    def rate(self, row: Sequence[float]) -> float:
        """Return how far a source supports a claim, 0 to 1."""
        parts = zip(row, self.means, self.scales, self.weights, strict=True)
        logit = self.intercept + sum(weight * (value - mean) / scale for value, mean, scale, weight in parts)
        return 1 / (1 + math.exp(-max(min(logit, _FAR), -_FAR)))


@lru_cache(maxsize=1)
def load_model() -> Model:
    """
    Load the weights of this package, once.

    Raises:
        WeightsError: Their file is broken.
    """
    raw = files("pytest_llmops.metrics.support").joinpath(FILE).read_bytes()
    try:
        written = json.loads(raw)
        if list(written["features"]) != list(FEATURES):
            raise ValueError("its features are not those of this version")
        columns = {
            name: tuple(float(feature[name]) for feature in written["features"].values())
            for name in ("mean", "scale", "weight")
        }
        intercept = float(written["intercept"])
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{FILE} of the metric supported is broken ({error}); reinstall it") from None
    return Model(
        means=columns["mean"],
        scales=columns["scale"],
        weights=columns["weight"],
        intercept=intercept,
        identity=sha256(raw).hexdigest()[:12],
    )
