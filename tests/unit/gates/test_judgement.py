"""The verdicts that a run's items and `llmops run` report, with and without a baseline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops import compare
from pytest_llmops.gates.case_results import digest
from pytest_llmops.gates.error_budget import count_tests, suite_share
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.gates.people import People
from pytest_llmops.golden.reviews import Review
from pytest_llmops.records import Case, CaseResult, Check, Failure, Golden, SuiteCheck
from pytest_llmops.reports.files.run_file import load_run, write_run
from tests.unit.gates.gate_records import (
    FILE,
    VARYING,
    check_of,
    metric_of,
    registered,
    result_of,
    run_of,
    steady,
    suite_check,
)

OTHER = "golden/other.yaml"
CHECK = check_of(bound=">= 0.5")
NAMES = [f"c{index}" for index in range(8)]


def golden_of(*suite: SuiteCheck, checks: tuple[Check, ...] = (CHECK,), path: str = FILE) -> Golden:
    cases = tuple(Case(id=name, input=f"asks {name}", checks=checks) for name in NAMES)
    return Golden(path=path, cases=cases, suite=suite)


def run_steady(dropped: str = "", **scores: float) -> list[CaseResult]:
    """Each case steady with those scores; in the one that dropped they are 0, in each of three repeats."""
    return [
        steady(name, 3, **dict.fromkeys(scores, 0.0)) if name == dropped else steady(name, **scores)
        for name in NAMES
    ]


def outcomes(judge: Judge, golden: Golden, results: list[CaseResult]) -> dict[str, list[str]]:
    told = {
        case.id: [each.outcome for each in judge.judge_case(case, result)]
        for case, result in zip(golden.cases, results, strict=True)
    }
    return {
        **{case: each for case, each in told.items() if set(each) != {"passed"}},
        **{each.check: [each.outcome] for each in judge.judge_suite(golden, results)},
    }


def test_without_a_baseline_thresholds_decide():
    golden = golden_of(suite_check(bound=">= 0.9"), suite_check("rouge_l"))

    told = outcomes(Judge([golden]), golden, run_steady("c3", exact_match=1.0, rouge_l=1.0))

    assert told == {"c3": ["failed"], "exact_match mean >= 0.9": ["failed"], "rouge_l mean": ["undecided"]}
    assert Judge([golden]).lost_cases() == []


def test_metric_of_the_suite_alone_is_told_once_case_by_case():
    """The case's own check tells of its own metric; the suite tells of those that no case checks."""
    golden = golden_of(suite_check(bound=">= 0.5"), suite_check("rouge_l"))
    judge = Judge([golden], run_of(run_steady(exact_match=1.0, rouge_l=1.0)))

    told = outcomes(judge, golden, checked(golden, run_steady("c3", exact_match=1.0, rouge_l=1.0)))

    assert told == {
        "c3": ["regressed"],
        "exact_match mean >= 0.5": ["passed"],
        "rouge_l mean": ["passed"],
        "rouge_l >= 0.4, case by case": ["regressed"],
    }


def checked(golden: Golden, results: list[CaseResult]) -> list[CaseResult]:
    """As the runner writes them, with what the golden file asks."""
    return [replace(each, checks=case.checks) for case, each in zip(golden.cases, results, strict=True)]


def test_drop_that_the_suite_tolerates_is_tolerated_case_by_case():
    base, new = run_steady(rouge_l=0.9), run_steady(rouge_l=0.9)
    new[3] = steady("c3", 3, rouge_l=0.3)

    for max_drop, told in ((0.5, 0), (0.7, -1), (None, 0)):
        golden = golden_of(suite_check("rouge_l", max_drop=max_drop), checks=())
        verdicts = Judge([golden], run_of(base)).judge_suite(golden, new)
        assert [verdict.check for verdict in verdicts[1:]] == ["rouge_l >= 0.4, case by case"] * (told + 1), (
            max_drop
        )


def test_tests_and_budget_are_those_of_all_files():
    """Five repeats against five have p = 1/252: beyond chance for one check, not for nine."""
    one = replace(golden_of(suite_check(max_drop=0.0)), cases=golden_of().cases[:1])
    other = golden_of(suite_check(max_drop=0.0), path=OTHER)
    base, new = result_of("c0", exact_match=[1.0] * 5), result_of("c0", exact_match=[0.0] * 5)

    def verdict(*goldens: Golden) -> str:
        return Judge(goldens, run_of([base])).judge_case(one.cases[0], new)[0].outcome

    assert (verdict(one), verdict(one, other)) == ("regressed", "undecided")
    assert (count_tests([one]), count_tests([one, other])) == (1, 9)
    assert (suite_share([one]), suite_share([one, other]), suite_share([golden_of()])) == (0.7, 0.35, 0.7)


