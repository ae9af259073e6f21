"""The true pass rate from few labels and many judgements."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from pytest_llmops.statistics.codes import Codes, Floats, group_codes
from pytest_llmops.statistics.intervals import LEVEL, Measure


def estimate_rate(  # noqa: PLR0913 - two samples and how they were drawn
    good: Floats,
    judged: Floats,
    unlabelled: Floats,
    *,
    groups: Sequence[Hashable] | None = None,
    unlabelled_groups: Sequence[Hashable] | None = None,
    level: float = LEVEL,
) -> Measure:
    """
    The share of good rows among all: the judge's rate, mended by how far it is off where there are labels.

    How much the judge counts is chosen for the shortest interval: a useless one counts nothing, and the
    estimate is then that of the labels alone. The interval holds for many labels, some dozens of each
    kind, that were drawn at random from all rows.

    Args:
        good: What people said of the labelled rows, 1 or 0; shape (labelled,).
        judged: What the judge said of the same rows, any number; shape (labelled,).
        unlabelled: What it said of the others; shape (others,).
        groups: What belongs together among the labelled rows, so that it counts as one draw.

    Source: Angelopoulos, Duchi and Zrnic (2023), PPI++: Efficient Prediction-Powered Inference, for a mean.
    """
    from scipy.special import ndtri

    weight = choose_weight(good, judged, unlabelled)
    value = (
        float(good.mean() + weight * (unlabelled.mean() - judged.mean())) if weight else float(good.mean())
    )
    variance = _variance_of_mean(good - weight * judged, group_codes(groups, len(good)))
    if weight:
        variance += weight**2 * _variance_of_mean(unlabelled, group_codes(unlabelled_groups, len(unlabelled)))
    if not variance > 0:
        return Measure(value=value, level=level)
    reach = float(ndtri((1 + level) / 2) * np.sqrt(variance))
    low, high = max(0.0, value - reach), min(1.0, value + reach)
    return Measure(value=min(1.0, max(0.0, value)), low=low, high=high, level=level, method="asymptotic")


def choose_weight(good: Floats, judged: Floats, unlabelled: Floats) -> float:
    """How much the judge counts, from 0 to 1 (the power tuning of PPI++)."""
    labelled, others = len(good), len(unlabelled)
    if labelled < 2 or not others:  # noqa: PLR2004 - a covariance needs two
        return 0.0
    spread = float(np.var(np.concatenate([judged, unlabelled]), ddof=1))
    if not spread:
        return 0.0
    covariance = float(np.cov(good, judged)[0, 1])
    return min(1.0, max(0.0, covariance / ((1 + labelled / others) * spread)))


def _variance_of_mean(values: Floats, codes: Codes) -> float:
    """
    Of the mean of values of which those with one code were drawn together; never less than if each were
    drawn by itself, for groups that were chosen to be alike hide how rows vary.
    """
    off = values - values.mean()
    variances = [0.0]
    for sums in (off, np.bincount(codes, off)):
        count = len(sums)
        if count > 1:
            variances.append(float((sums**2).sum() / len(values) ** 2 * count / (count - 1)))
    return max(variances)
