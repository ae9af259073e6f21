"""A suite check measured against its baseline, for its verdict."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmops.gates.suite_channel.paired_scores import PairedScores, Values
from pytest_llmops.statistics.bootstrap import Spread, paired_interval
from pytest_llmops.statistics.summaries import calculate, mean, sample_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredDrop:
    """
    A suite check compared with its baseline, for its verdict.

    Attributes:
        dropped: The pairs that got worse, the farthest first.
        repeats: New repeats of a case, the fewest.
        noise: Variance between the new repeats of a case, the mean over the cases; 0 where unknown.
    """

    baseline: float
    difference: float
    spread: Spread
    dropped: tuple[dict[str, object], ...]
    cases: int
    repeats: int
    noise: float

    @classmethod
    def of(cls, scores: PairedScores, values: Values, *, level: float, seed: int) -> MeasuredDrop:
        before, after = (dict(zip(values, means, strict=True)) for means in scores.means(values))
        worst = sorted((scores.sign * (after[case] - before[case]), case) for case in before)
        base = list(before.values())
        return cls(
            baseline=calculate(scores.check.statistic, base),
            difference=scores.difference(values),
            spread=paired_interval(
                scores.check.statistic, base, list(after.values()), level=level, seed=seed, units=scores.units
            ),
            dropped=tuple(
                {"case": case, "before": before[case], "after": after[case]} for by, case in worst if by < 0
            ),
            cases=len(before),
            repeats=min(len(new) for _, new in values.values()),
            noise=mean([sample_variance(new) or 0.0 for _, new in values.values()]),
        )
