"""
Trains the head of the injection metric: `make injection` writes its `head.json`.

A logistic regression under a ridge on what the packaged network says of a text's parts: its two logits and
its pooled vector. Attacks are those in `texts/`, alone and in carriers, and the developers' plain explicit
ones. Benign are the hard negatives in `texts/` and of the developers, ordinary questions, and of long
documents all parts for which the network speaks up, since the highest of many parts decides. The ridge, the
weights of the four kinds and the cut were chosen by cross-validation that leaves out groups of the
developers' set (`benchmarks/security.py`).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.optimize import minimize

from benchmarks.injection.replies import Replies
from benchmarks.injection.sources import documents, labelled, questions
from benchmarks.injection.written import carriers, draw_attacks, draw_hard_negatives
from pytest_llmops.metrics.injection import classifier as packaged
from pytest_llmops.metrics.injection.classifier import WINDOW, Head, features

Kind = Literal["attack", "hard negative", "ordinary", "mined"]
Matrix = np.ndarray[Any, Any]

RIDGE = 1e-3
CUT = 2.2
WEIGHTS: Mapping[Kind, float] = {"attack": 1.0, "hard negative": 0.5, "ordinary": 0.2, "mined": 0.5}
_SPEAKS_UP = 0.0  # the network's own logit
_SEED = 1
_DIGITS = 4


def written_parts(replies: Replies) -> dict[str, Kind]:
    """The parts of all texts but the developers'; of long documents, those that are not held out."""
    parts: dict[str, Kind] = {}
    for text in (*questions(), *carriers()):
        parts |= dict.fromkeys(replies.parts(text), "ordinary")
    for document in documents():
        if not document.held_out:
            loud = (part for part in replies.parts(document.text) if replies.read(part).main > _SPEAKS_UP)
            parts |= dict.fromkeys(loud, "mined")
    for payload, carried in draw_attacks(_SEED):
        whole = (text.strip() for text in (payload, carried) if len(text) <= WINDOW)
        parts |= dict.fromkeys(whole, "attack")
    for text in draw_hard_negatives(_SEED):
        parts |= dict.fromkeys((text.strip(), *replies.parts(text)), "hard negative")
    return parts


def labelled_parts(rows: Sequence[Mapping[str, Any]], replies: Replies) -> dict[str, Kind]:
    """Of the developers' plain explicit attacks, whole, and of their benign texts but quoted attacks."""
    parts: dict[str, Kind] = {}
    for row in rows:
        if row["kind"] == "explicit" and row["obfuscation"] == "none":
            parts[row["text"].strip()] = "attack"
        elif row["label"] == "benign" and row["kind"] != "quoted":
            kind: Kind = "hard negative" if row["kind"] == "hard_negative" else "ordinary"
            parts |= dict.fromkeys(replies.parts(row["text"]), kind)
    return parts


def fit(parts: Mapping[str, Kind], replies: Replies) -> Head:
    """The head that tells the attacks of these parts from the rest."""
    counts = Counter(parts.values())
    rows = np.array([features(replies.read(part)) for part in parts])
    rows = np.hstack([rows, np.ones((len(rows), 1))])
    labels = np.array([kind == "attack" for kind in parts.values()], dtype=float)
    weights = np.array([WEIGHTS[kind] / counts[kind] for kind in parts.values()])
    weights /= weights.sum()

    def loss(parameters: Matrix) -> tuple[float, Matrix]:
        logits = rows @ parameters
        held = np.append(parameters[:-1], 0.0)
        value = weights @ (np.logaddexp(0, logits) - labels * logits) + RIDGE * (held @ held)
        slope = rows.T @ (weights * (1 / (1 + np.exp(-logits)) - labels)) + 2 * RIDGE * held
        return float(value), slope

    found = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return Head(
        weights=tuple(found[:-1].tolist()), intercept=float(found[-1]), cut=CUT, identity="in training"
    )


def main() -> None:
    replies = Replies()
    parts = written_parts(replies) | labelled_parts(labelled(), replies)
    replies.save()
    head = fit(parts, replies)
    written = {
        "trained_on": dict(sorted(Counter(parts.values()).items())),
        "ridge": RIDGE,
        "cut": head.cut,
        "intercept": round(head.intercept, _DIGITS),
        "weights": [round(weight, _DIGITS) for weight in head.weights],
    }
    path = Path(packaged.__file__).with_name(packaged.FILE)
    path.write_text(json.dumps(written) + "\n", encoding="utf-8")
    print(f"{len(parts)} parts of texts -> {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
