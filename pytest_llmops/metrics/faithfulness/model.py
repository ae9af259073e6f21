"""
The embedded scorer: a logistic regression with readable weights, in `model.json`.

Trained by `make faithfulness`; where its labels come from is described in `docs/metrics/faithfulness.md`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Literal

from pytest_llmops.errors import WeightsError
from pytest_llmops.metrics.faithfulness.features import FEATURES

FILE = "model.json"
_FAR = 30.0  # beyond, 1 - 1e-13 is as good as 1
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
        return _squash(logit)


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
        return _squash(self.slope * math.log(rating / (1 - rating)) + self.shift)


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


@lru_cache(maxsize=1)
def load_model() -> Model:
    """
    Load the model of this package, once.

    Raises:
        WeightsError: Its file is broken.
    """
    raw = files("pytest_llmops.metrics.faithfulness").joinpath(FILE).read_bytes()
    try:
        written = json.loads(raw)
        regressions = {name: _read(written[name]) for name in ("support", "contradiction")}
        scale = Scale(slope=float(written["scale"]["slope"]), shift=float(written["scale"]["shift"]))
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{FILE} of the faithfulness scorer is broken ({error}); reinstall it") from None
    return Model(**regressions, scale=scale, identity=sha256(raw).hexdigest()[:12])


def _read(written: Mapping[str, Any]) -> Regression:
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


def _squash(logit: float) -> float:
    """Return the logistic function; never quite 0 or 1."""
    return 1 / (1 + math.exp(-max(min(logit, _FAR), -_FAR)))
