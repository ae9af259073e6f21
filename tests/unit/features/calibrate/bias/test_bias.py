"""Judges of 200 labelled pairs: honest ones are not accused, planted ones are found."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from pytest_llmops.features.calibrate.bias import LEVEL, Verdict, find_bias, measure_lean, measure_position
from pytest_llmops.statistics.multiplicity import adjust_holm

PAIRS, TRIALS = 200, 200


@dataclass(frozen=True, kw_only=True)
class World:
    """
    What judges are drawn from.

    Attributes:
        noise: How often a judge errs, each time it is asked, or, where it is `steady`, each pair.
        longer: How often people prefer the longer answer; `own` that of the judge's family.
        same_quality: Judge and people see one quality, in which length counts, each with an error of this
            size; then labels alone do not say what is right.
        planted: The lean of the judge, with `strength` as the share of pairs that it decides.
    """

    noise: float = 0.1
    steady: bool = False
    longer: float = 0.5
    own: float = 0.5
    same_quality: float = 0.0
    planted: str = ""
    strength: float = 0.28
    own_in: float = 1.0

    def draw(self, seed: int) -> list[Verdict]:
        """All pairs at once; arrays of both orders have the shape (2, pairs)."""
        rng = np.random.default_rng(seed)
        difference = rng.integers(1, 400, PAIRS) * rng.choice((-1, 1), PAIRS)
        own = rng.choice((-1, 1), PAIRS) * (rng.random(PAIRS) < self.own_in)
        logit = np.log(self.longer / (1 - self.longer)) * np.sign(difference)
        logit += np.log(self.own / (1 - self.own)) * own
        quality = rng.normal(size=PAIRS) + logit
        if self.same_quality:
            label = (quality + self.same_quality * rng.normal(size=PAIRS) > 0).astype(float)
            honest = np.tile(quality + self.same_quality * rng.normal(size=PAIRS) > 0, (2, 1)).astype(float)
        else:
            label = (rng.random(PAIRS) < 1 / (1 + np.exp(-logit))).astype(float)
            honest = np.abs(label - self._of_both_orders(rng, self.noise))
        orders = np.where(
            self._of_both_orders(rng, self.strength), self._lean(honest, difference, own), honest
        )
        value = np.where(orders[0] == orders[1], orders[0], 0.5)
        columns = (each.tolist() for each in (value, label, orders.T, difference, own))
        return [
            Verdict(value=value, label=label, orders=tuple(orders), length_difference=difference, own=own)
            for value, label, orders, difference, own in zip(*columns, strict=True)
        ]

    def _of_both_orders(self, rng, share):
        drawn = rng.random((2, PAIRS)) < share
        return drawn[[0, 0]] if self.steady else drawn

    def _lean(self, honest, difference, own):
        """What the judge says where its lean decides."""
        if self.planted == "position":
            return np.repeat([[1.0], [0.0]], PAIRS, axis=1)
        if self.planted == "length":
            return np.tile(difference > 0, (2, 1)).astype(float)
        return np.where(own, own > 0, honest) if self.planted else honest


def accused(world, seed):
    return {finding.name for finding in find_bias(world.draw(seed), family="gpt").findings if finding.accused}


@pytest.mark.parametrize(
    "world",
    [
        pytest.param(World(), id="errs now and then"),
        pytest.param(World(noise=0.25), id="errs often"),
        pytest.param(World(noise=0.15, steady=True), id="errs alike in both orders"),
        pytest.param(World(longer=0.7, noise=0.2), id="people like long answers"),
        pytest.param(World(own=0.7, longer=0.35), id="people like the judge's family, and short answers"),
        pytest.param(World(longer=0.6, same_quality=0.6), id="labels err too, and quality goes with length"),
        pytest.param(World(noise=0.0), id="never errs"),
    ],
)
def test_an_honest_judge_is_accused_in_at_most_one_of_twenty_trials(world):
    trials = sum(bool(accused(world, seed)) for seed in range(TRIALS))

    assert trials <= 0.05 * TRIALS


@pytest.mark.parametrize("planted", ["position", "length", "self_preference"])
@pytest.mark.parametrize(
    ("world", "least"),
    [
        pytest.param({}, 1.0, id="each order by itself"),
        pytest.param({"steady": True}, 0.95, id="both orders alike"),
        pytest.param({"longer": 0.6, "own": 0.6}, 0.95, id="people like it too, but less"),
        pytest.param({"noise": 0.2}, 0.95, id="errs often besides"),
        pytest.param({"same_quality": 0.5}, 0.95, id="labels err too"),
    ],
)
def test_a_planted_judge_is_found(planted, world, least):
    world = World(planted=planted, **({**world, "steady": False} if planted == "position" else world))

    found = sum(planted in accused(world, seed) for seed in range(40))

    assert found >= least * 40


def test_where_only_half_of_the_pairs_are_of_the_family_most_are_still_found():
    world = World(planted="self_preference", own_in=0.5)

    assert sum("self_preference" in accused(world, seed) for seed in range(40)) >= 36


def test_position_counts_the_place_that_turned_pairs_went_to():
    found = measure_position([(1, 0)] * 9 + [(0, 1)] + [(1, 0.5), (1, 1), (0, 0), (0.5, 0.5)])

    assert (found.pairs, found.effect) == (14, pytest.approx((10 - 1) / 11))
    assert found.p_value == pytest.approx(binomtest(10, 11).pvalue)
    assert measure_position([(1, 1)]).p_value == 1.0


def test_lean_of_whole_verdicts_is_fishers_test():
    """People chose the shorter 30 times, and 12 times the judge did not; of 40 longer ones it missed 2."""
    counts = {(0.0, 1.0): 12, (0.0, 0.0): 18, (1.0, 0.0): 2, (1.0, 1.0): 38}
    verdicts = [
        Verdict(value=value, label=label, length_difference=5)
        for (label, value), count in counts.items()
        for _ in range(count)
    ]

    found = measure_lean("length", verdicts, "length_difference")

    assert found.effect == pytest.approx(12 / 30 - 2 / 40)
    assert found.p_value == pytest.approx(fisher_exact([[12, 18], [2, 38]], alternative="greater").pvalue)


def test_half_verdicts_count_half():
    """An all but certain lean by ties alone."""
    verdicts = [Verdict(value=0.5, label=0.0, own=1)] * 30 + [Verdict(value=1.0, label=1.0, own=1)] * 30

    found = measure_lean("self_preference", verdicts, "own")

    assert found.effect == pytest.approx(0.5)
    assert found.p_value == pytest.approx(1 / comb(60, 30))


@given(st.lists(st.tuples(st.sampled_from((0.0, 0.5, 1.0)), st.booleans()), min_size=2, max_size=12))
def test_lean_is_the_share_of_all_ways_to_deal_the_errors(rows):
    """Counted one by one, wherever the errors in all go to the side (the guard is another matter)."""
    towards = [error for error, other in rows if other]
    away = [error for error, other in rows if not other]
    if not towards or not away or sum(towards) <= sum(away):
        return
    verdicts = [Verdict(value=error, label=0.0, own=1) for error in towards]
    verdicts += [Verdict(value=1 - error, label=1.0, own=1) for error in away]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_llmops.features.calibrate.bias._GUARD", 1.0)
        found = measure_lean("self_preference", verdicts, "own")

    dealt = [sum(some) for some in combinations([error for error, _ in rows], len(towards))]
    assert found.p_value == pytest.approx(sum(each >= sum(towards) for each in dealt) / len(dealt))


@given(st.lists(st.sampled_from(list(product((0.0, 0.5, 1.0), (0.0, 1.0), (-1, 1)))), min_size=2))
def test_which_answer_stands_first_does_not_matter(rows):
    verdicts = [Verdict(value=value, label=label, own=own) for value, label, own in rows]
    turned = [Verdict(value=1 - value, label=1 - label, own=-own) for value, label, own in rows]

    one, other = (measure_lean("self_preference", each, "own") for each in (verdicts, turned))

    assert one == other


def test_findings_are_corrected_for_how_many_they_are():
    findings = find_bias(World(planted="length").draw(0), family="gpt").findings

    assert len({finding.p_value for finding in findings}) == 3
    assert [finding.p_adjusted for finding in findings] == adjust_holm(
        [finding.p_value for finding in findings]
    )


def test_what_cannot_be_tested_is_told():
    bias = find_bias([Verdict(value=1.0, label=None, again=(1.0, 0.0))])

    assert bias.findings == ()
    assert bias.untested == (
        "position: no pair was asked in both orders",
        "length: no pair has a label",
        "self-preference: no pair has a label",
    )
    assert (bias.order_flips, bias.repeat_flips) == (None, 0.5)


def test_labels_of_one_side_alone_do_not_tell_a_lean():
    pairs = [Verdict(value=0.0, label=0.0, length_difference=9, own=1)] * 30

    bias = find_bias(pairs, family="gpt")

    assert bias.findings == ()
    assert "length: people never chose the longer answer, or always did" in bias.untested[1]
    assert "(gpt)" in bias.untested[2]


def test_correlation_with_length_is_shown_beside_that_of_people():
    pairs = [
        Verdict(value=float(length > 0), label=float(length % 2), length_difference=length)
        for length in (-8, -5, -3, 2, 5, 9)
    ]

    judged, people = find_bias(pairs).length_correlation

    assert judged > 0.8
    assert people < 0.5
    assert LEVEL < 0.05
