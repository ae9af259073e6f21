from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_llmops.errors import MetricOptionError, UnknownMetricError
from pytest_llmops.gates.case_results import answer_digests, count_repeats, values_by_metric
from pytest_llmops.gates.paired_runs import Chance, Scale, Scales, find_scale, first_repeats, pair_cases
from pytest_llmops.records import Bound, CaseResult, Failure, Score
from tests.unit.gates.gate_records import FILE, VARYING, metric_of, registered, result_of, results_of, steady

HELD = Bound(comparison=">=", threshold=1.0)
BROKE = Failure(metric="", stage="app", error="boom")


def kept(result: CaseResult) -> CaseResult:
    """As a baseline keeps it: the digests of the answers, and no output."""
    return replace(result, answers=answer_digests(result), outputs=())


def test_pairs_are_sorted_and_what_is_asked_otherwise_is_another_case():
    base, new = results_of([1.0] * 4), results_of([0.0] * 4, start=1)
    new[1] = replace(new[1], input_hash="asks otherwise")
    new[0] = replace(new[0], input_hash="")

    pairs = pair_cases(base[::-1], new[::-1])

    assert [(one.case, two.case) for one, two in pairs.shared] == [
        (f"{FILE}::case-{index:04}",) * 2 for index in (1, 3)
    ]
    assert pairs.missing == (f"{FILE}::case-0000", f"{FILE}::case-0002")
    assert pairs.new == (f"{FILE}::case-0002", f"{FILE}::case-0004")
    every = results_of([1.0] * 40)
    sorted_ids = tuple(each.case for each in every)
    assert pair_cases([], every[::-1]).new == pair_cases(every[::-1], []).missing == sorted_ids


def test_values_are_finite_and_in_the_order_of_the_repeats():
    result = result_of("a", exact_match=[0.1, math.nan, 0.3], bleu=[math.inf])
    result = replace(result, scores=result.scores[::-1])

    assert values_by_metric(result) == {"exact_match": (0.1, 0.3)}


@pytest.mark.parametrize(
    ("metric", "scale"),
    [
        (
            "exact_match",
            Scale(higher_is_better=True, bounded=True, bound=HELD, range=(0.0, 1.0)),
        ),
        ("keywords", Scale(higher_is_better=True, bounded=True, bound=HELD, range=(0.0, 1.0))),
        (
            "bleu",
            Scale(
                higher_is_better=True,
                bounded=True,
                bound=Bound(comparison=">=", threshold=30.0),
                range=(0.0, 100.0),
            ),
        ),
        (
            "latency_s",
            Scale(
                higher_is_better=False,
                bounded=False,
                bound=find_scale("latency_s").bound,
                range=(0.0, math.inf),
            ),
        ),
    ],
)
def test_scale_is_told_by_the_metric_or_its_class(metric, scale):
    """Keywords cannot be made without what a case looks for; its class tells the scale."""
    assert find_scale(metric) == scale


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (0.0, True),
        (1.0, True),
        (-1e-7, True),
        (1 + 1e-7, True),
        (-1e-3, False),
        (1.001, False),
        (math.nan, False),
        (math.inf, False),
    ],
)
def test_scale_holds_its_range_but_for_rounding(value, held):
    scale = find_scale("exact_match")

    assert scale.holds(value) is held
    assert find_scale("latency_s").holds(value) is (value >= -1e-6)


def test_direction_that_only_an_instance_tells_needs_its_options():
    class Silent(metric_of("silent", ">= 1")):  # type: ignore[misc]
        def __init__(self, limit: int) -> None:
            self.limit = limit

        higher_is_better = property(lambda self: self.limit > 0)

    with registered(Silent):
        assert find_scale("silent", {"limit": 1}).higher_is_better
        with pytest.raises(MetricOptionError, match="limit"):
            find_scale("silent")


def test_scales_know_nothing_of_what_nobody_registered():
    scales = Scales()

    assert scales["nosuch"] is None
    assert scales["bleu"] is scales["bleu"] is not None
    with pytest.raises(UnknownMetricError):
        find_scale("nosuch")
    with registered(metric_of("points", ">= 1", ends=(0.0, math.inf))):
        assert find_scale("points").bounded is False
        assert find_scale("points").higher_is_better is True


STILL = steady("a", 2, exact_match=1.0)


