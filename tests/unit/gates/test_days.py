"""Days that move cases: how much the repeats of one run have in common, and that single cases get to know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import f_oneway

from pytest_llmops import compare
from pytest_llmops.gates import paired_runs
from pytest_llmops.gates.days import count_independent, find_day_shares
from pytest_llmops.records import CaseResult, Check, Output, Run, Score

CHECK = Check(metric="rouge_l", comparison=">=", threshold=0.5)


def result(case, values, runs=()):
    return CaseResult(
        case=f"golden/shop.yaml::{case}",
        input_hash=str(case),
        outputs=tuple(Output(text=f"{value} {at}", repeat=at) for at, value in enumerate(values)),
        scores=tuple(Score(metric="rouge_l", value=value, repeat=at) for at, value in enumerate(values)),
        checks=(CHECK,),
        runs=runs,
    )


def test_the_share_is_the_intraclass_correlation_of_one_case():
    days = [[0.2, 0.3, 0.25, 0.2], [0.8, 0.9, 0.85, 0.7], [0.5, 0.4, 0.45, 0.6]]
    f = f_oneway(*days).statistic

    shares = find_day_shares([result("a", np.concatenate(days).tolist(), (4, 4, 4))])

    assert shares == {"rouge_l": pytest.approx((f - 1) / (f + 3))}  # (MSB - MSW) / (MSB + (k - 1) MSW)


@pytest.mark.parametrize(("runs", "known"), [((10, 10, 10), True), ((15, 15), False), ((), False)])
def test_three_runs_are_the_fewest_that_tell(runs, known):
    values = [1.0] * 10 + [0.0] * 10 + [1.0] * 10
    assert find_day_shares([result("a", values, runs)]) == ({"rouge_l": 1.0} if known else {})


def test_repeats_that_are_independent_share_nothing():
    random = np.random.default_rng(0)
    cases = [result(at, (random.random(30) < 0.7).astype(float), (10, 10, 10)) for at in range(30)]
    assert find_day_shares(cases) == {}


@pytest.mark.parametrize(("share", "worth"), [(0.0, 10), (1.0, 1), (1 / 9, 5)])
def test_repeats_are_worth_less_the_more_they_share(share, worth):
    assert count_independent(10, share) == worth


def test_a_case_that_answers_otherwise_from_day_to_day_did_not_break_on_another_day(monkeypatch):
    """In each run all repeats of a case are alike: ten misses of a day are one miss."""
    random = np.random.default_rng(2)
    rates = random.beta(8, 2, 30)

    def draw(days):
        return [np.repeat((random.random(days) < rate).astype(float), 10) for rate in rates]

    base = [result(at, values, (10,) * 5) for at, values in enumerate(draw(5))]
    new = [result(at, values) for at, values in enumerate(draw(1))]

    def named():
        verdicts = compare(
            Run(signature={}, results=tuple(base)), Run(signature={}, results=tuple(new))
        ).verdicts
        return [verdict for verdict in verdicts if verdict.outcome == "regressed"]

    assert named() == []
    monkeypatch.setattr(paired_runs, "find_day_shares", lambda _: {})
    assert named()


def test_a_case_that_held_on_every_day_and_breaks_is_red_or_undecided():
    steady = [result(at, [1.0] * 50, (10,) * 5) for at in range(28)]
    varying = [
        result("v", [1.0] * 40 + [0.0] * 10, (10,) * 5),
        result("w", [0.0] * 10 + [1.0] * 40, (10,) * 5),
    ]
    new = [replace(each, runs=(), outputs=each.outputs[:10], scores=each.scores[:10]) for each in steady]
    new[0] = result(0, [0.0] * 10)

    compared = compare(
        Run(signature={}, results=(*steady, *varying)),
        Run(signature={}, results=(*new, result("v", [1.0] * 10), result("w", [1.0] * 10))),
    )

    assert compared.outcome in {"regressed", "undecided"}
