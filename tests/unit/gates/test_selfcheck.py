"""The gate held against a baseline's own repeats: false alarms, and the drops that it would see."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import compare
from pytest_llmops.errors import SelfCheckError
from pytest_llmops.gates.selfcheck import check_itself, plan_repeats
from pytest_llmops.gates.suite_channel.detectable_drops import find_detectable_drops
from pytest_llmops.records import Case, CaseResult, Check, Failure, Golden, Output, Run, Score
from pytest_llmops.reports.document import write_terminal
from pytest_llmops.reports.selfcheck import selfcheck_document, selfcheck_json, selfcheck_line
from pytest_llmops.settings import Settings
from tests.unit.gates.gate_records import FILE, coarse_intervals, result_of, run_of, suite_check

STEADY_CASES = [result_of(f"steady-{each}", exact_match=[1.0] * 4, texts=["same"] * 4) for each in range(3)]
SPLIT = result_of("split", exact_match=[1.0, 0.0] * 3, texts=["yes", "no"] * 3)
SHARED = suite_check()


def check(base, goldens=(), *, repeats=1, runs=40, **options):
    return check_itself(base, goldens, repeats=repeats, most=48, runs=runs, **options)


def noisy(cases=12, repeats=10, metric="exact_match", seed=0):
    held = np.random.default_rng(seed).random((cases, repeats)) < 0.7
    return [
        result_of(f"case-{each:03}", **{metric: held[each].astype(float).tolist()}) for each in range(cases)
    ]


def test_noise_is_red_no_oftener_than_the_gate_promises():
    alarms = check(run_of(noisy(), SHARED), runs=100).false_alarms

    assert alarms.runs == 100
    assert 0 <= alarms.low <= alarms.rate <= alarms.high <= 1
    assert alarms.low <= 0.05


def test_rate_is_that_of_the_real_gate():
    """Three repeats hold and three miss: one split in twenty has those that hold as the baseline."""
    alarms = check(run_of([*STEADY_CASES, SPLIT]), runs=300, seed=1).false_alarms

    assert 0 < alarms.low < 1 / 20 < alarms.high < 0.1


def test_seed_fixes_the_rate_and_the_order_of_cases_does_not_matter():
    base = run_of([SPLIT, *STEADY_CASES])
    turned = replace(base, results=base.results[::-1])

    first = check(base, seed=3)

    assert check(base, seed=3) == first == check(turned, seed=3)
    assert {check(base, seed=seed).false_alarms.rate for seed in range(5)} != {first.false_alarms.rate}


def test_where_no_half_can_differ_the_rate_is_nought_without_a_run():
    told = check(run_of(STEADY_CASES))

    assert (told.false_alarms.rate, told.false_alarms.high, told.false_alarms.runs) == (0, 0, 0)
    assert told.cases.steady == tuple(f"{FILE}::steady-{each}" for each in range(3))
    assert told.broken_case == 3  # a drop that was seen once is run twice again before it is a fact


@pytest.mark.parametrize(("max_drop", "runs"), [(None, 0), (0.5, 5)])
def test_seconds_count_where_somebody_watches_them(max_drop, runs):
    slow = [result_of(f"c{each}", latency_s=[1.0, 2.0, 3.0], texts=["same"] * 3) for each in range(3)]

    told = check(run_of(slow, suite_check("latency_s", max_drop=max_drop)), runs=5)

    assert told.false_alarms.runs == runs
    assert told.cases.varying == ()


def test_one_repeat_a_case_says_nothing_of_chance():
    told = check(run_of([result_of("a", exact_match=1.0), result_of("b", exact_match=0.0)]))

    assert told.false_alarms is None
    assert told.cases.single == (f"{FILE}::a", f"{FILE}::b")
    assert [each.smallest_drop for each in told.checks] == [None]


def test_one_case_has_no_suite_to_speak_of_and_a_rate_all_the_same():
    told = check(run_of(noisy(cases=1)))

    assert told.false_alarms.runs == 40
    assert told.checks[0].smallest_drop is None
    assert told.checks[0].advice == "too few cases to call any drop: 1, where 2 are needed"
    assert told.broken_case > 1


def test_cases_that_broke_are_left_out_and_named():
    broken = result_of("broken", failures=[Failure(metric="", stage="app", error="boom")], exact_match=[1, 1])
    odd = result_of("odd", exact_match=[1.0, math.nan])

    told = check(run_of([*STEADY_CASES, broken, odd]))

    assert told.unscored == (f"{FILE}::broken", f"{FILE}::odd")
    assert told.cases.count == 3
    with pytest.raises(SelfCheckError, match="nothing in the baseline was scored"):
        check(run_of([broken, odd]))


def test_golden_files_say_what_is_asked():
    """The threshold of the case, between its two scores, makes a broken case of what the metric lets pass."""
    steady = [result_of(f"c{each}", rouge_l=[0.9] * 4, texts=["same"] * 4) for each in range(3)]
    split = result_of("split", rouge_l=[0.9, 0.8] * 3, texts=["yes", "no"] * 3)
    asked = Check(metric="rouge_l", comparison=">=", threshold=0.85)
    golden = Golden(
        path=FILE,
        cases=(Case(id="split", input="", checks=(asked,)),),
        suite=(suite_check("rouge_l", max_drop=0.05), suite_check("rouge_l", "p50", ">= 0.5")),
    )

    told = check(run_of([*steady, split]), [golden], runs=100)
    plain = check(run_of([*steady, split]))

    assert [each.check for each in told.checks] == ["rouge_l mean, max_drop 0.05", "rouge_l p50 >= 0.5"]
    assert [each.check for each in plain.checks] == ["rouge_l mean"]
    assert told.false_alarms.rate > plain.false_alarms.rate == 0


def test_files_without_a_suite_of_their_own_get_means():
    other = [replace(each, case=each.case.replace("shop", "other")) for each in noisy(3)]
    golden = Golden(path=FILE, cases=(), suite=(suite_check("exact_match", max_drop=0.1),))

    told = check(run_of([*noisy(3), *other]), [golden])

    assert [each.check for each in told.checks] == [
        "golden/other.yaml: exact_match mean",
        f"{FILE}: exact_match mean, max_drop 0.1",
    ]


@pytest.mark.parametrize(("repeats", "most", "planned"), [(3, 64, 3), ("auto", 64, 20), ("auto", 8, 4)])
def test_new_repeats_are_those_that_the_settings_plan(repeats, most, planned):
    assert plan_repeats(Settings(repeats=repeats, max_repeats=most)) == planned


def scores_of(rates, repeats, draw, *, kind, drop=0.0):
    """Shape (cases, repeats): held or missed, or scores, around rates that are all worse by the drop."""
    if kind == "pass or miss":
        return (draw.random((repeats, len(rates))) < rates - drop).astype(float).T
    return draw.normal(rates - drop, 0.1, (repeats, len(rates))).T


def share_red(kind, varying, times):
    """How often the real gate calls a drop of so many times the one foretold."""
    red, runs, cases, recorded, new = 0, 60, 40, 10, 2
    for seed in range(runs):
        draw = np.random.default_rng(seed)
        rates = draw.beta(8, 2, cases) if kind == "pass or miss" else draw.uniform(0.4, 0.6, cases)
        rates[round(varying * cases) :] = 1.0
        before = scores_of(rates, recorded, draw, kind=kind)
        base = [result_of(f"c{each:02}", rouge_l=before[each].tolist()) for each in range(cases)]
        checks = {"": (suite_check("rouge_l"),)}
        drop = find_detectable_drops(checks, base, repeats=new, steady=False)[0].smallest_drop
        after = scores_of(rates, new, draw, kind=kind, drop=times * drop)
        run = [result_of(f"c{each:02}", rouge_l=after[each].tolist()) for each in range(cases)]
        compared = compare(run_of(base), run_of(run), suite=checks)
        red += compared.verdicts[0].outcome == "regressed"
    return red / runs


@pytest.mark.parametrize(("kind", "varying"), [("pass or miss", 1.0), ("pass or miss", 0.1), ("scores", 1.0)])
def test_drop_foretold_is_seen_in_four_of_five_runs(kind, varying):
    with coarse_intervals():
        assert 0.65 <= share_red(kind, varying, 1.0) <= 0.97
        assert share_red(kind, varying, 0.4) < 0.4


def foresee(check, results, **options):
    (seen,) = find_detectable_drops({FILE: (check,)}, results, **({"repeats": 1, "steady": False} | options))
    return seen


def test_more_repeats_and_more_cases_see_less():
    few, many = noisy(20), noisy(80)

    drops = [
        foresee(SHARED, few).smallest_drop,
        foresee(SHARED, few, repeats=8).smallest_drop,
        foresee(SHARED, many, repeats=8).smallest_drop,
    ]

    assert drops == sorted(drops, reverse=True)
    assert drops[2] < 0.6 * drops[1]


def test_advice_is_what_the_gate_would_see_then():
    results = noisy(40, repeats=4)
    recorded = [
        replace(
            result,
            scores=tuple(
                replace(score, repeat=score.repeat + 4 * again)
                for again in range(3)
                for score in result.scores
            ),
        )
        for result in results
    ]

    advice = foresee(SHARED, results).advice

    assert advice.startswith("would see ")
    then = foresee(SHARED, results, repeats=20).smallest_drop
    assert f"{then:.2g} with 20 new repeats instead of 1" in advice
    assert "with 10 recorded repeats instead of 4" in advice
    assert "with 80 cases" in advice
    assert "recorded" not in foresee(SHARED, recorded).advice


def test_sum_has_its_own_unit():
    results = noisy(20, metric="rouge_l")

    mean = foresee(suite_check("rouge_l"), results).smallest_drop
    total = foresee(suite_check("rouge_l", "sum"), results).smallest_drop

    assert total == pytest.approx(20 * mean)


def test_tolerated_drop_passes_so_more_has_to_fall():
    results = noisy(60)

    free, bound = foresee(SHARED, results), foresee(suite_check(max_drop=0.3), results)

    assert free.smallest_drop < 0.3 < bound.smallest_drop < 0.5


@pytest.mark.parametrize("steady", [True, False])
def test_one_case_is_enough_only_where_the_app_does_not_vary(steady):
    results = [result_of(f"c{each}", exact_match=[1.0, 1.0]) for each in range(20)]

    seen = foresee(SHARED, results, steady=steady)

    assert (seen.smallest_drop == pytest.approx(1 / 20)) == steady
    assert seen.smallest_drop >= 1 / 20


def test_scores_without_noise_see_any_drop_above_what_is_tolerated():
    results = [result_of(f"c{each}", rouge_l=[0.8, 0.8]) for each in range(20)]

    assert foresee(suite_check("rouge_l"), results).smallest_drop == 0
    assert foresee(suite_check("rouge_l", max_drop=0.05), results).smallest_drop == pytest.approx(0.05)


def test_a_case_with_one_repeat_is_taken_for_as_noisy_as_the_others():
    once = [result_of(f"z{each}", rouge_l=0.9) for each in range(20)]
    steady = [result_of(f"z{each}", rouge_l=[0.9, 0.9]) for each in range(20)]
    noisy_ones = noisy(20, metric="rouge_l")

    assert (
        foresee(suite_check("rouge_l"), [*noisy_ones, *once]).smallest_drop
        > foresee(suite_check("rouge_l"), [*noisy_ones, *steady]).smallest_drop
    )


def test_worse_is_up_for_a_metric_that_should_be_low():
    leaks = [result_of(f"c{each}", pii_leak=[0.0] * 9 + [1.0]) for each in range(40)]
    held = [result_of(f"c{each}", exact_match=[1.0] * 9 + [0.0]) for each in range(40)]

    seen = foresee(suite_check("pii_leak", max_drop=0.0), leaks).smallest_drop

    assert seen == pytest.approx(foresee(SHARED, held).smallest_drop)


@pytest.mark.parametrize(
    ("asked", "results", "words"),
    [
        (suite_check("latency_s"), noisy(metric="latency_s"), "not watched for a drop: give it a max_drop"),
        (suite_check(statistic="p95"), noisy(), "a drop of p95 cannot be foretold"),
        (suite_check("recall@3"), noisy(), "no case has two repeats that recall@3 scored"),
        (suite_check("exact_mach"), noisy(), "Did you mean 'exact_match'?"),
        (SHARED, noisy(1), "too few cases to call any drop: 1, where 2 are needed"),
        (SHARED, noisy(2), "no drop is large enough to be seen"),
        (SHARED, noisy(30, repeats=1), "no case has two repeats"),
        (
            SHARED,
            [result_of(f"c{each}", exact_match=[1.0] * 3 + [0.0] * 7) for each in range(3)],
            "no drop is large enough to be seen; would see",
        ),
        (
            SHARED,
            [result_of(f"c{each}", exact_match=[0.0, 0.0]) for each in range(9)],
            "no case holds it, so that none can fall",
        ),
    ],
)
def test_where_nothing_can_be_foretold_the_advice_says_why(asked, results, words):
    seen = foresee(asked, results)

    assert seen.smallest_drop is None
    assert words in seen.advice


USUAL = st.sampled_from([0.0, 0.0, 1.0, 1.0, 0.5, 0.9, 5e-324])
ODD = st.one_of(st.sampled_from([1e100, -1e100, 1e300, math.nan, math.inf]), st.floats())
METRICS = st.sampled_from(
    ["exact_match", "rouge_l", "bleu", "latency_s", "recall@3", "pii_leak", "no such", ""]
)
CASES = [*(f"a.yaml::{each}" for each in range(12)), "b.yaml::x", "", "a::b::c", "a.yaml::0"]


@st.composite
def any_result(draw, case, metrics):
    """Mostly what a baseline holds, with now and then something in it that none should."""
    repeats = draw(st.integers(1, 4))
    values = draw(st.sampled_from([USUAL] * 30 + [ODD]))
    numbers = st.sampled_from([list(range(repeats))] * 12 + [[0, 7, 10**12], [0, 0], []])
    scores = [
        Score(
            metric=metric,
            value=draw(values),
            repeat=repeat,
            signature=draw(st.sampled_from([""] * 9 + ["v2"])),
        )
        for metric in metrics
        for repeat in draw(numbers)
    ]
    told = draw(st.sampled_from([["a"] * repeats] * 2 + [list("abcd")[:repeats], []]))
    outputs = draw(st.sampled_from([(), (), tuple(Output(text=text, repeat=2) for text in told)]))
    broken = draw(st.sampled_from([()] * 30 + [(Failure(metric="bleu", stage="score", error="x"),)]))
    return CaseResult(
        case=case,
        input_hash="",
        outputs=outputs,
        scores=tuple(scores),
        failures=broken,
        answers=() if outputs else tuple(told),
        auto=draw(st.sampled_from([0, 48])),
    )


CHECKS = st.builds(
    suite_check,
    METRICS,
    st.sampled_from(["mean", "sum", "p95", "min"]),
    st.none(),
    st.one_of(st.none(), st.floats(0, 1e9)),
)
SUITES = st.dictionaries(
    st.sampled_from(["a.yaml", "b.yaml", "", "c.yaml"]), st.lists(CHECKS, max_size=3).map(tuple)
)


@st.composite
def any_base(draw):
    metrics = draw(st.lists(METRICS, min_size=1, max_size=3, unique=True))
    cases = CASES[: draw(st.integers(0, len(CASES)))]
    results = tuple(draw(any_result(case, metrics)) for case in cases)
    return Run(signature={}, results=results, suite=draw(st.one_of(st.just({}), SUITES)))


@given(base=any_base(), repeats=st.integers(1, 9))
def test_any_baseline_has_a_line_and_a_check_without_nan(base, repeats):
    assert "nan" not in selfcheck_line(base, repeats=repeats)
    try:
        told = check(base, repeats=repeats, runs=2)
    except SelfCheckError:
        return
    json.dumps(selfcheck_json(told), allow_nan=False)
    assert "nan" not in "\n".join(write_terminal(selfcheck_document(told)))
    assert all(each.smallest_drop is None or each.smallest_drop >= 0 for each in told.checks)
