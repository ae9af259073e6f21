"""Faithfulness beside people: the scorer trained without each set in turn, and the baselines."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.agreement.labels import Labelled
from benchmarks.agreement.tables import FEW, Column, show
from benchmarks.agreement.training import GOOD, Described, fit_contradiction, fit_scale, fit_support, rate
from pytest_llmops.metrics.faithfulness.claims import split_claims, split_contexts
from pytest_llmops.metrics.faithfulness.features import FEATURES
from pytest_llmops.metrics.faithfulness.model import load_model
from pytest_llmops.metrics.words import content_words
from pytest_llmops.models.vectors import embed
from pytest_llmops.statistics.bootstrap import measure_with_intervals
from pytest_llmops.statistics.intervals import bound_share

OVERLAP, COSINE, ALIGNED = "token overlap", "MiniLM cosine, best sentence", "token alignment, untrained"
HELD_OUT = "**faithfulness**, trained without this set"
PACKAGED = "faithfulness as packaged, which saw these labels"
BASELINES = (OVERLAP, COSINE, ALIGNED)
NAMES = (*BASELINES, HELD_OUT, PACKAGED)
_CONSISTENT = 0.9  # of SummEval's label: all but one expert call it fully consistent
_FOLDS = 5


def faithfulness_columns(items: Sequence[Described]) -> list[Column]:
    """A column a set; its held-out model is trained on all the others."""
    columns = []
    for name in ("BEGIN", "SciFact", "MTRAG", "CLAPNQ", "SummEval"):
        own = [item for item in items if item.source == name and _is_measured(item.labelled)]
        held_out = fit_support([item for item in items if item.source != name])
        aligned = FEATURES.index("aligned")
        labels = [each.labelled.label for each in own]
        columns.append(
            Column(
                name=name,
                kind="Spearman" if name == "MTRAG" else "AUC",
                labels=[float(label > _CONSISTENT) for label in labels] if name == "SummEval" else labels,
                groups=[each.labelled.group for each in own],
                scores={
                    OVERLAP: [_overlap(each.labelled) for each in own],
                    COSINE: _cosines([each.labelled for each in own]),
                    ALIGNED: [float(each.rows[:, aligned].mean()) for each in own],
                    HELD_OUT: [rate(held_out, each) for each in own],
                    PACKAGED: [rate(load_model().support, each) for each in own],
                },
            )
        )
    return columns


KINDS = {
    "BEGIN": "dialogue answers",
    "MTRAG": "answers of a RAG system",
    "SciFact": "scientific claims",
    "CLAPNQ": "people's answers, and passages without their support",
    "SummEval": "summaries beside other summaries",
}
"""Set to the kind of its texts."""

BOUNDS = (0.3, 0.5, 0.7, 0.9)


def pass_rates(items: Sequence[Described]) -> list[str]:
    """
    Of each set the shares of bad and of good outputs that pass a bound, scored by a model and a scale that
    were trained without it; rows of a Markdown table.
    """
    lines = []
    for source, kind in KINDS.items():
        own = [item for item in items if item.source == source and _is_measured(item.labelled)]
        rest = [item for item in items if item.source != source]
        support = fit_support(rest)
        scale = fit_scale(support, rest)
        scores = np.array([scale.read(rate(support, each)) for each in own])
        limit = _CONSISTENT if source == "SummEval" else GOOD
        good = np.array([each.labelled.label > limit for each in own])
        groups = np.array([each.labelled.group for each in own])
        for name, chosen in (("bad", ~good), ("good", good)):
            shares = [_share(scores[chosen] >= bound, groups[chosen]) for bound in BOUNDS]
            lines.append(f"| {kind} ({source}) | {name}, {chosen.sum()} | {' | '.join(shares)} |")
    return lines


def _share(passed: np.ndarray[Any, Any], groups: np.ndarray[Any, Any]) -> str:
    def measure(weights: np.ndarray[Any, Any]) -> list[float]:
        return [float(weights @ passed / weights.sum())]

    (found,) = measure_with_intervals(measure, groups.tolist())
    found = bound_share(found, len(set(groups.tolist())))
    return show(found, few=len(passed) < FEW)


def tell_apart(items: Sequence[Described]) -> tuple[list[list[int]], list[str]]:
    """SciFact's labels (rows) and ours (columns), each by models that saw nothing of the same abstract."""
    names = ["SUPPORT", "CONTRADICT", "NOT_ENOUGH_INFO"]
    table = [[0, 0, 0] for _ in names]
    fold = [zlib.crc32(item.labelled.group.encode()) % _FOLDS for item in items]
    for held in range(_FOLDS):
        rest = [each for each, own in zip(items, fold, strict=True) if own != held]
        support, contradiction = fit_support(rest), fit_contradiction(rest)
        scale = fit_scale(support, rest)
        for each, own in zip(items, fold, strict=True):
            if own == held and each.source == "SciFact" and each.labelled.kind in names:
                row = each.rows[0]
                ours = (
                    0 if scale.read(support.rate(row)) >= 0.5 else 1 if contradiction.rate(row) >= 0.5 else 2
                )
                table[names.index(each.labelled.kind)][ours] += 1
    return table, names


def _is_measured(item: Labelled) -> bool:
    """People's own answers are no system's output, and cut abstracts have no label of their own."""
    return not (item.source == "MTRAG" and item.kind == "reference") and not (
        item.source == "SciFact" and item.kind == "CUT"
    )


def _overlap(item: Labelled) -> float:
    """The share of the output's content words that are in the contexts."""
    there = {word for passage in item.sample.output.passages or () for word in content_words(passage.text)}
    words = content_words(item.sample.output.text)
    return sum(word in there for word in words) / len(words) if words else 0.0


def _cosines(items: Sequence[Labelled]) -> list[float]:
    """The mean over the output's sentences of the best cosine to a sentence of the contexts."""
    found = []
    for item in items:
        claims = embed("default", split_claims(item.sample.output.text))
        spans = split_contexts(item.sample.output.passages or ())
        sentences = embed("default", [span.sentence.text for span in spans])
        found.append(float(np.max(claims @ sentences.T, axis=1).mean()))
    return found
