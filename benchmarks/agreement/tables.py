"""Scores beside labels: one number a metric and set, with an interval that draws whole documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from pytest_llmops.features.calibrate.estimates import count_good, measure_spearman, read_auc
from pytest_llmops.statistics.bootstrap import measure_with_intervals
from pytest_llmops.statistics.codes import rank_codes
from pytest_llmops.statistics.intervals import Measure
from pytest_llmops.statistics.multiplicity import adjust_holm

Kind = Literal["AUC", "Spearman"]

FEW = 100
_LEVEL = 0.05
_PERMUTATIONS = 1_999
_ROUNDING = 1e-12


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """
    How much better one metric agrees with people than another, on the same outputs.

    Attributes:
        p_value: How often chance alone gives one as large, in either direction.
    """

    name: str
    other: str
    measure: Measure
    p_value: float


def compare(column: Column, pairs: Sequence[tuple[str, str]]) -> list[Difference]:
    """
    The differences of pairs of metrics, by one bootstrap and one permutation test.

    The test changes the ranks that two metrics give an output, for whole groups at a time: were the metrics
    alike, neither would be known by its ranks. Source: Venkatraman and Begg (1996), Biometrika 83, for AUC.
    """
    codes = {name: rank_codes(np.asarray(each, dtype=float)) for name, each in column.scores.items()}
    target = _target(column)

    def differences(weights: np.ndarray[Any, Any]) -> list[float]:
        found = {name: _agree(column.kind, each, target, weights) for name, each in codes.items()}
        return [found[name] - found[other] for name, other in pairs]

    measured = measure_with_intervals(differences, column.groups)
    return [
        Difference(name=name, other=other, measure=each, p_value=_permute(column, name, other))
        for (name, other), each in zip(pairs, measured, strict=True)
    ]


def _permute(column: Column, name: str, other: str) -> float:
    one, two = (rankdata(column.scores[each]) for each in (name, other))
    target, weights = _target(column), np.ones(len(one))

    def difference(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
        found, against = (_agree(column.kind, rank_codes(each), target, weights) for each in (first, second))
        return abs(found - against)

    observed = difference(one, two)
    groups = np.unique(column.groups, return_inverse=True)[1]
    random = np.random.default_rng(0)
    larger = 0
    for _ in range(_PERMUTATIONS):
        changed = (random.random(groups.max() + 1) < 0.5)[groups]
        larger += difference(np.where(changed, two, one), np.where(changed, one, two)) >= observed - _ROUNDING
    return (larger + 1) / (_PERMUTATIONS + 1)


def show(measured: Measure, *, signed: bool = False, few: bool = False) -> str:
    """
    `.812 (.770 to .850)`

    Args:
        few: The interval comes first, since of few rows the number alone says little: `.440 to .904 (.808)`.
    """
    sign = "+" if signed else ""
    if measured.value is None:
        return "undefined"
    value, low, high = (
        "?" if each is None else f"{each:{sign}.3f}".replace("0.", ".", 1)
        for each in (measured.value, measured.low, measured.high)
    )
    return f"{low} to {high} ({value})" if few else f"{value} ({low} to {high})"


def is_small(column: Column) -> bool:
    return len(column.labels) < FEW


def render(columns: Sequence[Column], names: Sequence[str]) -> list[str]:
    """A Markdown table, a row a metric."""
    measured = [measure(column) for column in columns]
    head = [f"{column.name} ({len(column.labels)}), {column.kind}" for column in columns]
    return [
        f"| metric | {' | '.join(head)} |",
        f"|---|{'---|' * len(columns)}",
        *(
            f"| {name} | {' | '.join(_cell(*each, name) for each in zip(columns, measured, strict=True))} |"
            for name in names
        ),
    ]


def render_differences(columns: Sequence[Column], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A table of differences, bold where they are beyond chance once all of them are counted."""
    found = [compare(column, pairs) for column in columns]
    flat = [each.p_value for row in found for each in row]
    adjusted = iter(adjust_holm(flat))
    cells = [
        [_difference(column, each, next(adjusted)) for each in row]
        for column, row in zip(columns, found, strict=True)
    ]
    return [
        f"| difference | {' | '.join(f'{column.name} ({len(column.labels)})' for column in columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(
            f"| {name.replace('*', '')} - {other} | {' | '.join(row[at] for row in cells)} |"
            for at, (name, other) in enumerate(pairs)
        ),
    ]


def _difference(column: Column, found: Difference, p_adjusted: float) -> str:
    told = f"{show(found.measure, signed=True, few=is_small(column))}, p = {p_adjusted:.2g}"
    return f"**{told}**" if p_adjusted <= _LEVEL else told


def _cell(column: Column, measured: Mapping[str, Measure], name: str) -> str:
    return show(measured[name], few=is_small(column)) if name in measured else ""


def _measures(column: Column, names: Sequence[str]) -> list[Measure]:
    codes = [rank_codes(np.asarray(column.scores[name], dtype=float)) for name in names]
    target = _target(column)
    return measure_with_intervals(
        lambda weights: [_agree(column.kind, code, target, weights) for code in codes], column.groups
    )


def _target(column: Column) -> np.ndarray[Any, Any]:
    labels = np.asarray(column.labels, dtype=float)
    return labels if column.kind == "AUC" else rank_codes(labels)


def _agree(
    kind: Kind, codes: np.ndarray[Any, Any], target: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]
) -> float:
    if kind == "AUC":
        return read_auc(*count_good(codes, target, weights))
    return measure_spearman(codes, target, weights)
