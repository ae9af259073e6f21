"""
Trains the weights of `supported`: `python -m benchmarks.lies.training` writes their `model.json`.

A small network on the half `dev` of all sets. An answer is as good as its worst sentence beside the source
that supports it best, so both are chosen anew by the network of the round before (Felzenszwalb et al. 2010,
latent SVM).
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.lies.items import Item, list_falsehoods, list_labelled, list_mutants, list_written
from pytest_llmops.metrics.support import model as packaged
from pytest_llmops.metrics.support.features import FEATURES, Texts, describe
from pytest_llmops.metrics.support.supported import read_answer
from pytest_llmops.records import Output, Passage, Sample

SEED = 11
UNITS = 6
NETWORKS = 5
RIDGE = 0.003
ROUNDS = 5
WEIGHTS = {
    "written": 5.0,
    "falsehoods": 3.0,
    "SciFact": 0.5,
    "MTRAG": 0.5,
    "CLAPNQ": 0.7,
    "mutant-written": 3.0,
    "mutant-falsehoods": 2.0,
}
MUTANTS = 0.7
"""Weights of sets in the loss, beside 1; right and wrong answers count half each."""
KEPT = {"BEGIN": 0.3, "mutant-BEGIN": 0.1, "mutant-XQuAD": 0.15, "mutant-CLAPNQ": 0.25, "mutant-SciFact": 0.3,
        "mutant-MTRAG": 0.2, "XQuAD": 0.0, "mutant-written": 0.6, "mutant-falsehoods": 0.4}  # fmt: skip
_LONGEST = 8_000  # characters of the contexts of one answer
_AT_ONCE = 200
_DIGITS = 4

Rows = list[list[tuple[float, ...]]]
"""For each claim the features beside its nearest sources."""


def as_sample(item: Item) -> Sample:
    """Return the answer with its sources as passages."""
    passages = tuple(Passage(id=str(at), text=text) for at, text in enumerate(item.sources))
    return Sample(output=Output(text=item.text, passages=passages), input=item.question)


def list_items() -> list[Item]:
    """Return the answers of all sets, some of the large ones by chance."""
    chance = random.Random(SEED)  # noqa: S311 - repeatable, not secret
    labelled = [item for item in list_labelled() if sum(map(len, item.sources)) <= _LONGEST]
    items = [item for item in list_written() if item.source == "written"]
    items += [*list_falsehoods(), *labelled]
    items += list_mutants(items)
    return [
        item
        for item in items
        if (item.source == "BEGIN" and item.supported) or chance.random() < KEPT.get(item.source, 1.0)
    ]


def describe_items(items: Sequence[Item]) -> list[Rows]:
    """Return the features of each answer's sentences, but of those that stand in a source."""
    described: list[Rows] = []
    for start in range(0, len(items), _AT_ONCE):
        answers = [
            read_answer(as_sample(item), ("passages",), ()) for item in items[start : start + _AT_ONCE]
        ]
        language = answers[0].language
        readings = [reading for answer in answers for reading in answer.list_readings()]
        texts = Texts(readings, language)
        for answer in answers:
            claims = [] if answer.error else answer.list_changed()
            sources = answer.gather_sources(texts) if claims else None
            matches = [describe(claim, sources) for claim in claims if sources]
            described.append([[match.row for match in found] for found in matches if found])
    return described


@dataclass(slots=True)
class Network:
    """The network of `model.json`, with its parameters in one row."""

    means: np.ndarray[Any, Any]
    scales: np.ndarray[Any, Any]
    parameters: np.ndarray[Any, Any]
    units: int = UNITS

    def split(self) -> tuple[Any, Any, Any, Any, float]:
        """Return weights and biases of units, their weights in the sum, those of features, the intercept."""
        width = len(FEATURES)
        cuts = np.cumsum([width * self.units, self.units, self.units, width])
        inner, bias, outer, linear, intercept = np.split(self.parameters, cuts)
        return inner.reshape(width, self.units), bias, outer, linear, float(intercept[0])

    def rate(self, rows: Any) -> Any:
        """Return logits."""
        inner, bias, outer, linear, intercept = self.split()
        scaled = (np.asarray(rows) - self.means) / self.scales
        return np.tanh(scaled @ inner + bias) @ outer + scaled @ linear + intercept

    def rate_answer(self, rows: Rows) -> float:
        """Return the logit of the worst sentence beside the best source; infinite if all are copied."""
        return min((float(self.rate(found).max()) for found in rows), default=float("inf"))


