"""Whole runs: cases are run while a verdict is open, and the verdict is that of what was run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import compare
from pytest_llmops.gates.case_channel.reading import find_movement, read_pairs
from pytest_llmops.gates.case_results import count_repeats
from pytest_llmops.gates.error_budget import CaseBudget
from pytest_llmops.gates.paired_runs import Chance, pair_cases
from pytest_llmops.gates.repeats import RepeatPlanner
from pytest_llmops.gates.suite_channel.verdicts import track_suites
from pytest_llmops.records import CaseResult, Check, Comparison, SuiteCheck
from tests.unit.gates.gate_records import FILE, VARYING, check_of, result_of, run_of, steady, suite_check

Draw = Callable[[str, int], tuple[str, float]]
"""The text and the score of a case's repeat."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A baseline and what its golden file asks of each case and of the suite, or by default of its metric."""

    base: list[CaseResult]
    metric: str = "exact_match"
    suite: tuple[SuiteCheck, ...] = (suite_check(),)
    checks: tuple[Check, ...] = ()
    most: int = 64
    fixed: frozenset[str] = frozenset()

    def run(self, draw: Draw) -> tuple[list[CaseResult], Comparison]:
        names = [each.case.rpartition("::")[2] for each in self.base]
        planner = RepeatPlanner(
            base={each.case: each for each in self.base},
            suite={FILE: self.suite},
            most=self.most,
            budget=CaseBudget(tests=len(names) * max(1, len(self.checks))),
        )
        repeats = {name: 3 if name in self.fixed else 1 for name in names}
        while True:
            results = [
                self._result(name, [draw(name, nth) for nth in range(repeats[name])]) for name in names
            ]
            wanted = {case.rpartition("::")[2]: step for case, step in planner.next_repeats(results).items()}
            if not wanted:
                return results, compare(run_of(self.base), run_of(results), suite={FILE: self.suite})
            assert all(repeats[name] < step <= self.most for name, step in wanted.items())
            repeats |= wanted

    def _result(self, name: str, drawn: list[tuple[str, float]]) -> CaseResult:
        texts, values = ([each[part] for each in drawn] for part in (0, 1))
        options = {"texts": texts, "checks": self.checks, "auto": 0 if name in self.fixed else self.most}
        return result_of(name, **options, **{self.metric: values})


def red(comparison: Comparison) -> list[str]:
    return [verdict.check for verdict in comparison.verdicts if verdict.outcome == "regressed"]


NAMES = [f"c{at:02}" for at in range(30)]


@pytest.mark.parametrize("max_drop", [None, 0.05])
@pytest.mark.parametrize("checks", [(), (check_of("semantic", ">= 0.7"),)])
def test_scores_of_a_steady_app_that_drop_in_all_of_five_cases_are_regressed(max_drop, checks):
    """semantic .98 to .55: too few for sign patterns, and no chance where no repeat differs."""
    base = [steady(name, semantic=0.98) for name in NAMES[:5]]
    gate = Gate(
        base=base, metric="semantic", suite=(suite_check("semantic", max_drop=max_drop),), checks=checks
    )

    results, comparison = gate.run(lambda *_: ("another answer", 0.55))

    assert "semantic mean" in red(comparison)[0]
    assert {count_repeats(result) for result in results} == {3}
    fixed = [steady(name, 3, semantic=0.55) for name in NAMES[:5]]
    assert "semantic mean" in red(compare(run_of(base), run_of(fixed, *gate.suite)))[0]


def test_five_deterministic_drops_are_always_regressed_for_two_further_calls_of_each():
    base = [steady(name, exact_match=1.0) for name in NAMES]
    gate = Gate(base=base, suite=(suite_check(max_drop=0.05),), checks=(check_of(),))

    results, comparison = gate.run(lambda name, _: ("lost", 0.0) if name in NAMES[:5] else ("60 days", 1.0))

    assert red(comparison) == ["exact_match mean, max_drop 0.05", "exact_match >= 1, case by case"]
    assert comparison.verdicts[1].cases == 5
    assert [count_repeats(result) for result in results] == [3] * 5 + [1] * 25


