"""
The embedded scorer: a logistic regression with readable weights, in `model.json`.

Trained by `make faithfulness`; where its labels come from is described in `docs/metrics/faithfulness.md`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmops.metrics.faithfulness.features import FEATURES
from pytest_llmops.metrics.packaged import load_once, squash

FILE = "model.json"
Label = Literal["supported", "contradicted", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """Logistic regression over standardised features, in the order of `FEATURES`."""

    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def rate(self, row: Sequence[float]) -> float:
        """Return the probability, 0 to 1."""
        parts = zip(row, self.means, self.scales, self.weights, strict=True)
        logit = self.intercept + sum(weight * (value - mean) / scale for value, mean, scale, weight in parts)
        return squash(logit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """
    Turns ratings into scores and keeps their order. Its middle, 0.5, was fitted over all sets of labels
    together; within one kind of text it separates little, see `docs/metrics/faithfulness.md`.
    """

    slope: float
    shift: float

    def read(self, rating: float) -> float:
        """Return the score, 0 to 1, of a rating above 0 and below 1."""
        return squash(self.slope * math.log(rating / (1 - rating)) + self.shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """
    Attributes:
        support: Rates how far the contexts support a claim; only the order of ratings counts, most are low.
        scale: Makes scores of such ratings, of a claim and of an answer.
        contradiction: Rates how probably the contexts contradict a claim that they do not support.
        identity: Digest of the file.
    """

    support: Regression
    scale: Scale
    contradiction: Regression
    identity: str

    def label(self, row: Sequence[float]) -> Label:
        """Return the most likely label of a claim with these features."""
        if self.scale.read(self.support.rate(row)) >= 0.5:  # noqa: PLR2004  # more likely than not
            return "supported"
        return "contradicted" if self.contradiction.rate(row) >= 0.5 else "absent"  # noqa: PLR2004


def _read(written: Mapping[str, Any], identity: str) -> Model:
    return Model(
        support=_read_regression(written["support"]),
        contradiction=_read_regression(written["contradiction"]),
        scale=Scale(slope=float(written["scale"]["slope"]), shift=float(written["scale"]["shift"])),
        identity=identity,
    )


load_model = load_once("faithfulness", FILE, "the faithfulness scorer", _read)


def _read_regression(written: Mapping[str, Any]) -> Regression:
    features = written["features"]
    if list(features) != list(FEATURES):
        raise ValueError("its features are not those of this version")
    columns = {
        name: tuple(float(feature[name]) for feature in features.values())
        for name in ("mean", "scale", "weight")
    }
    return Regression(
        means=columns["mean"],
        scales=columns["scale"],
        weights=columns["weight"],
        intercept=float(written["intercept"]),
    )
