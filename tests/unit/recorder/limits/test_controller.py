"""How near a run comes to the time that a limit allows, in simulated time."""

from __future__ import annotations

import math

import pytest

from pytest_llmops.recorder.limits.controller import LONGEST_PAUSE_S, Controller
from pytest_llmops.recorder.limits.quota import Quota
from tests.unit.recorder.limits.simulation import (
    Apart,
    AtOnce,
    Bucket,
    Half,
    Provider,
    Window,
    exact,
    named,
    run,
    unsaid,
)

MOST = 1.15
SEEDS = range(5)
SAYS = pytest.mark.parametrize("says", [named, exact, unsaid])


def ratio(make, ideal_s: float, **options) -> float:
    """The worst of some runs."""
    return max(run(make(), seed=seed, **options).took_s for seed in SEEDS) / ideal_s


@SAYS
@pytest.mark.parametrize("latency_s", [0.2, 0.5, 2.0])
@pytest.mark.parametrize("most", [2, 5, 10])
def test_so_many_at_once(most, latency_s, says):
    assert ratio(lambda: AtOnce(most), 200 / most * latency_s, latency_s=latency_s, says=says) <= MOST


@SAYS
@pytest.mark.parametrize("latency_s", [0.2, 0.5, 2.0])
def test_one_at_once(latency_s, says):
    assert ratio(lambda: AtOnce(1), 100 * latency_s, latency_s=latency_s, says=says, calls=100) <= 1.25


@SAYS
@pytest.mark.parametrize("latency_s", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("gap_s", [0.2, 1.0])
def test_so_far_apart(gap_s, latency_s, says):
    """300 and 60 a minute, without a burst."""
    assert ratio(lambda: Apart(gap_s), 199 * gap_s + latency_s, latency_s=latency_s, says=says) <= MOST


@pytest.mark.parametrize("says", [named, exact])
def test_so_many_in_a_time(says):
    assert ratio(lambda: Bucket(10, 5), 190 / 5 + 0.5, says=says) <= MOST
    assert ratio(lambda: Window(60, 12), 36.5, says=says) <= MOST


def test_what_headers_leave_is_kept_to():
    """With headers, hardly a call is refused."""
    runs = [run(Bucket(50, 5, headers=True), seed=seed) for seed in SEEDS]
    assert max(each.took_s for each in runs) <= MOST * (150 / 5 + 0.5)
    assert max(each.refused for each in runs) <= 40


@pytest.mark.parametrize(("first", "then"), [(10, 4), (4, 10)])
def test_a_limit_that_changes_in_the_middle(first, then):
    ideal_s = 300 / first * 0.5 + 300 / then * 0.5
    assert ratio(lambda: AtOnce(first, then, 300), ideal_s, calls=600) <= 1.2


def test_half_of_all_calls_refused_by_chance():
    """No limit is to be found there; it takes no more than a call at a time would without pauses."""
    for seed in SEEDS:
        assert run(Half(seed), seed=seed).took_s <= 200 * 0.5


def test_without_a_limit_many_are_sent():
    assert run(Provider(), calls=150).took_s <= 4 * 0.55
    assert run(Provider(), calls=150, start=math.inf).took_s <= 0.6


def test_refusals_are_few():
    """The provider is asked again a few times, not each millisecond."""
    for says in (named, unsaid):
        assert run(AtOnce(10), says=says).refused <= 50
        assert run(Apart(0.2), says=says).refused <= 80
    assert run(Window(60, 12)).refused <= 150


@pytest.mark.parametrize("pause_s", [0.0, 0.001, 5.0, 119.0, None])
def test_pauses_are_kept(pause_s):
    """Nothing but a call now and then goes out within a pause."""
    controller = Controller()
    controller.refused(controller.send(0.0), 0.001, pause_s)
    sent = 0
    now = 0.001
    while now < 0.001 + (pause_s or 0):
        wait_s = controller.wait_s(now)
        if wait_s > 0:
            now += max(wait_s, 1e-6)
            continue
        controller.refused(controller.send(now), now + 0.001, pause_s)
        sent += 1
        now += 0.001
    assert sent <= 4


@pytest.mark.parametrize("pause_s", [0.05, 1.0, 60.0])
def test_a_call_by_itself_waits_for_the_whole_pause(pause_s):
    controller = Controller()
    for now in (0.0, 0.01 + pause_s):
        assert controller.wait_s(now) == 0
        controller.refused(controller.send(now), now + 0.01, pause_s)
        assert controller.wait_s(now + 0.01) == pytest.approx(pause_s)


def test_a_provider_that_refuses_all_is_asked_less_and_less():
    controller, now, sent = Controller(), 0.0, 0
    while now < 600:
        if (wait_s := controller.wait_s(now)) > 0:
            assert wait_s <= LONGEST_PAUSE_S + 0.001
            now += max(wait_s, 1e-6)
            continue
        controller.refused(controller.send(now), now + 0.01)
        now, sent = now + 0.01, sent + 1
    assert sent <= 150


@pytest.mark.parametrize(
    "quota", [Quota(calls=0.0, reset_s=0.0), Quota(tokens=0.0, reset_s=5.0), Quota(calls=0.0, reset_s=120)]
)
def test_an_empty_quota_ends(quota):
    controller = Controller()
    number = controller.send(0.0)
    controller.let_through(number, 0.1, quota)
    controller.end(number)
    wait_s = controller.wait_s(0.1)
    assert wait_s <= quota.reset_s
    assert controller.wait_s(0.2 + quota.reset_s) == 0.0


def test_refusals_before_any_answer_make_no_long_gap():
    controller, now, longest_s = Controller(), 0.0, 0.0
    for _ in range(40):
        now += max(controller.wait_s(now), 0.0)
        number = controller.send(now)
        now += 0.005
        controller.refused(number, now, 0.05)
        longest_s = max(longest_s, controller.gap_s)
    assert longest_s < 1