def test_case_has_a_test_for_each_check_and_each_further_metric_of_the_suite():
    checks = (CHECK, check_of(bound="<= 0.9"), check_of("bleu"))

    golden = golden_of(suite_check(), suite_check("rouge_l"), suite_check("rouge_l", "p50"), checks=checks)

    assert count_tests([golden]) == len(NAMES) * (3 + 1)


def test_suite_of_a_file_shares_the_budget_with_the_other_files():
    """Six of eight cases drop a little."""
    base = [result_of(name, exact_match=1.0) for name in NAMES]
    new = [result_of(name, exact_match=1.0 if name in "c0 c1" else 0.9) for name in NAMES]
    goldens = [golden_of(suite_check(), checks=()), golden_of(suite_check(), path=OTHER)]

    one, two = (Judge(goldens[:files], run_of(base)).judge_suite(goldens[0], new)[0] for files in (1, 2))

    assert one.p_value == two.p_value < 0.05
    assert (one.p_adjusted, two.p_adjusted) == pytest.approx((one.p_value / 0.7, one.p_value / 0.35))


def test_app_that_varies_elsewhere_makes_no_case_a_fact():
    golden = golden_of(suite_check("rouge_l"))
    varying = replace(result_of("x", exact_match=VARYING), case=f"{OTHER}::x")
    new = checked(golden, run_steady("c3", exact_match=1.0, rouge_l=1.0))

    told = outcomes(
        Judge([golden], run_of([*run_steady(exact_match=1.0, rouge_l=1.0), varying])), golden, new
    )

    assert told == {"c3": ["undecided"], "rouge_l mean": ["passed"]}


@pytest.mark.parametrize(("kept", "outcome"), [(True, "regressed"), (False, "error")])
def test_unlike_signatures_are_scored_again_or_told(kept, outcome):
    """The new version of the metric counts letters, and the old scores are of another kind."""
    letters = metric_of("letters", ">= 3", ends=(0, 99), measure=lambda each: float(len(each.output.text)))
    golden = golden_of(suite_check("letters", max_drop=0.5), checks=(check_of("letters", ">= 3"),))
    base = [result_of(name, texts=["sixty"] * 2, letters=[0.1] * 2) for name in NAMES]
    new = [result_of(name, texts=["no"] * 3, letters=[2.0] * 3) for name in NAMES]
    new = [
        replace(each, scores=tuple(replace(score, signature="letters|v2") for score in each.scores))
        for each in new
    ]
    if not kept:
        base = [replace(each, answers=(digest("sixty"),) * 2, outputs=()) for each in base]

    with registered(letters):
        told = outcomes(Judge([golden], run_of(base)), golden, checked(golden, new))
        alone = compare(run_of(base), run_of(new, *golden.suite))

    assert told == {**{name: [outcome] for name in NAMES}, "letters mean, max_drop 0.5": [outcome]}
    assert alone.outcome == "error"  # two run files know no case, so that nothing can be scored again


def test_live_run_its_file_and_the_comparison_of_two_files_agree(tmp_path):
    """With suspects that were asked on, which move a case's verdict and not the suite's."""
    golden = golden_of(suite_check(max_drop=0.05), suite_check("rouge_l"))
    base = run_of([result_of(name, exact_match=VARYING, rouge_l=VARYING) for name in NAMES])
    first = [0.0, 1.0, 1.0, 1.0]
    new = [result_of(name, auto=64, exact_match=first, rouge_l=first) for name in NAMES]
    new[5] = result_of("c5", auto=64, exact_match=[0.0] * 48, rouge_l=[0.0] * 48)
    run = run_of(checked(golden, new), *golden.suite)
    for name, each in (("base", base), ("run", run)):
        write_run(each, tmp_path / f"{name}.json")
    read_base, read_run = (load_run(tmp_path / f"{name}.json") for name in ("base", "run"))

    live = outcomes(Judge([golden], base), golden, list(run.results))

    assert live == {
        "c5": ["regressed"],
        "exact_match mean, max_drop 0.05": ["undecided"],
        "rouge_l mean": ["passed"],
        "rouge_l >= 0.4, case by case": ["regressed"],
    }
    assert outcomes(Judge([golden], read_base), golden, list(read_run.results)) == live
    suites = Judge([golden], base).judge_suite(golden, run.results)[:2]
    assert compare(read_base, read_run).verdicts[:2] == suites
    assert {verdict.check for verdict in compare(read_base, read_run).verdicts[2:]} == {
        "exact_match >= 0.5, case by case",
        "rouge_l >= 0.4, case by case",
    }


