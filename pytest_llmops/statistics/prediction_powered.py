"""Means of people's labels, from few labels and many scores of a judge: prediction-powered inference."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from pytest_llmops.statistics.codes import Codes, Floats, group_codes
from pytest_llmops.statistics.intervals import LEVEL, Measure


def correct_mean(  # noqa: PLR0913 - two samples, how they were drawn, and the scale
    labels: Floats,
    judged: Floats,
    others: Floats,
    *,
    reach: tuple[float, float],
    groups: Sequence[Hashable] | None = None,
    other_groups: Sequence[Hashable] | None = None,
    level: float = LEVEL,
) -> Measure:
    """
    The mean label of the others: their mean score, moved by the judge's mean error where there are labels.

    The judge's weight is 1, not tuned as by `estimate_rate`: a smaller weight would draw the mean towards
    that of the labelled rows, which an earlier app may have answered. What is taken over from there is the
    judge's error alone.

    The interval is of Student's t with the degrees of freedom of Welch and Satterthwaite. Two errors as large
    as the largest one are added to those that were seen, one to either side: a judge that never erred on
    twenty rows may err on the next one, and a variance of 0 would exclude that.

    Args:
        labels: Of people, on the scale of the scores; shape (labelled,).
        judged: Scores of the same rows.
        others: Scores of rows without a label, drawn alike; shape (others,).
        reach: Lowest and highest value that there can be.
        groups: The group of each labelled row, which counts as one draw; `other_groups` alike.

    Raises:
        ValueError: Fewer than two labels, or no others.

    Source: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic (2023), Prediction-powered inference, Science
        382, algorithm 1 (mean). Added errors: Agresti and Coull (1998), for shares.
    """
    import numpy as np
    from scipy.stats import t as student

    if len(labels) < 2 or not len(others):  # noqa: PLR2004 - an error needs spread
        raise ValueError("two labels and one other score are needed")
    errors = labels - judged
    codes, other_codes = group_codes(groups, len(labels)), group_codes(other_groups, len(others))
    value = float(others.mean() + errors.mean())
    largest = float(np.abs(errors).max()) or _smallest_step(labels, judged, others)
    added = 2 * largest**2 / len(labels) / (len(labels) + 1)
    variances = (_variance_of_mean(errors, codes) + added, _variance_of_mean(others, other_codes))
    freedom = [len(np.unique(of_rows)) - 1 for of_rows in (codes, other_codes)]
    low, high = reach
    off = high - low  # of one group or one case nothing shows the spread
    if all(freedom):
        shares = sum(part**2 / of for part, of in zip(variances, freedom, strict=True))
        off = float(student.ppf((1 + level) / 2, sum(variances) ** 2 / shares) * np.sqrt(sum(variances)))
    return Measure(
        value=min(high, max(low, value)),
        low=min(high, max(low, value - off)),
        high=max(low, min(high, value + off)),
        level=level,
        method="asymptotic",
    )


def estimate_rate(
    good: Floats,
    judged: Floats,
    unlabelled: Floats,
    *,
    groups: Sequence[Hashable] | None = None,
    unlabelled_groups: Sequence[Hashable] | None = None,
) -> Measure:
    """
    The share of good rows among all: the judge's rate, corrected by its error where there are labels.

    The judge's weight is chosen for the shortest interval: a useless one counts nothing, and the estimate is
    then that of the labels. The interval holds for many labels, some dozens of each
    kind, that were drawn at random from all rows.

    Args:
        good: Labels of people, 1 or 0; shape (labelled,).
        judged: Judgements of the same rows, any number; shape (labelled,).
        unlabelled: Judgements of the other rows; shape (others,).
        groups: The group of each labelled row, which counts as one draw.

    Source: Angelopoulos, Duchi and Zrnic (2023), PPI++: Efficient Prediction-Powered Inference, for a mean.
    """
    import numpy as np
    from scipy.special import ndtri

    weight = choose_weight(good, judged, unlabelled)
    value = float(good.mean())
    if weight:
        value = float(good.mean() + weight * (unlabelled.mean() - judged.mean()))
    variance = _variance_of_mean(good - weight * judged, group_codes(groups, len(good)))
    if weight:
        variance += weight**2 * _variance_of_mean(unlabelled, group_codes(unlabelled_groups, len(unlabelled)))
    if not variance > 0:
        return Measure(value=value, level=LEVEL)
    reach = float(ndtri((1 + LEVEL) / 2) * np.sqrt(variance))
    low, high = max(0.0, value - reach), min(1.0, value + reach)
    return Measure(value=min(1.0, max(0.0, value)), low=low, high=high, level=LEVEL, method="asymptotic")


def choose_weight(good: Floats, judged: Floats, unlabelled: Floats) -> float:
    """The weight of the judge, from 0 to 1 (the power tuning of PPI++)."""
    import numpy as np

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
    The variance of the mean of values, those with one code drawn together; at least that of single draws,
    for groups that were chosen to be alike hide how rows vary.
    """
    import numpy as np

    off = values - values.mean()
    variances = [0.0]
    for sums in (off, np.bincount(codes, off)):
        count = len(sums)
        if count > 1:
            variances.append(float((sums**2).sum() / len(values) ** 2 * count / (count - 1)))
    return max(variances)


def _smallest_step(*columns: Floats) -> float:
    """The smallest distance of two values; 1 where all are equal."""
    import numpy as np

    steps = np.diff(np.unique(np.concatenate(columns)))
    return float(steps.min()) if len(steps) else 1.0