@pytest.mark.parametrize("recorded", [2, 10])
@pytest.mark.parametrize("deviating", [1, 3])
def test_a_deviation_that_does_not_come_again_is_no_fact(recorded, deviating):
    """An app that answers otherwise once in a hundred calls, whose baseline shows it in none."""
    base = [steady(name, recorded, exact_match=1.0) for name in NAMES]
    gate = Gate(base=base, suite=(suite_check(max_drop=0.02),), checks=(check_of(),))

    _, comparison = gate.run(
        lambda name, nth: ("odd", 0.0) if name in NAMES[:deviating] and nth == 0 else ("60 days", 1.0)
    )

    assert red(comparison) == []
    assert comparison.outcome in {"passed", "undecided"}


@pytest.mark.parametrize("rate", [0.01, 0.03, 0.05])
def test_rare_deviations_beside_a_steady_baseline_are_seldom_red(rate):
    """An unchanged app of thirty cases, forty times: one red run is what the budget has for twenty."""
    found = []
    for seed in range(40):
        generator = np.random.default_rng([seed, round(rate * 100)])
        drawn = generator.random((30, 70)) < rate
        base = [steady(name, exact_match=1.0) for name in NAMES]
        gate = Gate(base=base, suite=(suite_check(max_drop=0.05),), checks=(check_of(),))
        _, comparison = gate.run(
            lambda name, nth, drawn=drawn: (
                (f"odd {nth}", 0.0) if drawn[int(name[1:]), nth] else ("60 days", 1.0)
            )
        )
        found.append(comparison.outcome)

    assert found.count("regressed") <= 3
    assert found.count("failed") <= 3


def varying_base(rates: np.ndarray, generator: np.random.Generator) -> list[CaseResult]:
    return [
        result_of(name, exact_match=generator.binomial(1, rate, 10).astype(float).tolist())
        for name, rate in zip(NAMES, rates, strict=False)
    ]


@pytest.mark.parametrize("drop", [0.0, 0.3])
def test_red_is_confirmed_on_fresh_repeats_and_an_unchanged_app_is_hardly_ever_undecided(drop):
    outcomes = []
    for seed in range(25):
        generator = np.random.default_rng([seed, 5])
        rates = generator.beta(8, 2, 30)
        now = generator.random((30, 70)) < (rates - drop).clip(0, 1)[:, None]
        gate = Gate(base=varying_base(rates, generator), suite=(suite_check(max_drop=0.05),))
        results, comparison = gate.run(
            lambda name, nth, now=now: (f"{name} {nth}", float(now[int(name[1:]), nth]))
        )
        suite = comparison.verdicts[0]
        outcomes.append(suite.outcome)
        if suite.outcome == "regressed":
            assert min(map(count_repeats, results)) >= 4 + 6
            assert suite.difference < -0.05

    assert outcomes.count("regressed") <= 1 if not drop else outcomes.count("regressed") >= 23
    assert outcomes.count("undecided") <= 3


def test_undecided_has_an_observed_drop_and_passed_may_have_none_beyond_max_drop_that_is_open():
    """Five of thirty cases never hold any more: a drop beyond `max_drop` that thirty cases do not prove."""
    base = [result_of(name, exact_match=VARYING) for name in NAMES]
    gate = Gate(base=base, suite=(suite_check(max_drop=0.05),))

    _, comparison = gate.run(lambda name, nth: (f"{name} {nth}", float(name not in NAMES[:5])))

    mean, cases = comparison.verdicts
    assert (mean.outcome, mean.difference) == ("undecided", pytest.approx(25 / 30 - 0.9))
    assert (cases.outcome, cases.cases) == ("regressed", 5)


