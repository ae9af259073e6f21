"""What holds of any two runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_llmops import compare, load_run
from tests.unit.gates.gate_records import metric_of, registered, result_of, run_of, store, suite_check

FEWEST = 10
"""Cases from which on sign patterns are counted; fewer have too few patterns for a small p-value."""
CALLED = 0.05
GAIN = metric_of("gain", ">= 0.5")
LOSS = metric_of("loss", "<= 0.5", higher_is_better=False)
DEBT = metric_of("debt", "<= -0.5", higher_is_better=False, ends=(-1.0, 0.0))
"""What is gain there is debt here: the same numbers below zero."""


@pytest.fixture(scope="module", autouse=True)
def _metrics() -> Iterator[None]:
    with registered(GAIN, LOSS, DEBT):
        yield


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Repeats of one case before and now; alike answers where it is steady; the most that looks may ask."""

    before: list[float]
    now: list[float]
    steady: bool = False
    auto: int = 0

    def results(self, name: str, metric: str, read: Callable[[float], float]):
        before, now = ([read(value) for value in values] for values in (self.before, self.now))
        texts = (["60 days"] * len(before), ["30 days"] * len(now)) if self.steady else ((), ())
        return (
            result_of(name, texts=texts[0], **{metric: before}),
            result_of(name, texts=texts[1], auto=self.auto, **{metric: now}),
        )


@dataclass(frozen=True, kw_only=True)
class Called:
    """A suite check of the metric, whatever its name and direction."""

    statistic: str
    threshold: float | None
    max_drop: float | None

    def check(self, metric: str, sign: float = 1.0):
        mirrored = {"min": "max", "max": "min", "p10": "p90", "p90": "p10"}
        name = self.statistic if sign > 0 else mirrored.get(self.statistic, self.statistic)
        bound = None
        if self.threshold is not None:
            bound = f"{'>=' if sign > 0 else '<='} {sign * self.threshold}"
        return suite_check(metric, name, bound, self.max_drop)


scores = st.one_of(st.integers(0, 8).map(lambda step: step / 8), st.sampled_from([0.0, 1.0]))
repeats = st.lists(scores, min_size=1, max_size=8)
autos = st.sampled_from([0, 8, 48])
cases = st.one_of(
    st.builds(Drawn, before=repeats, now=repeats, auto=autos),
    st.builds(
        lambda before, now, count: Drawn(before=[before] * 2, now=[now] * count, steady=True),
        scores,
        scores,
        st.integers(1, 2),
    ),
    st.just(Drawn(before=[1.0] * 8, now=[0.0] * 8, auto=8)),
    st.just(Drawn(before=[1.0] * 8, now=[0.5] * 8)),
)
some = st.one_of(st.lists(cases, min_size=1, max_size=10), st.lists(cases, min_size=8, max_size=10))
fallen = st.one_of(
    some.map(lambda drawn: [replace(each, now=[min(each.before)] * len(each.now)) for each in drawn]),
    some.map(lambda drawn: [replace(each, now=[0.0] * len(each.now)) for each in drawn]),
    st.lists(st.just(Drawn(before=[1.0] * 8, now=[0.0] * 8)), min_size=1, max_size=10),
)
thresholds, max_drops = st.sampled_from([None, 0.5, 0.9]), st.sampled_from([None, 0.0, 0.125])
means = st.builds(
    Called, statistic=st.sampled_from(["mean", "sum"]), threshold=thresholds, max_drop=max_drops
)
any_statistic = st.builds(
    Called,
    statistic=st.sampled_from(["mean", "sum", "min", "max", "p10", "p50", "p90"]),
    threshold=thresholds,
    max_drop=max_drops,
)


def runs_of(
    drawn: list[Drawn],
    *asked: Called,
    metric: str = "gain",
    sign: float = 1.0,
):
    pairs = [
        each.results(f"c{index:02}", metric, lambda value: sign * value) for index, each in enumerate(drawn)
    ]
    checks = [each.check(metric, sign) for each in asked]
    return run_of([base for base, _ in pairs]), run_of([new for _, new in pairs], *checks)


def shuffled(run, random: Random):
    results = [
        replace(
            result,
            scores=tuple(random.sample(result.scores, len(result.scores))),
            outputs=tuple(random.sample(result.outputs, len(result.outputs))),
        )
        for result in run.results
    ]
    return replace(run, results=tuple(random.sample(results, len(results))))


def regressed(comparison) -> set[str]:
    return {verdict.check for verdict in comparison.verdicts if verdict.outcome == "regressed"}


def numbers(verdict) -> Iterator[float]:
    told = (verdict.observed, verdict.baseline, verdict.difference, verdict.p_value, verdict.p_adjusted)
    return (number for number in chain(told, verdict.interval or ()) if number is not None)


@given(some, st.lists(any_statistic, max_size=2), st.randoms(use_true_random=False))
def test_order_does_not_matter(drawn, asked, random):
    base, run = runs_of(drawn, *asked)

    assert compare(shuffled(base, random), shuffled(run, random)) == compare(base, run)


@given(some, st.lists(any_statistic, max_size=2), st.sampled_from([1.0, 1e-9, 1e99]))
def test_numbers_are_finite_and_p_is_in_0_1(drawn, asked, unit):
    comparison = compare(*runs_of(drawn, *asked, sign=unit))

    for verdict in comparison.verdicts:
        assert all(map(math.isfinite, numbers(verdict)))
        assert all(0 < p <= 1 for p in (verdict.p_value, verdict.p_adjusted) if p is not None)
        assert verdict.p_adjusted is None or verdict.p_value <= verdict.p_adjusted
    assert all(math.isfinite(each.before) and math.isfinite(each.after) for each in comparison.changed)


