"""Whether an app is better than its rival, from scores of the same cases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import compare
from pytest_llmops.gates.absolute import judge_case, judge_suite, measure_gain
from pytest_llmops.gates.case_channel.verdicts import judge_against
from pytest_llmops.gates.paired_runs import Chance, first_repeats
from pytest_llmops.gates.selfcheck import find_suite
from pytest_llmops.gates.suite_channel.paired_scores import tolerated_drop
from pytest_llmops.gates.suite_channel.verdicts import judge_and_track, watch_means
from pytest_llmops.records import Case, CaseResult, Check, Failure, Golden, Score, SuiteCheck
from tests.unit.gates.gate_records import FILE, result_of, run_of, suite_check

BOOM = Failure(metric="", stage="app", error="boom")
LACKS = Failure(metric="pairwise", stage="rival", error="the rival gave no answer")
PAIRWISE = Check(metric="pairwise", comparison=">=", threshold=0.5)


def pairs_of(app, rival, metric="rouge_l") -> list[CaseResult]:
    """A case for each pair of values."""
    return [
        replace(result_of(case, **{metric: a}), rival=result_of(case, **{metric: b}))
        for case, a, b in zip((f"case-{at:03}" for at in range(len(app))), app, rival, strict=True)
    ]


def gain_check(asked: float, metric="rouge_l") -> SuiteCheck:
    return suite_check(metric, "gain", f">= {asked}")


def outcome_of(app, rival, asked, metric="rouge_l"):
    verdict = judge_suite(gain_check(asked, metric), pairs_of(app, rival, metric))
    assert verdict.check == f"{metric} gain >= {asked:g}"
    return verdict.outcome


VARIED = [0.05, 0.15, 0.1, 0.2, 0.1, 0.0, 0.15, 0.05, 0.1, 0.1]
"""Differences of a mean of 0.1 that chance does not explain."""


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (0.05, "passed"),
        (0.1, "passed"),
        (0.11, "undecided"),
        (0.3, "failed"),
        (0, "passed"),
        (-0.1, "passed"),
    ],
)
def test_a_gain_is_held_against_its_interval(asked, outcome):
    assert outcome_of([0.5 + by for by in VARIED], [0.5] * 10, asked) == outcome


@pytest.mark.parametrize(
    ("asked", "outcome"), [(0.1, "undecided"), (0.6, "failed"), (-0.1, "undecided"), (-0.9, "passed")]
)
def test_what_chance_explains_is_undecided(asked, outcome):
    """A mean of 0.1 above, of cases that go either way."""
    app, rival = [0.9, 0.1] * 5 + [1.0], [0.1, 0.9] * 5 + [0.0]

    assert outcome_of(app, rival, asked) == outcome


@pytest.mark.parametrize(
    ("asked", "outcome"), [(1, "passed"), (1.2, "undecided"), (3, "failed"), (-1, "passed"), (0, "passed")]
)
def test_where_less_is_better_a_gain_is_less(asked, outcome):
    """The app takes one second less."""
    app = [1.0, 2.0, 0.5, 2.5, 1.5, 3.0, 1.0, 2.0]
    rival = [2.5, 2.5, 1.5, 3.5, 3.5, 4.0, 1.5, 2.5]

    verdict = judge_suite(gain_check(asked, "latency_s"), pairs_of(app, rival, "latency_s"))

    assert verdict.outcome == outcome
    assert verdict.observed == pytest.approx(1.0)
    assert verdict.interval[0] > 0


@pytest.mark.parametrize("cases", [1, 2, 4])
def test_few_cases_show_no_gain_however_large(cases):
    verdict = judge_suite(gain_check(0.1), pairs_of([1.0] * cases, [0.0] * cases))

    assert verdict.outcome == "undecided"
    assert "it takes 5 at least" in verdict.advice
    assert outcome_of([1.0] * 5, [0.0] * 5, 0.1) == "passed"


@pytest.mark.parametrize("cases", [1, 2, 7])
def test_alike_systems_are_not_worse_and_not_better(cases):
    same = [0.5] * cases

    assert outcome_of(same, same, 0) == "passed"
    assert outcome_of(same, same, -0.1) == "passed"
    assert outcome_of(same, same, 0.1) == "failed"


def test_a_case_counts_once_whatever_its_repeats():
    many = replace(result_of("a", rouge_l=[0.0, 1.0]), rival=result_of("a", rouge_l=[0.25, 0.25]))
    one = replace(result_of("b", rouge_l=1.0), rival=result_of("b", rouge_l=0.25))

    found = measure_gain("rouge_l", [many, one])

    assert (found.cases, found.difference) == (2, 0.5)
    assert (found.wins, found.ties, found.losses, found.win_rate[0]) == (2, 0, 0, 1.0)


def test_wins_ties_and_losses_follow_the_good_side():
    found = measure_gain("latency_s", pairs_of([1.0, 2.0, 3.0], [2.0, 2.0, 2.0], "latency_s"))

    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert found.win_rate == pytest.approx((0.5, 0.125, 0.875), abs=0.001)


def test_a_rival_that_broke_is_an_error_of_the_gain_alone():
    results = pairs_of([1.0] * 6, [0.0] * 6)
    results[2] = replace(results[2], rival=result_of("case-002", failures=[BOOM]))

    verdict = judge_suite(gain_check(0.1), results)

    assert (verdict.outcome, verdict.evidence) == ("error", (f"{FILE}::case-002",))
    assert "in 1 case (golden/shop.yaml::case-002): boom" in verdict.reason
    assert judge_suite(suite_check("rouge_l", "mean", ">= 1"), results).outcome == "passed"
    assert measure_gain("rouge_l", results).cases == 5


@pytest.mark.parametrize(
    ("rival", "why"),
    [
        (None, "it was not asked"),
        (result_of("a", bleu=1), "rouge_l gave no score"),
        (
            replace(
                result_of("a", rouge_l=1), scores=(Score(metric="rouge_l", value=1, signature="rouge_l|v9"),)
            ),
            "it was scored by rouge_l|v9, the app by rouge_l|v1",
        ),
    ],
)
def test_what_cannot_be_compared_is_an_error(rival, why):
    verdict = judge_suite(gain_check(0), [replace(result_of("a", rouge_l=1), rival=rival)])

    assert verdict.outcome == "error"
    assert verdict.reason.endswith(f": {why}")


def test_an_app_that_broke_is_told_as_ever():
    verdict = judge_suite(
        gain_check(0), [replace(result_of("a", failures=[BOOM]), rival=result_of("a", rouge_l=1))]
    )

    assert verdict.outcome == "error"
    assert "1 case (golden/shop.yaml::a) could not be scored: boom" in verdict.reason


def test_a_case_of_which_a_metric_says_nothing_is_left_out():
    results = [*pairs_of([1.0] * 5, [0.0] * 5), replace(result_of("z", bleu=1), rival=result_of("z", bleu=1))]

    assert judge_suite(gain_check(0.1), results).cases == 5
    assert judge_suite(gain_check(0.1, "chrf"), results).outcome == "error"


def test_a_pair_that_lacks_the_rival_is_no_fault_of_the_case():
    result = replace(result_of("a", failures=[LACKS]), rival=result_of("a", failures=[BOOM]))
    whole = replace(result_of("b", pairwise=1), rival=result_of("b", pairwise=0))

    (verdict,) = judge_case(Case(id="a", input="?", checks=(PAIRWISE,)), result)

    assert (verdict.outcome, verdict.reason) == ("undecided", "the rival gave no answer")
    mean = judge_suite(suite_check("pairwise", "mean", ">= 1"), [result, whole])
    assert (mean.outcome, mean.cases) == ("passed", 1)
    gain = judge_suite(gain_check(0, "pairwise"), [result, whole])
    assert (gain.outcome, gain.evidence) == ("error", (f"{FILE}::a",))
    assert gain.reason.endswith(": boom")


def test_a_pair_that_lacks_the_rival_is_no_error_beside_a_baseline():
    whole = result_of("a", pairwise=1, rouge_l=1)
    lacking = result_of("a", rouge_l=1, failures=[LACKS])
    case = Case(id="a", input="?", checks=(PAIRWISE,))

    (verdict,) = judge_against(case, lacking, whole)

    assert (verdict.outcome, verdict.advice) == ("undecided", "")
    found = compare(run_of([whole]), run_of([lacking]), suite={"": (suite_check("rouge_l"),)})
    assert [each.outcome for each in found.verdicts] == ["passed"]


def test_a_score_that_is_missing_for_another_reason_too_is_an_error():
    broken = Failure(metric="pairwise", stage="score", error="no verdict", repeat=1)

    (verdict,) = judge_case(
        Case(id="a", input="?", checks=(PAIRWISE,)), result_of("a", failures=[LACKS, broken])
    )

    assert verdict.outcome == "error"


def test_a_baseline_neither_watches_nor_hides_a_gain():
    base = run_of(pairs_of([1.0] * 6, [0.0] * 6))
    now = run_of(pairs_of([0.5] * 6, [0.5] * 6), gain_check(0.1), suite_check("rouge_l", "mean", ">= 0"))

    found = compare(base, now)

    told = {verdict.check: verdict.outcome for verdict in found.verdicts}
    assert told["rouge_l gain >= 0.1"] == "failed"
    assert told["rouge_l mean >= 0"] == "regressed"
    ((alone, _),) = judge_and_track({FILE: (gain_check(0.1),)}, now.results, base.results)[FILE]
    assert (alone.baseline, alone.p_adjusted) == (None, None)


def test_a_comparison_of_a_run_without_rivals_says_so():
    base = run_of(pairs_of([1.0] * 6, [0.0] * 6))
    now = [replace(result, rival=None) for result in base.results]

    assert compare(base, run_of(now)).outcome == "passed"
    assert compare(base, run_of(now, gain_check(0))).outcome == "error"


def test_the_level_of_a_comparison_is_that_of_its_gains():
    run = run_of(pairs_of([0.5 + by for by in VARIED], [0.5] * 10), gain_check(0))

    wide, narrow = (compare(run, run, level=level).verdicts[0].interval for level in (0.99, 0.5))

    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_gains_do_not_stand_for_a_suite():
    check = Check(metric="rouge_l", comparison=">=", threshold=0)
    cases = (Case(id="case-000", input="?", checks=(check,)),)
    golden = Golden(path=FILE, cases=cases, suite=(gain_check(0.1),))
    base = run_of(pairs_of([1.0], [0.0]))

    assert [check.statistic for check in watch_means(golden, base).suite] == ["gain", "mean"]
    assert tolerated_drop(gain_check(0.1), measure_gain("rouge_l", base.results).scale) is None
    found = find_suite({FILE: (gain_check(0.1),)}, base.results, Chance(base.results))
    assert [check.statistic for check in found[FILE]] == ["mean"]


def test_fewer_repeats_of_a_case_are_fewer_of_its_rival():
    result = replace(result_of("a", rouge_l=[0.0, 1.0]), rival=result_of("a", rouge_l=[0.0, 1.0]))

    cut = first_repeats(result, 1)

    assert (len(cut.scores), len(cut.rival.scores)) == (1, 1)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12),
    st.floats(-1, 1),
    st.booleans(),
)
def test_a_verdict_never_contradicts_its_numbers(values, asked, more):
    metric = "rouge_l" if more else "latency_s"
    app, rival = zip(*values, strict=True)

    verdict = judge_suite(gain_check(asked, metric), pairs_of(app, rival, metric))
    turned = judge_suite(gain_check(asked, metric), pairs_of(rival, app, metric))

    low, high = verdict.interval
    assert low - 1e-9 <= verdict.observed <= high + 1e-9
    assert verdict.observed == pytest.approx(-turned.observed)
    if verdict.outcome == "passed":
        assert verdict.observed >= asked - 1e-6
        assert asked <= 0 or (low > 0 and len(app) >= 5)
    if verdict.outcome == "failed":
        assert high < asked
    if asked > 1e-3:
        assert {verdict.outcome, turned.outcome} != {"passed"}