@pytest.mark.parametrize(
    ("base", "new", "may_explain"),
    [
        pytest.param(STILL, steady("a", 1, exact_match=0.0), False, id="two before, one now"),
        pytest.param(kept(STILL), STILL, False, id="digests tell as much as answers"),
        pytest.param(steady("a", 1, exact_match=1.0), STILL, True, id="one before"),
        pytest.param(STILL, result_of("a", exact_match=[1.0, 1.0]), True, id="answers differ now"),
        pytest.param(result_of("a", exact_match=[1.0, 1.0]), STILL, True, id="answers differed"),
        pytest.param(STILL, result_of("a", texts=["x", "x"], exact_match=[1.0, 0.0]), True, id="scores do"),
        pytest.param(
            STILL,
            result_of("a", texts=["x", "x"], exact_match=[1.0, 1.0], latency_s=[1.0, 2.0]),
            False,
            id="time",
        ),
        pytest.param(
            STILL,
            result_of("a", texts=["x", "x"], exact_match=[1.0, 1.0], bleu=[3.0, 4.0]),
            True,
            id="one metric's scores do",
        ),
        pytest.param(STILL, replace(STILL, outputs=()), True, id="no answer is known"),
        pytest.param(replace(STILL, outputs=()), STILL, True, id="none was"),
    ],
)
def test_chance_may_explain_what_varies(base, new, may_explain):
    assert Chance([base]).may_explain(base, new) == may_explain


@pytest.mark.parametrize(
    ("repeats", "confirmed"),
    [
        pytest.param((3, 3), True, id="each was seen three times"),
        pytest.param((3, 2), False, id="one was not"),
        pytest.param((1, 1), False, id="none was"),
        pytest.param((1,) * 6, True, id="more than deviate now and then"),
    ],
)
def test_drops_of_a_steady_app_are_facts_once_each_of_them_was_seen_again_or_they_are_many(
    repeats, confirmed
):
    names = "abcdef"[: len(repeats)]
    base = [steady(name, exact_match=1.0) for name in names]
    new = [steady(name, count, exact_match=0.0) for name, count in zip(names, repeats, strict=True)]
    pairs = list(zip(base, new, strict=True))

    assert Chance(base).is_confirmed(pairs, pairs) == confirmed


def test_app_that_varies_anywhere_varies():
    chance = Chance([STILL, result_of("b", exact_match=VARYING)])

    assert chance.app_varies
    assert chance.may_explain(STILL, STILL)
    assert not Chance([STILL, steady("b", 1, exact_match=1.0)]).app_varies
    assert not Chance([]).app_varies


def test_first_repeats_are_the_result_as_it_was():
    result = replace(
        result_of("a", exact_match=[1.0, 0.0, 1.0], auto=8),
        failures=(replace(BROKE, repeat=3), replace(BROKE, repeat=1)),
        answers=("x", "y", "z"),
    )

    first = first_repeats(result, 2)

    assert [output.repeat for output in first.outputs] == [0, 1]
    assert [score.value for score in first.scores] == [1.0, 0.0]
    assert [failure.repeat for failure in first.failures] == [3, 1]  # what broke is an error, however late
    assert (first.answers, first.auto) == (("x", "y"), 8)
    assert first_repeats(result, 4) == result


@pytest.mark.parametrize(
    ("result", "repeats"),
    [
        (result_of("a"), 1),
        (result_of("a", exact_match=[1.0] * 3), 3),
        (result_of("a", exact_match=[1.0], failures=[replace(BROKE, repeat=4)]), 5),
        (kept(result_of("a", exact_match=[1.0] * 3)), 3),
        (replace(result_of("a"), outputs=()), 0),
        (replace(result_of("a"), outputs=(), scores=(Score(metric="bleu", value=1.0, repeat=2),)), 3),
    ],
)
def test_repeats_are_counted_with_those_that_broke(result, repeats):
    assert count_repeats(result) == repeats


@pytest.mark.parametrize(("apart", "varies"), [(0.0, False), (1e-8, False), (1e-4, True)])
def test_what_an_encoder_is_rounded_by_makes_no_app_vary(apart, varies):
    chance = Chance([result_of("a", texts=["same", "same"], semantic=[0.9, 0.9 + apart])])

    assert chance.app_varies is varies