@pytest.mark.parametrize(("grouped", "outcome"), [(True, "passed"), (False, "regressed")])
def test_neutral_edit_of_paraphrases_is_told_by_their_groups(grouped, outcome):
    """Six questions in five ways each; the edit moves a question up or down with all of its ways."""
    moved = [-0.09, -0.08, -0.05, 0.01, 0.03, 0.0]
    base = [result_of(name, rouge_l=[0.6, 0.6, 0.61, 0.59]) for name in NAMES]
    new = [
        replace(
            result_of(name, rouge_l=[0.6 + moved[at // 5], 0.61 + moved[at // 5]]),
            group=f"q{at // 5}" if grouped else "",
        )
        for at, name in enumerate(NAMES)
    ]

    compared = compare(run_of(base), run_of(new, suite_check("rouge_l")))

    assert compared.verdicts[0].outcome == outcome


def test_more_collapses_than_chance_explains_are_regressed_where_repeats_are_fixed():
    """Two new repeats tell of no case that it collapsed, and of nine in thirty that something did."""
    base = [result_of(name, exact_match=[1.0] * 10) for name in NAMES]
    new = [
        result_of(name, checks=[check_of()], exact_match=[0.0, 0.0] if name in NAMES[:9] else [1.0, 1.0])
        for name in NAMES
    ]

    def told(cases: int) -> list[tuple[str, int | None]]:
        results = [*new[:cases], *(replace(each, scores=new[-1].scores) for each in new[cases:])]
        verdicts = compare(run_of(base), run_of(results, suite_check(max_drop=0.9))).verdicts
        return [
            (verdict.outcome, verdict.cases) for verdict in verdicts if verdict.check.endswith("case by case")
        ]

    assert told(9) == [("regressed", 9)]
    assert told(1) == [("undecided", 1)]
    looked = [replace(each, auto=2) for each in new]
    verdicts = compare(run_of(base), run_of(looked, suite_check(max_drop=0.9))).verdicts
    assert "regressed" not in {
        verdict.outcome for verdict in verdicts
    }  # where they are not, each is run again


SUITES = ((suite_check(max_drop=0.05),), (suite_check(),), (suite_check(max_drop=0.3),))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    A run to be drawn.

    Attributes:
        cases: Whether each varies in the baseline, and its chance to hold now.
        fixed: Cases whose number of repeats was fixed.
    """

    seed: int
    cases: list[tuple[bool, float]]
    suite: tuple[SuiteCheck, ...]
    most: int
    checked: bool
    fixed: frozenset[str]

    def make(self) -> tuple[Gate, np.ndarray]:
        generator = np.random.default_rng(self.seed)
        base = [
            result_of(name, exact_match=generator.binomial(1, 0.8, 8).astype(float).tolist())
            if varies
            else steady(name, 4, exact_match=1.0)
            for name, (varies, _) in zip(NAMES, self.cases, strict=False)
        ]
        checks = (check_of(),) if self.checked else ()
        gate = Gate(base=base, suite=self.suite, checks=checks, most=self.most, fixed=self.fixed)
        chances = np.array([chance for _, chance in self.cases])
        return gate, generator.random((len(base), 70)) < chances[:, None]


plans = st.builds(
    Plan,
    seed=st.integers(0, 10_000),
    cases=st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.3, 0.8, 1.0])), min_size=2, max_size=12),
    suite=st.sampled_from(SUITES),
    most=st.sampled_from([1, 2, 3, 5, 8, 20, 64]),
    checked=st.booleans(),
    fixed=st.frozensets(st.sampled_from(NAMES[:6]), max_size=3),
)


@given(plans)
def test_what_the_planner_leaves_is_undecided_for_no_want_of_repeats(plan):
    gate, now = plan.make()
    varies = {each.case for each in gate.base if len({score.value for score in each.scores}) > 1}

    def draw(name: str, nth: int) -> tuple[str, float]:
        held = float(now[int(name[1:]), nth])
        return (f"{name} {nth}" if f"{FILE}::{name}" in varies else f"{held}"), held

    results, comparison = gate.run(draw)

    chance = Chance(gate.base)
    pairs = pair_cases(gate.base, results)
    readings = read_pairs(pairs, chance)
    moved = find_movement(readings)
    budget = CaseBudget(tests=len(gate.base))
    for reading in (replace(each, moved=moved) for of_case in readings.values() for each in of_case):
        enough = not reading.most or len(reading.after) == reading.most
        assert enough or reading.state(budget) not in {"suspect", "called"}
    tracked = track_suites({FILE: gate.suite}, results, gate.base, share=0.7, chance=chance)
    asked = any(chance.may_explain(base, new) for base, new in pairs.shared)
    for progress in tracked:
        assert progress.state != "called"
        assert not progress.wants or not asked
    for verdict in comparison.verdicts:
        if verdict.outcome == "undecided" and not verdict.check.endswith("case by case"):
            (progress,) = [each for each in tracked if each.scores.check == gate.suite[0]]
            assert progress.state in {"open", "refuted"}
            assert verdict.difference < -(gate.suite[0].max_drop or 0)