def fit(items: Sequence[Item], described: Sequence[Rows]) -> Network:
    """Fit the mean of a few networks to the half `dev`, as one with the units of all of them."""
    networks = [_fit(items, described, seed) for seed in range(NETWORKS)]
    parts = [network.split() for network in networks]
    parameters = [
        np.concatenate([part[0] for part in parts], axis=1).ravel(),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]) / NETWORKS,
        np.mean([part[3] for part in parts], axis=0),
        [np.mean([part[4] for part in parts])],
    ]
    return Network(networks[0].means, networks[0].scales, np.concatenate(parameters), UNITS * NETWORKS)


def _fit(items: Sequence[Item], described: Sequence[Rows], seed: int) -> Network:
    chosen = [
        (item, rows) for item, rows in zip(items, described, strict=True) if item.half == "dev" and rows
    ]
    labels = np.array([item.supported for item, _ in chosen], dtype=float)
    sizes = Counter((item.source, item.supported) for item, _ in chosen)
    weights = np.array([_weigh(item) / sizes[item.source, item.supported] for item, _ in chosen])
    for label in (0.0, 1.0):
        weights[labels == label] /= 2 * weights[labels == label].sum()
    every = np.array([row for _, rows in chosen for found in rows for row in found[:1]])
    network = Network(every.mean(axis=0), every.std(axis=0) + 1e-3, np.zeros(0))
    width = len(FEATURES)
    chance = np.random.default_rng(seed)
    network.parameters = chance.normal(0, 0.3, width * UNITS + 2 * UNITS + width + 1)
    worst = np.array([min((found[0] for found in rows), key=lambda row: row[1]) for _, rows in chosen])
    for _ in range(ROUNDS):
        network.parameters = _minimise(network, worst, labels, weights)
        picked = []
        for _, rows in chosen:
            best = [found[int(network.rate(found).argmax())] for found in rows]
            picked.append(best[int(network.rate(best).argmin())])
        worst = np.array(picked)
    return network


def _weigh(item: Item) -> float:
    usual = MUTANTS if item.source.startswith("mutant") else 1.0
    return WEIGHTS.get(item.source, usual)


def _minimise(network: Network, rows: Any, labels: Any, weights: Any) -> Any:
    scaled = (rows - network.means) / network.scales
    free = np.ones(len(network.parameters))
    free[len(FEATURES) * UNITS : len(FEATURES) * UNITS + UNITS] = 0
    free[-1] = 0

    def loss(parameters: Any) -> tuple[float, Any]:
        inner, bias, outer, linear, intercept = Network(network.means, network.scales, parameters).split()
        hidden = np.tanh(scaled @ inner + bias)
        logits = hidden @ outer + scaled @ linear + intercept
        error = weights * (1 / (1 + np.exp(-logits)) - labels)
        back = np.outer(error, outer) * (1 - hidden**2)
        gradient = [(scaled.T @ back).ravel(), back.sum(0), hidden.T @ error, scaled.T @ error, [error.sum()]]
        value = weights @ (np.logaddexp(0, logits) - labels * logits) + RIDGE * (free * parameters**2).sum()
        return value, np.concatenate(gradient) + 2 * RIDGE * free * parameters

    return minimize(loss, network.parameters, jac=True, method="L-BFGS-B", options={"maxiter": 400}).x


def write(network: Network, bound: float, counts: Counter[str]) -> Path:
    """Write the weights, with the logit `bound` as score 0.5."""
    inner, bias, outer, linear, intercept = network.split()
    written = {
        "trained_on": dict(sorted(counts.items())),
        "features": {
            name: {"mean": _short(mean), "scale": _short(scale), "linear": _short(weight)}
            for name, mean, scale, weight in zip(FEATURES, network.means, network.scales, linear, strict=True)
        },
        "units": [
            {
                "bias": _short(bias[at]),
                "weight": _short(outer[at]),
                "weights": [_short(x) for x in inner[:, at]],
            }
            for at in range(network.units)
        ],
        "intercept": _short(intercept - bound),
    }
    path = Path(packaged.__file__).with_name(packaged.FILE)
    text = json.dumps(written, indent=1)
    for inner in ("{", "["):  # a feature or a unit on one line
        closing = {"{": "}", "[": "]"}[inner]
        text = re.sub(
            rf"\{inner}\n\s+[^{{}}\[\]]*?\n\s+\{closing}", lambda match: " ".join(match[0].split()), text
        )
    path.write_text(f"{text}\n", encoding="utf-8")
    return path


def _short(value: float) -> float:
    return round(float(value), _DIGITS)


BOUND = 0.0
"""The logit that is called 0.5; chosen on `dev`, see docs/metrics/supported.md."""


def main() -> None:
    items = list_items()
    network = fit(items, describe_items(items))
    counts = Counter(item.source for item in items if item.half == "dev")
    print(f"{sum(counts.values())} answers -> {write(network, BOUND, counts)}", file=sys.stderr)


if __name__ == "__main__":
    main()
