"""A winner is better than every other candidate and worse in nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_llmops.features.choose.contests import Contest
from pytest_llmops.features.choose.runs import ChoiceError, Entry
from pytest_llmops.features.choose.verdict import beats, choose
from tests.unit.features.choose.choice_records import SECONDS, SHARE, entry, field, ids, table

ALL, NONE = [1.0] * 20, [0.0] * 20


@pytest.mark.parametrize(
    ("entries", "outcome", "winner"),
    [
        ([entry("a", m=ALL), entry("b", m=NONE)], "winner", "a"),
        ([entry("b", m=NONE), entry("a", m=ALL)], "winner", "a"),
        ([entry("a", m=ALL), entry("b", m=ALL)], "none", ""),
        ([entry("a", m=NONE), entry("b", m=NONE)], "none", ""),
        ([entry("a", m=[0.5] * 20), entry("b", m=[0.5] * 20)], "none", ""),
        ([entry("a", m=[1.0]), entry("b", m=[0.0])], "none", ""),
        ([entry("a", m=[1.0] * 5), entry("b", m=[0.0] * 5)], "none", ""),
        ([entry("a", m=[1.0] * 6), entry("b", m=[0.0] * 6)], "winner", "a"),
        # the third candidate is as good, and makes three tests of one
        ([entry("a", m=ALL), entry("b", m=NONE), entry("c", m=ALL)], "none", ""),
        ([entry("a", m=[1.0] * 6), entry("b", m=[0.0] * 6), entry("c", m=[0.0] * 6)], "none", ""),
        ([entry("a", m=ALL), entry("b", m=NONE), entry("c", m=NONE)], "winner", "a"),
        # errors
        ([entry("a", m=ALL, errors={"m": [3]}), entry("b", m=NONE)], "error", ""),
        ([entry("a", m=ALL), entry("b", m=NONE, errors={"m": [3]})], "winner", "a"),
        ([entry("a", m=ALL), entry("b", m=ALL, errors={"m": range(8)})], "error", ""),
        ([entry("a", m=ALL), entry("b", m=ALL, errors={"m": [3]})], "none", ""),
        ([entry("a", m=ALL), entry("b", m=ALL, errors={"m": range(20)})], "error", ""),
        ([entry("a", m=ALL), Entry(name="b", values={}, broken="it died")], "error", ""),
        ([entry("a", m=ALL), entry("c", m=NONE), Entry(name="b", values={}, broken="it died")], "error", ""),
        ([Entry(name="a", values=entry("a", m=ALL).values, broken="it"), entry("b", m=NONE)], "error", ""),
        ([entry("a", m=ALL), replace(entry("b", m=NONE), broken="it")], "error", ""),
        ([entry("a", m=ALL), replace(entry("b", m=ALL), broken="it")], "error", ""),
        ([entry("a", m=ALL), entry("c", m=NONE), replace(entry("b", m=NONE), broken="it")], "error", ""),
    ],
)
def test_outcomes(entries, outcome, winner):
    found = choose(field(*entries))
    assert (found.outcome, found.winner) == (outcome, winner)
    assert bool(found.reason) == (outcome == "error")


@pytest.mark.parametrize("values", [ALL, NONE, []])
def test_each_broken_candidate_is_named(values):
    """Beside a winner, and beside one without any score."""
    broken = [replace(entry(name, m=values), broken=f"{name} died") for name in ("b", "c")]
    found = choose(field(entry("a", m=ALL), entry("d", m=NONE), *broken))
    assert (found.outcome, found.winner) == ("error", "")
    assert "b died" in found.reason
    assert "c died" in found.reason


@pytest.mark.parametrize(
    ("p_values", "better"),
    [
        ({"p_value": 0.0, "p_adjusted": 0.0}, True),
        ({"p_value": 0.04, "p_adjusted": 0.04}, True),
        ({"p_value": 0.04, "p_adjusted": 0.06}, False),
        ({}, False),
    ],
)
def test_a_p_value_of_zero_is_one(p_values, better):
    won = Contest(metric="m", first="a", second="b", cases=9, gain=1.0, **p_values)
    assert beats("a", "b", [won], 0.05) is better
    sure = replace(won, p_value=0.01, p_adjusted=0.01)
    lost = replace(won, metric="n", gain=-1.0)
    likely = p_values.get("p_value") is not None
    assert beats("a", "b", [sure, lost], 0.05) is not likely


def test_the_work_is_not_the_square_of_the_cases():
    class Counted(tuple):
        __slots__ = ()

        def __iter__(self):
            reads.append(len(self))
            return super().__iter__()

    reads = []
    for count in (10, 40):
        whole = field(entry("a", m=[1.0] * count), entry("b", m=[0.0] * count))
        whole = replace(whole, cases=Counted(whole.cases))
        choose(whole)
    assert reads.count(10) == reads.count(40)


def test_candidates_that_beat_each_other_in_a_circle_have_no_winner():
    one, two, three = ([float((at // 30 - shift) % 3 != 2) for at in range(90)] for shift in range(3))
    graded = [
        [0.6 if at < 60 else 0.0 for at in range(90)],
        [0.0 if at < 60 else 0.5 for at in range(90)],
    ]
    assert choose(field(entry("a", m=one), entry("b", m=two), entry("c", m=three))).outcome == "none"
    # a beats b by m, b beats c by n, c beats a by k, each surely
    names = ("m", "n", "k")
    rows = {"a": (1.0, 0.5, 0.0), "b": (0.0, 1.0, 0.5), "c": (0.5, 0.0, 1.0)}
    entries = [
        entry(name, **{metric: [value] * 20 for metric, value in zip(names, values, strict=True)})
        for name, values in rows.items()
    ]
    for order in permutations(entries):
        found = choose(field(*order, m=SHARE, n=SHARE, k=SHARE))
        assert (found.outcome, found.winner) == ("none", "")
    assert choose(field(entry("a", m=graded[0]), entry("b", m=graded[1]))).winner == "a"


@pytest.mark.parametrize(
    ("mine", "theirs", "winner"),
    [
        ({"m": ALL, "n": ALL}, {"m": NONE, "n": ALL}, "a"),  # better in one, level in the other
        ({"m": ALL, "n": NONE}, {"m": NONE, "n": ALL}, ""),
        ({"m": ALL, "n": [1.0] * 14 + [0.0] * 6}, {"m": NONE, "n": ALL}, ""),  # worse, p = .03 uncorrected
        ({"m": ALL, "n": [1.0] * 18 + [0.0] * 2}, {"m": NONE, "n": ALL}, "a"),  # worse, as chance would do
    ],
)
def test_worse_by_another_metric(mine, theirs, winner):
    found = choose(field(entry("a", **mine), entry("b", **theirs), m=SHARE, n=SHARE))
    assert found.winner == winner


def test_lower_is_better():
    fast, slow = [1.0 + at / 100 for at in range(20)], [2.0 + at / 100 for at in range(20)]
    found = choose(field(entry("slow", m=slow), entry("fast", m=fast), m=SECONDS))
    assert found.winner == "fast"
    assert [standing.entry.name for standing in found.standings] == ["fast", "slow"]


def test_errors_without_a_worst_score_cannot_win():
    fast = entry("fast", m=[1.0] * 20, errors={"m": [4]})
    assert choose(field(fast, entry("slow", m=[2.0] * 20), m=SECONDS)).outcome == "error"


def test_errors_that_leave_no_case_in_common_are_an_error():
    first = entry("a", m=[1.0] * 6, errors={"m": range(3)})
    second = entry("b", m=[1.0] * 6, errors={"m": range(3, 6)})
    found = choose(field(first, second, m=SECONDS))
    assert (found.outcome, found.closest) == ("error", None)
    assert found.reason == "errors leave no case that a shares with another candidate"


def test_three_against_two_has_no_winner_and_says_what_would_decide():
    mine, theirs = table(3, 2, both=15)
    found = choose(field(entry("a", m=mine), entry("b", m=theirs)))
    assert (found.outcome, found.closest.better, found.closest.worse) == ("none", 3, 2)
    assert found.closest.p_adjusted == 1.0
    assert 500 < found.further_cases < 1_500


def test_the_closest_contest_is_of_the_first_that_is_not_beaten():
    best, level, poor = [1.0] * 20, [1.0] * 18 + [0.0] * 2, NONE
    found = choose(field(entry("poor", m=poor), entry("level", m=level), entry("best", m=best)))
    assert [standing.entry.name for standing in found.standings] == ["best", "level", "poor"]
    assert {found.closest.first, found.closest.second} == {"best", "level"}


@given(st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=2, max_size=4))
def test_a_winner_is_one_by_scipys_test(table):
    """Of any table: the winner's p-value against each other one, by Bonferroni's bound, which Holm keeps."""
    entries = [entry(f"{at}", m=[float(value) for value in row]) for at, row in enumerate(table)]
    found = choose(field(*entries))
    tests = len(table) * (len(table) - 1) // 2
    p_values = {}
    for at, mine in enumerate(table):
        for other, theirs in enumerate(table):
            ahead = sum(a and not b for a, b in zip(mine, theirs, strict=True))
            behind = sum(b and not a for a, b in zip(mine, theirs, strict=True))
            p_value = stats.binomtest(ahead, ahead + behind).pvalue if ahead + behind else 1.0
            p_values[at, other] = p_value if ahead > behind else 1.0
    sure = [
        at
        for at in range(len(table))
        if all(p_values[at, other] * tests <= 0.05 for other in range(len(table)) if other != at)
    ]
    if sure:
        assert found.winner == f"{sure[0]}"
    if found.winner:
        at = int(found.winner)
        assert all(p_values[at, other] <= 0.05 for other in range(len(table)) if other != at)


def test_no_false_winner_of_equal_candidates(monkeypatch):
    """Three equal candidates on 30 cases: at most the error budget of 5 % names a winner."""
    import numpy as np

    # How many more cases would decide is most of the work, and decides nothing.
    monkeypatch.setattr("pytest_llmops.features.choose.verdict.count_further_cases", lambda *_, **__: None)
    random = np.random.default_rng(7)
    named = 0
    for _ in range(100):
        rows = random.random((3, 30)) < 0.7
        named += (
            choose(field(*(entry(f"{at}", m=row.astype(float)) for at, row in enumerate(rows)))).winner != ""
        )
    assert named <= 5


@pytest.mark.parametrize("entries", [[], [entry("a", m=ALL)], [entry("a", m=[]), entry("b", m=[])]])
def test_nothing_to_choose_from(entries):
    with pytest.raises(ChoiceError, match="nothing to choose from"):
        choose(field(*entries))


def test_groups_reach_the_verdict():
    mine, theirs = table(12, 0)
    groups = {case: f"question {at % 3}" for at, case in enumerate(ids(12))}
    assert choose(field(entry("a", m=mine), entry("b", m=theirs))).winner == "a"
    assert choose(field(entry("a", m=mine), entry("b", m=theirs), groups=groups)).winner == ""
