"""Apps that do not vary in the baseline: what breaks now and then is reported, what deviates once is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pytest_llmops.gates.case_channel.verdicts import judge_against
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.paired_runs import Chance
from pytest_llmops.records import Case, Golden
from tests.unit.gates.gate_records import FILE, check_of, result_of, run_of, steady, suite_check
from tests.unit.gates.test_run_until_closed import Gate


class Turns:
    """An app that was steady, and answers some cases well and badly in turn now, or by chance."""

    def __init__(self, cases: int, recorded: int) -> None:
        self.names = [f"c{at:02}" for at in range(cases)]
        self.checks = (check_of(),)
        self.base = [steady(name, recorded, exact_match=1.0) for name in self.names]

    def outcomes(self, hold: Callable[[str, int], bool]) -> list[str]:
        suite = (suite_check(max_drop=0.05),)
        golden = Golden(
            path=FILE,
            cases=tuple(Case(id=name, input=name, checks=self.checks) for name in self.names),
            suite=suite,
        )
        results, _ = Gate(base=self.base, suite=suite, checks=self.checks).run(
            lambda name, nth: ("60 days", 1.0) if hold(name, nth) else (f"odd {nth}", 0.0)
        )
        judge = Judge([golden], run_of(self.base))
        judge.note_movement(golden, results)
        verdicts = [
            judge.judge_case(case, result)[0] for case, result in zip(golden.cases, results, strict=True)
        ]
        assert not any(verdict.known for verdict in verdicts)
        return [verdict.outcome for verdict in verdicts]


def test_half_of_a_steady_app_becoming_coin_flips_is_regressed():
    found = Turns(10, 10).outcomes(lambda name, nth: name > "c04" or nth % 2 == 1)

    assert found == ["regressed"] * 5 + ["passed"] * 5


@pytest.mark.parametrize(("recorded", "outcomes"), [(10, {"regressed"}), (2, {"undecided", "regressed"})])
def test_one_case_of_a_steady_app_that_holds_one_in_three_does_not_pass(recorded, outcomes):
    found = Turns(30, recorded).outcomes(lambda name, nth: name != "c03" or nth % 3 == 1)

    assert found[3] in outcomes
    assert set(found) - {found[3]} == {"passed"}


def test_steady_app_whose_cases_deviate_now_and_then_passes():
    generator = np.random.default_rng(1)
    holds = generator.random((30, 30, 70)) > 0.03
    found = [Turns(30, 10).outcomes(lambda name, nth, run=run: run[int(name[1:]), nth]) for run in holds]

    assert sum(set(each) != {"passed"} for each in found) <= 1


@pytest.mark.parametrize("before", [[1.0] * 7 + [0.0] * 3, [1.0, 0.0] * 5])
def test_known_failure_that_never_holds_any_more_is_not_known(before):
    case = Case(id="a", input="How?", checks=(check_of(),))

    (verdict,) = judge_against(
        case, result_of("a", auto=64, exact_match=[0.0] * 8), result_of("a", exact_match=before)
    )

    assert (verdict.outcome, verdict.known) == ("undecided", False)


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param([0.5, 0.95, 0.5], id="two of three are below the bound"),
        pytest.param([0.95, 0.5, 0.95], id="one, as an app deviates now and then"),
    ],
)
@pytest.mark.parametrize("auto", [0, 64])
def test_scores_of_a_steady_app_that_fall_now_and_then_are_not_known(scores, auto):
    """Half as good is less than the drop of a case that counts, and still no failure of the baseline."""
    case = Case(id="a", input="How?", checks=(check_of("semantic", ">= 0.9"),))
    base = steady("a", 10, semantic=0.95)

    chance = Chance([base, *(steady(f"c{at}", 10, semantic=0.95) for at in range(9))])

    (verdict,) = judge_against(case, result_of("a", auto=auto, semantic=scores), base, chance=chance)

    assert (verdict.outcome, verdict.known) == ("undecided", False)