@given(some, st.lists(any_statistic, max_size=2))
def test_run_has_not_regressed_from_itself(drawn, asked):
    whole = [replace(each, now=(each.now * 8)[:8]) for each in drawn]  # as after the last look
    for run in runs_of(whole, *asked):
        comparison = compare(run, run)
        assert comparison.outcome in {"passed"} | ({"undecided"} if asked else set())
        assert not comparison.changed
        assert all(verdict.difference == 0 for verdict in comparison.verdicts)
        fixed = replace(run, results=tuple(replace(result, auto=0) for result in run.results))
        p_values = [verdict.p_value for verdict in compare(run, fixed).verdicts]  # of one look at all
        assert all(p_value is None or p_value >= 0.5 for p_value in p_values)


@example(  # of the two that stayed at 0 it is open whether they are graded
    [
        *[Drawn(before=[0.0], now=[0.0])] * 2,
        Drawn(before=[1.0] * 8, now=[0.0] * 8, auto=8),
        Drawn(before=[1.0] * 8, now=[0.5] * 8),
    ],
    [],
)
@given(some, st.lists(any_statistic, max_size=2))
def test_mirrored_numbers_of_a_mirrored_metric_have_the_mirrored_verdict(drawn, asked):
    most = 0.875  # of 0 and 1 alone it is counted how many repeats pass, and -1 is no such score
    drawn = [
        replace(
            each, before=[min(value, most) for value in each.before], now=[min(it, most) for it in each.now]
        )
        for each in drawn
    ]
    gain = compare(*runs_of(drawn, *asked))
    debt = compare(*runs_of(drawn, *asked, metric="debt", sign=-1.0))

    assert debt.outcome == gain.outcome
    assert len(debt.verdicts) == len(gain.verdicts)
    for here, there in zip(gain.verdicts, debt.verdicts, strict=True):
        assert (here.outcome, here.known, here.cases) == (there.outcome, there.known, there.cases)
        assert (here.p_value, here.p_adjusted) == pytest.approx((there.p_value, there.p_adjusted))
        if here.difference is not None:
            assert here.difference == pytest.approx(-there.difference, abs=1e-12)
            assert here.interval == pytest.approx([-each for each in reversed(there.interval)], abs=1e-9)
    assert [(each.case, each.confirmed) for each in gain.changed] == [
        (each.case, each.confirmed) for each in debt.changed
    ]


@given(fallen, st.lists(means, max_size=2))
def test_flipping_the_direction_alone_makes_an_improvement_of_a_regression(drawn, asked):
    plain = [replace(each, threshold=None) for each in asked]
    gain = compare(*runs_of(drawn, *plain))
    loss = compare(*runs_of(drawn, *plain, metric="loss"))

    assert not regressed(loss)
    for here, there in zip(gain.verdicts, loss.verdicts, strict=False):
        assert here.difference == there.difference
        assert there.outcome == "passed" or there.interval[0] == there.interval[1] == 0 or here.difference < 0
    drawn = [replace(each, steady=False) for each in drawn]  # a fact needs more repeats of one side
    back = compare(*reversed_runs(drawn, *plain))
    suite = max(1, len(plain))
    forth = compare(*single_look(drawn, *plain))
    for here, there in zip(forth.verdicts[:suite], back.verdicts[:suite], strict=True):
        assert here.outcome == there.outcome
        assert here.p_value == pytest.approx(there.p_value, rel=1e-9)


def single_look(drawn: list[Drawn], *asked: Called):
    return runs_of([replace(each, auto=0) for each in drawn], *asked)


def reversed_runs(drawn: list[Drawn], *asked: Called):
    """From the new run to its baseline, of the metric that reads the other way."""
    turned = [Drawn(before=each.now, now=each.before) for each in drawn]
    return runs_of(turned, *asked, metric="loss")


@given(st.one_of(some, fallen), st.lists(means, max_size=2), repeats, st.booleans())
def test_equal_pair_never_makes_a_regression_stronger(drawn, asked, equal, steady):
    """
    Among as few cases, or as many, as before: few of them have another test. With a `max_drop` a mean is
    tested by its repeats, whose steps a third value blurs.
    """
    plain = [replace(each, threshold=None, max_drop=None) for each in asked]
    further = Drawn(
        before=equal[:1] * 2 if steady else equal, now=equal[:1] * 2 if steady else equal, steady=steady
    )
    if len(drawn) == FEWEST - 1:
        drawn = drawn[1:]
    before = compare(*runs_of(drawn, *plain))
    after = compare(*runs_of([*drawn, further], *plain))

    assert regressed(after) <= regressed(before)
    adjusted = {verdict.check: verdict.p_adjusted for verdict in before.verdicts}
    for verdict in after.verdicts:
        told = adjusted.get(verdict.check)
        if verdict.p_adjusted is not None and told is not None and (told <= CALLED or len(drawn) >= FEWEST):
            assert verdict.p_adjusted >= told * (1 - 1e-12)


@given(some, st.lists(any_statistic, max_size=1))
def test_files_give_the_verdict_of_the_live_run(tmp_path_factory, drawn, asked):
    folder = tmp_path_factory.mktemp("files")
    base, run = runs_of(drawn, *asked)
    store(base, folder / "base.json")
    store(run, folder / "run.json")
    store(base, folder / "baseline.json", accepted=True)

    live = compare(base, run)

    assert compare(load_run(folder / "base.json"), load_run(folder / "run.json")) == live
    assert compare(load_run(folder / "baseline.json"), load_run(folder / "run.json")) == live
