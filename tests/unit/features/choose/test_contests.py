"""The tests of a pair against those of scipy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from pytest_llmops.features.choose.contests import compare_spending, hold_contest
from pytest_llmops.features.choose.runs import Spending
from pytest_llmops.statistics.paired import PairedComparison
from tests.unit.features.choose.choice_records import SECONDS, SHARE, entry, field, ids, table

counts = st.integers(0, 40)


def contest(mine, theirs, *, scale=SHARE, groups=None, errors=None):
    first, second = entry("a", m=mine), entry("b", m=theirs, errors={"m": errors or []})
    return hold_contest("m", first, second, field(first, second, groups=groups, m=scale), alpha=0.05, seed=0)


@given(counts, counts, counts, counts)
def test_pass_or_miss_scores_are_mcnemars_exact_test(ahead, behind, both, neither):
    if not ahead + behind + both + neither:
        return
    found = contest(*table(ahead, behind, both, neither))

    expected = mcnemar([[both, ahead], [behind, neither]], exact=True).pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    if ahead + behind:
        assert found.p_value == pytest.approx(stats.binomtest(ahead, ahead + behind).pvalue, rel=1e-9)
    assert (found.better, found.ties, found.worse) == (ahead, both + neither, behind)
    assert found.difference == pytest.approx((ahead - behind) / found.cases)


def test_three_against_two_questions_are_chance():
    """What a tool that picks by the mean calls its best module."""
    found = contest(*table(3, 2, both=15))
    assert found.p_value == 1.0
    assert found.low < 0 < found.high


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=10))
def test_graded_scores_are_the_exact_permutation_test(pairs):
    mine, theirs = ([value / 8 for value in side] for side in zip(*pairs, strict=True))
    expected = stats.permutation_test(
        (np.array(mine), np.array(theirs)),
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
    ).pvalue
    assert contest(mine, theirs).p_value == pytest.approx(min(1.0, expected), abs=1e-9)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
def test_sides_may_be_changed(pairs):
    mine, theirs = (list(side) for side in zip(*pairs, strict=True))
    one, other = contest(mine, theirs), contest(theirs, mine)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.gain == pytest.approx(-other.gain)
    assert (one.better, one.worse) == (other.worse, other.better)


def test_lower_is_better_turns_the_gain_alone():
    mine, theirs = [1.0, 2.0, 3.0], [2.0, 3.0, 5.0]
    found = contest(mine, theirs, scale=SECONDS)
    assert found.difference == pytest.approx(-4 / 3)
    assert found.gain == pytest.approx(4 / 3)
    assert (found.better, found.worse) == (3, 0)


def test_cases_of_a_group_count_once():
    mine, theirs = table(12, 0)
    alone = contest(mine, theirs)
    grouped = contest(mine, theirs, groups={case: f"question {at % 3}" for at, case in enumerate(ids(12))})
    assert alone.p_value == pytest.approx(2 / 2**12)
    assert grouped.p_value == pytest.approx(2 / 2**3)


def test_an_errored_case_is_the_worst_score():
    found = contest([1.0] * 10, [1.0] * 10, errors=[0, 1])
    assert (found.better, found.ties) == (2, 8)
    assert found.p_value == pytest.approx(0.5)
    assert found.p_answered == 1.0


def test_an_errored_case_is_left_out_where_there_is_no_worst_score():
    found = contest([1.0] * 10, [2.0] * 10, errors=[0, 1], scale=SECONDS)
    assert (found.cases, found.better) == (8, 8)


def test_answered_cases_that_speak_for_the_other_are_no_evidence():
    """Eight errors outweigh the four cases that the second candidate won."""
    found = contest([1.0] * 8 + [0.0] * 6, [1.0] * 8 + [1.0] * 6, errors=[*range(8)])
    assert found.gain > 0
    assert found.p_answered == 1.0


def test_unlike_repeats_are_held_against_their_exchange():
    """One answer against the mean of ten is askew, so that sign patterns alone would call it too soon."""
    many = (1.0,) * 9 + (0.0,)
    assert PairedComparison(base=[many] * 20, new=[(1.0,)] * 20).two_sided_p_value() > 0.1
    assert PairedComparison(base=[many] * 20, new=[(1.0,) * 10] * 20).two_sided_p_value() < 1e-4


def test_one_case_says_nothing():
    found = contest([1.0], [0.0])
    assert found.p_value == 1.0


@pytest.mark.parametrize("name", ["latency_s", "cost_usd"])
def test_spending_is_compared_where_all_of_it_is_known(name):
    def spent(values):
        return Spending(**{name: {case: (value,) for case, value in zip(ids(6), values, strict=False)}})

    def made(label, values):
        plain = entry(label, m=[1.0] * 6)
        return type(plain)(
            name=label, values=plain.values, answers=dict.fromkeys(ids(6), ("x",)), spending=spent(values)
        )

    first, second = made("a", [1, 2, 3, 4, 5, 6]), made("b", [2, 4, 6, 8, 10, 12])
    whole = field(first, second)
    found = compare_spending(name, "p50", first, second, whole, alpha=0.05)
    assert found.difference == pytest.approx(-3.5)
    assert found.p_value is None
    assert found.better == 6
    part = made("c", [1.0, 2.0])
    assert compare_spending(name, "p50", first, part, whole, alpha=0.05) is None
    free = made("d", [0.0] * 6)
    assert compare_spending(name, "p50", free, free, whole, alpha=0.05) is None
