"""
Trains the embedded faithfulness scorer: `python -m benchmarks.agreement.training` writes its `model.json`.

A logistic regression under a ridge, each weight held to the side that its feature must have: more words
found can only help, a missing number can only hurt. What was chosen (features, ridge, weights of the
sources) was chosen by leaving one source out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.agreement.alterations import altered_sentences
from benchmarks.agreement.labels import Labelled, cut_abstracts, faithfulness_sets
from pytest_llmops.metrics.faithfulness import model as packaged
from pytest_llmops.metrics.faithfulness.claims import split_claims, split_contexts, weigh
from pytest_llmops.metrics.faithfulness.features import FEATURES, describe_claims

RIDGE = 0.1
WEIGHTS: Mapping[str, float] = {"CLAPNQ": 0.5, "altered": 0.5}
"""Of a source in the loss, beside 1 for the others: CLAPNQ is easy, altered sentences are ours."""

GOOD = 0.7
"""Labels above count as supported where only two kinds are told apart: 3.1 of MTRAG's 1 to 4, say."""

EASED: Mapping[str, float] = {"cosine": 1.25}
"""Features that the ridge holds less: the one cosine would drown among the many numbers on words."""

HURTS = frozenset({
    "numbers_missing", "names_missing", "negation_differs", "direction_missing", "opposite_aligned",
    "opposite_cosine", "speaks_of_self", "asks", "number_alone", "name_alone", "opposite_alone",
})  # fmt: skip
_TEXTS_AT_ONCE = 1_000
_DIGITS = 5


@dataclass(slots=True)
class Described:
    """A labelled output with the features of its claims, shape (claims, features)."""

    labelled: Labelled
    rows: np.ndarray[Any, Any]
    source: str = field(init=False)

    def __post_init__(self) -> None:
        self.source = self.labelled.source