def test_error_of_a_case_is_an_error_whatever_the_baseline_says():
    golden = golden_of(suite_check())
    new = run_steady(exact_match=1.0)
    new[2] = replace(result_of("c2"), outputs=(), failures=(Failure(metric="", stage="app", error="boom"),))

    told = outcomes(Judge([golden], run_of(run_steady(exact_match=1.0))), golden, new)

    assert told == {"c2": ["error"], "exact_match mean": ["error"]}


def test_file_that_is_new_to_the_baseline_is_judged_by_its_thresholds():
    golden = golden_of(
        suite_check(bound=">= 0.9"), suite_check("rouge_l", bound=">= 0.5"), suite_check("bleu")
    )
    elsewhere = [replace(each, case=each.case.replace(FILE, OTHER)) for each in run_steady(exact_match=1.0)]
    results = run_steady("c3", exact_match=1.0, rouge_l=1.0)
    told = "the baseline has no case of this file"

    new = Judge([golden], run_of(elsewhere)).judge_suite(golden, results)
    alone = Judge([golden]).judge_suite(golden, results)

    assert [(each.outcome, each.advice) for each in new] == [
        ("failed", told),
        ("passed", told),
        ("error", ""),
    ]
    assert [(each.outcome, each.advice) for each in alone] == [("failed", ""), ("passed", ""), ("error", "")]


def test_suite_by_itself_scores_its_own_metric_again():
    """Whether or not the items of the cases were asked for first."""
    letters = metric_of("letters", ">= 3", ends=(0, 99), measure=lambda each: float(len(each.output.text)))
    golden = golden_of(suite_check("letters", max_drop=0.5), checks=())
    base = [result_of(name, texts=["sixty"], letters=0.1) for name in NAMES]
    new = [result_of(name, texts=["no"], letters=2.0) for name in NAMES]
    new = [replace(each, scores=(replace(each.scores[0], signature="letters|v2"),)) for each in new]

    with registered(letters):
        (verdict,) = Judge([golden], run_of(base)).judge_suite(golden, new)

    assert (verdict.outcome, verdict.baseline, verdict.observed) == ("regressed", 5.0, 2.0)


def test_lost_cases_are_those_of_the_files_of_this_run():
    gone = [result_of(name, exact_match=1.0) for name in ("gone", "away")]
    base = run_of([*run_steady(exact_match=1.0), *gone])
    elsewhere = replace(base.results[0], case=f"{OTHER}::c0")
    judge = Judge([golden_of(suite_check())], replace(base, results=(*base.results, elsewhere)))

    assert judge.lost_cases() == [f"{FILE}::away", f"{FILE}::gone"]
    (verdict,) = judge.judge_suite(golden_of(suite_check()), run_steady(exact_match=1.0))
    assert (verdict.outcome, verdict.cases) == ("undecided", 8)


def test_what_a_person_said_settles_a_flaky_case():
    golden = golden_of()
    flaky = result_of("c0", texts=["yes", "no"], exact_match=[0.0, 0.0])
    golden = replace(golden, cases=(replace(golden.cases[0], checks=(check_of(bound=">= 0.8"),)),))
    said = [
        Review(
            case=flaky.case,
            input_hash=flaky.input_hash,
            answer=digest(text),
            verdict="good",
            who="Ann",
            when="2026-01-31T09:15:00Z",
        )
        for text in ("yes", "no")
    ]
    base = run_of([result_of("c0", exact_match=VARYING)])

    alone = Judge([golden], base).judge_case(golden.cases[0], flaky)
    settled = Judge([golden], base, People(reviews=said)).judge_case(golden.cases[0], flaky)

    assert [each.outcome for each in (*alone, *settled)] == ["undecided", "passed"]


def test_cases_of_a_golden_file_that_is_gone_are_lost():
    base = run_of([*run_steady(exact_match=1.0), replace(steady("x", exact_match=1.0), case=f"{OTHER}::x")])

    assert Judge([golden_of()], base).lost_cases() == []
    assert Judge([golden_of()], base, gone=frozenset({OTHER})).lost_cases() == [f"{OTHER}::x"]
