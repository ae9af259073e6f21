"""Scores beside labels: one number a metric and set, with an interval that draws whole documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pytest_llmops.calibration.resampling import Measure, measure_with_intervals
from pytest_llmops.calibration.statistics import measure_auc, measure_spearman, rank_codes

Kind = Literal["AUC", "Spearman"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """
    One set's labels and what the metrics say of its outputs, all of shape (outputs,).

    Attributes:
        groups: The document or conversation of each output.
    """

    name: str
    kind: Kind
    labels: Sequence[float]
    groups: Sequence[str]
    scores: Mapping[str, Sequence[float]]


def measure(column: Column) -> dict[str, Measure]:
    """The agreement of each metric of a set."""
    return dict(zip(column.scores, _measures(column, list(column.scores)), strict=True))


def compare(column: Column, name: str, other: str) -> Measure:
    """How much better the one metric agrees than the other, on the same draws."""
    one, two = (rank_codes(np.asarray(column.scores[each], dtype=float)) for each in (name, other))
    target = _target(column)

    def difference(weights: np.ndarray[Any, Any]) -> list[float]:
        return [_agree(column.kind, one, target, weights) - _agree(column.kind, two, target, weights)]

    return measure_with_intervals(difference, column.groups)[0]


def show(measured: Measure, *, signed: bool = False) -> str:
    """`.812 (.770 to .850)`"""
    sign = "+" if signed else ""
    if measured.value is None:
        return "undefined"
    value, low, high = (
        "?" if each is None else f"{each:{sign}.3f}".replace("0.", ".", 1)
        for each in (measured.value, measured.low, measured.high)
    )
    return f"{value} ({low} to {high})"


def render(columns: Sequence[Column], names: Sequence[str]) -> list[str]:
    """A Markdown table, a row a metric."""
    measured = [measure(column) for column in columns]
    head = [f"{column.name} ({len(column.labels)}), {column.kind}" for column in columns]
    return [
        f"| metric | {' | '.join(head)} |",
        f"|---|{'---|' * len(columns)}",
        *(
            f"| {name} | {' | '.join(show(each[name]) if name in each else '' for each in measured)} |"
            for name in names
        ),
    ]


def _measures(column: Column, names: Sequence[str]) -> list[Measure]:
    codes = [rank_codes(np.asarray(column.scores[name], dtype=float)) for name in names]
    target = _target(column)
    return measure_with_intervals(
        lambda weights: [_agree(column.kind, each, target, weights) for each in codes], column.groups
    )


def _target(column: Column) -> np.ndarray[Any, Any]:
    labels = np.asarray(column.labels, dtype=float)
    return labels if column.kind == "AUC" else rank_codes(labels)


def _agree(
    kind: Kind, codes: np.ndarray[Any, Any], target: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]
) -> float:
    if kind == "AUC":
        return measure_auc(codes, target, weights)
    return measure_spearman(codes, target, weights)