def describe(items: Sequence[Labelled]) -> list[Described]:
    """Those that have claims and contexts."""
    found: list[Described] = []
    for start in range(0, len(items), _TEXTS_AT_ONCE // 4):
        block = [
            (item, split_claims(item.sample.output.text), split_contexts(item.sample.output.passages or ()))
            for item in items[start : start + _TEXTS_AT_ONCE // 4]
        ]
        block = [(each, claims, spans) for each, claims, spans in block if claims and spans]
        flat = [
            (claim, [span.sentence.text for span in spans]) for _, claims, spans in block for claim in claims
        ]
        rows = iter(describe_claims([claim for claim, _ in flat], [sentences for _, sentences in flat]))
        for each, claims, _ in block:
            found.append(Described(each, np.array([next(rows).row for _ in claims])))
    return found


def training_set() -> list[Described]:
    sets = faithfulness_sets()
    return describe(
        [*(item for items in sets.values() for item in items), *cut_abstracts(), *altered_sentences()]
    )


def fit_support(items: Sequence[Described]) -> packaged.Regression:
    """Of an output's label on the mean features of its claims; one intercept a source."""
    labels = np.array([item.labelled.label for item in items])
    names = [f"{item.source}/{item.labelled.kind == 'CUT'}" for item in items]
    weights = np.array([WEIGHTS.get(item.source, 1.0) for item in items])
    bounds = [(None, 0.0) if name in HURTS else (0.0, None) for name in FEATURES]
    return _fit(np.array([item.rows.mean(axis=0) for item in items]), labels, names, weights, bounds)


def fit_scale(support: packaged.Regression, items: Sequence[Described]) -> packaged.Scale:
    """
    What turns ratings of outputs into a scale with 0.5 between good and bad over all sets together, though of
    no set by itself; it changes no order.

    Of each source the good and the bad ones count half each, since how many there are of either says
    nothing of an app. Source: Platt (1999), with balanced classes.
    """
    items = [item for item in items if item.source != "altered"]
    logits = np.array([_logit(rate(support, item)) for item in items])
    good = np.array([item.labelled.label > GOOD for item in items])
    halves = [f"{each.source}/{label}" for each, label in zip(items, good, strict=True)]
    weights = np.array([1 / halves.count(half) for half in halves])

    def loss(parameters: np.ndarray[Any, Any]) -> float:
        scaled = parameters[0] * logits + parameters[1]
        return float(weights @ (np.logaddexp(0, scaled) - good * scaled))

    slope, shift = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return packaged.Scale(slope=round(float(slope), _DIGITS), shift=round(float(shift), _DIGITS))


def rate(support: packaged.Regression, item: Described) -> float:
    """An output's rating, from those of its claims."""
    return weigh([support.rate(row) for row in item.rows.tolist()])


def _logit(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))


def fit_contradiction(items: Sequence[Described]) -> packaged.Regression:
    """Of what is not supported: said otherwise (1), or not spoken of (0)."""
    kinds = {"CONTRADICT": 1.0, "NOT_ENOUGH_INFO": 0.0, "CUT": 0.0}
    kinds |= dict.fromkeys(("number", "month", "negation", "direction"), 1.0)
    chosen = [item for item in items if item.labelled.kind in kinds]
    labels = np.array([kinds[each.labelled.kind] for each in chosen])
    rows = np.array([each.rows.mean(axis=0) for each in chosen])
    groups = [f"{each.source}/{label}" for each, label in zip(chosen, labels, strict=True)]
    weights = np.array([WEIGHTS.get(each.source, 1.0) for each in chosen])
    weights /= np.array([groups.count(group) for group in groups])
    return _fit(rows, labels, ["all"] * len(chosen), weights, [(None, None)] * len(FEATURES))


def _fit(
    rows: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any],
    sources: Sequence[str],
    weights: np.ndarray[Any, Any],
    bounds: list[tuple[float | None, float | None]],
) -> packaged.Regression:
    sizes = {name: sources.count(name) for name in sorted(set(sources))}
    weights = weights / np.array([sizes[name] for name in sources])
    weights = weights / weights.sum()
    means = weights @ rows
    scales = np.sqrt(weights @ (rows - means) ** 2) + 1e-6
    eased = np.array([EASED.get(name, 1.0) for name in FEATURES])
    scaled = (rows - means) / scales * eased
    member = np.array([[name == source for name in sizes] for source in sources], dtype=float)
    count = rows.shape[1]

    def loss(parameters: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        logits = scaled @ parameters[:count] + member @ parameters[count:]
        value = (
            weights @ (np.logaddexp(0, logits) - labels * logits) + RIDGE * (parameters[:count] ** 2).sum()
        )
        error = weights * (1 / (1 + np.exp(-logits)) - labels)
        return value, np.concatenate([scaled.T @ error + 2 * RIDGE * parameters[:count], member.T @ error])

    found = minimize(
        loss,
        np.zeros(count + len(sizes)),
        jac=True,
        method="L-BFGS-B",
        bounds=[*bounds, *[(None, None)] * len(sizes)],
    ).x
    return packaged.Regression(
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple((found[:count] * eased).tolist()),
        intercept=float(found[count:].mean()),
    )


def write(items: Sequence[Described]) -> Path:
    """Train on all, and keep the model as the package reads it."""
    support = fit_support(items)
    scale = fit_scale(support, items)
    sources = sorted({item.source for item in items})
    written = {
        "trained_on": {name: sum(item.source == name for item in items) for name in sources},
        "ridge": RIDGE,
        "support": _dump(support),
        "scale": {"slope": scale.slope, "shift": scale.shift},
        "contradiction": _dump(fit_contradiction(items)),
    }
    path = Path(packaged.__file__).with_name(packaged.FILE)
    path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    return path


def _dump(regression: packaged.Regression) -> dict[str, Any]:
    columns = zip(FEATURES, regression.means, regression.scales, regression.weights, strict=True)
    return {
        "intercept": round(regression.intercept, _DIGITS),
        "features": {
            name: {
                "mean": round(mean, _DIGITS),
                "scale": round(scale, _DIGITS),
                "weight": round(weight, _DIGITS),
            }
            for name, mean, scale, weight in columns
        },
    }


def main() -> None:
    items = training_set()
    path = write(items)
    print(f"{len(items)} labelled outputs -> {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
