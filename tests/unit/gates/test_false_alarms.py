"""Ten old repeats against a new one of the same app: what must not be called a drop."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.gates.gate_records import coarse_intervals, judge_suite_against, result_of, suite_check

CASES, OLD, NEW = 30, 10, 1


def judge(statistic: str, metric: str, seed: int, ab: tuple[float, float] | None):
    """Two runs of one app that passes with rates Beta(a, b), or whose scores are continuous."""
    generator = np.random.default_rng([seed, OLD])
    rates = generator.beta(*ab, (CASES, 1)) if ab else generator.normal(0.6, 0.02, (CASES, 1))

    def run(repeats: int):
        shape = (CASES, repeats)
        drawn = generator.binomial(1, rates, shape) if ab else generator.normal(rates, 0.15, shape).clip(0, 1)
        return [
            result_of(f"c{at:02}", **{metric: row}) for at, row in enumerate(drawn.astype(float).tolist())
        ]

    base, new = run(OLD), run(NEW)
    return judge_suite_against(suite_check(metric, statistic, max_drop=0.0), new, base)


@pytest.mark.parametrize("ab", [(1, 9), (9, 1)], ids=["seldom passes", "mostly passes"])
def test_mean_of_one_repeat_against_ten_keeps_the_level(ab):
    with coarse_intervals():
        verdicts = [judge("mean", "exact_match", seed, ab) for seed in range(300)]

    assert np.mean([verdict.p_value <= 0.05 for verdict in verdicts]) <= 0.05
    assert np.mean([verdict.outcome == "regressed" for verdict in verdicts]) <= 0.025


@pytest.mark.parametrize(
    ("statistic", "metric"),
    [("min", "rouge_l"), ("p5", "rouge_l"), ("p95", "latency_s"), ("max", "latency_s")],
)
def test_tail_of_one_repeat_against_ten_is_no_worse_for_spreading_wider(statistic, metric):
    """Means of ten repeats have thin tails, single repeats have not: of unlike means 30 in 40 are called."""
    with coarse_intervals():
        outcomes = [judge(statistic, metric, seed, None).outcome for seed in range(40)]

    assert outcomes.count("regressed") <= 4
