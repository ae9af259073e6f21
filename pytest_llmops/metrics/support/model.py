"""
The weights of `supported`: a network of one small layer over the features of a claim compared with a source.

Trained by `python -m benchmarks.lies.training`; docs/metrics/supported.md says on which labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmops.metrics.packaged import load_once, squash
from pytest_llmops.metrics.support.features import FEATURES

FILE = "model.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """
    A sum of the features and of units that see them together: a changed word matters in a copied sentence.

    Attributes:
        means: Of the features, in the order of `FEATURES`, as `scales` and `linear`.
        units: Weights of each unit, with its bias and its weight in the sum.
        intercept: Chosen so that 0.5 is the bound that `true` means.
        identity: Digest of the file.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    linear: tuple[float, ...]
    units: tuple[tuple[tuple[float, ...], float, float], ...]
    intercept: float
    identity: str

    def rate(self, row: Sequence[float]) -> float:
        """Return how far a source supports a claim, 0 to 1."""
        scaled = [
            (value - mean) / scale for value, mean, scale in zip(row, self.means, self.scales, strict=True)
        ]
        logit = self.intercept + _dot(self.linear, scaled)
        logit += sum(weight * math.tanh(_dot(weights, scaled) + bias) for weights, bias, weight in self.units)
        return squash(logit)


def _dot(weights: Sequence[float], values: Sequence[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def _read(written: Mapping[str, Any], identity: str) -> Model:
    features = [written["features"][name] for name in FEATURES]
    columns = {
        name: tuple(float(feature[name]) for feature in features) for name in ("mean", "scale", "linear")
    }
    return Model(
        means=columns["mean"],
        scales=columns["scale"],
        linear=columns["linear"],
        units=tuple(
            (tuple(map(float, unit["weights"])), float(unit["bias"]), float(unit["weight"]))
            for unit in written["units"]
        ),
        intercept=float(written["intercept"]),
        identity=identity,
    )


load_model = load_once("support", FILE, "the metric supported", _read)
