"""Suite checks over the looks: cleared early, called late, confirmed on fresh repeats."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_llmops.gates.paired_runs import Chance
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores, PairedSuites
from pytest_llmops.gates.suite_channel.progress import BEYOND, BEYOND_OF_FEW, CONFIRM, Progress, track_checks
from pytest_llmops.records import CaseResult, SuiteCheck
from tests.unit.gates.gate_records import VARYING, judge_suite_against, result_of, steady, suite_check

NAMES = [f"c{index:02}" for index in range(30)]
BASE = [result_of(name, exact_match=VARYING) for name in NAMES]
WATCHED = suite_check(max_drop=0.05)


def run(values: Sequence[float], auto: int = 64, **others: Sequence[float]) -> list[CaseResult]:
    return [result_of(name, auto=auto, exact_match=list(others.get(name, values))) for name in NAMES]


def progress_of(
    results: list[CaseResult],
    check: SuiteCheck = WATCHED,
    base: list[CaseResult] | None = None,
    **options: object,
) -> Progress:
    return progress_of_all(results, check, base=base, **options)[0]


def progress_of_all(
    results: list[CaseResult],
    *checks: SuiteCheck,
    base: list[CaseResult] | None = None,
    share: float = 0.7,
    level: float = 0.95,
) -> list[Progress]:
    base = base or BASE
    paired = PairedSuites(results, base, Chance(base))
    found = [paired.find(check) for check in checks]
    return track_checks(
        [each for each in found if isinstance(each, PairedScores)], paired.looks, share=share, level=level
    )


@pytest.mark.parametrize(
    ("results", "state", "look", "wants"),
    [
        pytest.param(run([1.0]), "cleared", 1, 0, id="no drop at all"),
        pytest.param(
            run([1.0], c00=[0.0], c01=[0.0], c02=[0.0], c03=[0.0]),
            "open",
            1,
            2,
            id="one repeat clears no drop",
        ),
        pytest.param(
            run([1.0] * 2, c00=[0.0, 1.0], c01=[0.0, 1.0], c02=[0.0] * 2, c03=[0.0] * 2),
            "cleared",
            2,
            0,
            id="two clear a tolerated one",
        ),
        pytest.param(run([0.0]), "open", 1, 2, id="no call at the first look"),
        pytest.param(run([0.0] * 3), "open", 3, 4, id="nor at the third"),
        pytest.param(run([0.0] * 4), "called", 4, 10, id="called at the fourth"),
        pytest.param(run([0.0] * 9), "called", 4, 10, id="not confirmed before six fresh ones"),
        pytest.param(run([0.0] * 10), "regressed", 4, 0, id="confirmed"),
        pytest.param(run([0.0] * 4 + [1.0] * 6), "refuted", 4, 0, id="not confirmed"),
        pytest.param(run([0.0] * 4 + [0.5] * 4 + [1.0] * 2), "regressed", 4, 0, id="confirmed by half"),
        pytest.param(run([1.0] * 20, **dict.fromkeys(NAMES[:5], [0.0] * 20)), "open", 20, 0, id="to the end"),
    ],
)
def test_state_of_a_check_at_a_look(results, state, look, wants):
    progress = progress_of(results)

    assert (progress.state, progress.look, progress.wants) == (state, look, wants)


def test_fresh_repeats_are_those_after_the_call_alone():
    """All ten together show a drop; the six that were made after the call do not."""
    results = run([0.0] * 4 + [1.0, 1.0, 1.0, 1.0, 1.0, 0.5])

    assert progress_of(results).state == "refuted"
    verdict = judge_suite_against(WATCHED, results, BASE)
    assert (verdict.outcome, verdict.difference < -0.3) == ("undecided", True)
    assert verdict.reason.endswith("which fresh repeats did not confirm")


def test_tolerated_drop_spends_nothing_at_a_look():
    progress = progress_of(run([1.0] * 4, **dict.fromkeys(NAMES[:4], [0.0] * 4)))

    assert 0 < progress.scores.at(4).drop < 0.05
    assert progress.p_value == progress.last == 1.0


def test_fixed_repeats_have_one_look_and_are_not_confirmed():
    fixed = [result_of(name, exact_match=[0.0] * 4) for name in NAMES]

    progress = progress_of(fixed)

    assert (progress.state, progress.look, progress.wants) == ("regressed", None, 0)
    assert progress.p_value == progress.last < 1e-6


def test_p_value_counts_each_look_by_its_part_of_the_budget():
    four, fixed = (
        run([0.0, 0.0, 1.0, 1.0]),
        [result_of(name, exact_match=[0.0, 0.0, 1.0, 1.0]) for name in NAMES],
    )

    look, one = progress_of(four), progress_of(fixed)

    assert look.last == one.last
    assert look.p_value == pytest.approx(min(1.0, one.p_value * 20 / 4))
    assert one.p_adjusted == pytest.approx(one.p_value / 0.7)
    assert progress_of(fixed, share=0.35).p_adjusted == pytest.approx(min(1.0, 2 * one.p_adjusted))


def test_checks_are_held_against_each_other():
    """Holm: of two alike checks each has half, and a third that did not drop makes it a third."""
    fixed = [result_of(name, exact_match=[0.5], rouge_l=[1.0]) for name in NAMES]
    base = [result_of(name, exact_match=VARYING, rouge_l=[1.0] * 10) for name in NAMES]

    one = progress_of(fixed, base=base)
    both = progress_of_all(fixed, WATCHED, suite_check(max_drop=0.1), suite_check("rouge_l"), base=base)

    assert [each.p_value for each in both] == [one.p_value, one.p_value, 1.0]
    assert both[0].p_adjusted == pytest.approx(3 * one.p_adjusted)


@pytest.mark.parametrize(
    ("held", "outcome"),
    [
        (0.80, "regressed"),
        (0.86, "passed"),
        (0.845, "undecided"),  # beyond 0.05 by chance, though surely below 0.9
    ],
)
def test_drop_beyond_max_drop_has_to_be_no_chance_itself(held, outcome):
    """Scores move by case, the mean of thirty by a hundredth; a drop of nought is ruled out in each."""
    base = [result_of(name, rouge_l=[0.9] * 2) for name in NAMES]
    fixed = [result_of(name, rouge_l=[held + 0.05 * (at % 3 - 1)] * 2) for at, name in enumerate(NAMES)]
    check = suite_check("rouge_l", max_drop=0.05)

    assert progress_of(fixed, suite_check("rouge_l"), base=base).state == "regressed"
    assert judge_suite_against(check, fixed, base).outcome == outcome
    assert BEYOND == 0.02


@pytest.mark.parametrize(
    ("cases", "spread", "outcome"),
    [(6, 0.0745, "undecided"), (6, 0.055, "regressed"), (12, 0.14, "regressed")],
)
def test_few_cases_must_show_a_drop_beyond_max_drop_more_surely(cases, spread, outcome):
    """The mean dropped by 0.15; a drop of 0.05 would show as much in 1 to 2 % of runs, or in less."""
    base = [result_of(name, rouge_l=[0.9] * 2) for name in NAMES[:cases]]
    fixed = [
        result_of(name, rouge_l=[0.75 + spread * (-1) ** at] * 2) for at, name in enumerate(NAMES[:cases])
    ]
    check = suite_check("rouge_l", max_drop=0.05)
    scores = PairedSuites(fixed, base, Chance(base)).find(check)
    assert isinstance(scores, PairedScores)

    p_value = scores.excess_p_value(scores.at(None), seed=0)

    assert p_value <= BEYOND
    assert (p_value <= BEYOND_OF_FEW) == (spread == 0.055)
    assert judge_suite_against(check, fixed, base).outcome == outcome


@pytest.mark.parametrize("lost", [0, 8])
def test_without_max_drop_a_check_is_cleared_by_futility_alone(lost):
    first = {name: [1.0, 1.0, 1.0, 0.0] for name in NAMES[:lost]}

    assert progress_of(run([1.0]), suite_check()).state == "open"
    assert progress_of(run([1.0] * 3), suite_check()).wants == 4
    assert progress_of(run([1.0] * 4, **first), suite_check()).state == "cleared"


@pytest.mark.parametrize(
    ("cases", "max_drop", "state"),
    [
        *((cases, 0.05, "regressed") for cases in (1, 3, 30)),
        *((cases, 0.4, "open") for cases in (1, 3, 30)),
        (1, None, "open"),
        (3, None, "regressed"),
        (30, None, "regressed"),
    ],
)
def test_drop_of_a_steady_app_beyond_max_drop_is_a_fact_at_any_number_of_cases(cases, max_drop, state):
    """Of semantic .98 → .7, in each of three repeats; without a `max_drop` it is tested as any other."""
    names = NAMES[:cases]
    base = [steady(name, semantic=0.98) for name in names]
    new = [steady(name, 3, semantic=0.7) for name in names]

    progress = progress_of(new, suite_check("semantic", max_drop=max_drop), base=base)

    assert progress.state == state
    assert (progress.p_adjusted == 0.0) == (max_drop == 0.05)
    outcome = judge_suite_against(suite_check("semantic", max_drop=max_drop), new, base).outcome
    assert outcome == ("regressed" if state == "regressed" else "passed")


def test_confirmation_needs_less_than_a_call():
    assert CONFIRM == 0.05
    few = run([0.0] * 4 + [1.0, 1.0, 0.0, 1.0, 1.0, 0.0])  # a drop of .23 on the fresh ones, of each case

    assert progress_of(few).state == "regressed"


def test_check_that_was_cleared_is_called_by_the_repeats_that_others_asked_for():
    """A drop of which the first look saw none; it has to be proved and confirmed as any other."""
    first = run([1.0])
    four, all_but_first = run([1.0, 1.0, 0.0, 0.0]), [1.0] + [0.0] * 9

    assert (progress_of(first).state, progress_of(first).wants) == ("cleared", 0)
    assert (progress_of(four).state, progress_of(four).look, progress_of(four).wants) == ("called", 4, 10)
    assert judge_suite_against(WATCHED, four, BASE).outcome == "undecided"
    assert judge_suite_against(WATCHED, run(all_but_first), BASE).outcome == "regressed"


def test_check_that_was_cleared_stays_so_while_chance_explains_what_others_saw_of_it():
    few = {name: [1.0, 0.0, 0.0, 0.0] for name in NAMES[:3]}
    results = run([1.0, 1.0, 1.0, 0.5], **few)

    progress = progress_of(results)

    assert (progress.state, progress.look, progress.wants) == ("cleared", 1, 0)
    verdict = judge_suite_against(WATCHED, results, BASE)
    assert (verdict.outcome, verdict.difference < -0.05) == ("passed", True)
    late = run([0.0, 1.0, 1.0, 1.0], **dict.fromkeys(NAMES[:10], [1.0] * 4))
    assert progress_of(late).state != "cleared"
