"""Which looks are planned, which a run has had, and what each may spend."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.gates.error_budget import FRESH, LOOKS, TESTED, Looks, looks_taken, plan_looks
from pytest_llmops.gates.paired_runs import Chance
from pytest_llmops.records import CaseResult, Failure
from tests.unit.gates.gate_records import VARYING, result_of

BROKE = Failure(metric="", stage="app", error="boom")


def repeats(case: str, *values: float, most: int = 64, **options: object) -> CaseResult:
    return result_of(case, exact_match=list(values), auto=most, **options)


@pytest.mark.parametrize(
    ("most", "planned", "tested", "fresh"),
    [
        (64, LOOKS, (4, 8, 20), 6),
        (26, LOOKS, (4, 8, 20), 6),
        (16, LOOKS[:10], (4, 8, 10), 6),
        (12, (1, 2, 3, 4, 5, 6), (4, 6), 6),
        (8, (1, 2, 3, 4), (4,), 4),
        (7, (1, 2, 3, 4), (4,), 3),
        (2, (1,), (1,), 1),
        (1, (1,), (1,), 0),
    ],
)
def test_looks_leave_the_repeats_on_which_a_drop_is_confirmed(most, planned, tested, fresh):
    looks = plan_looks(most)

    assert (looks.planned, looks.tested, looks.fresh) == (planned, tested, fresh)
    assert (LOOKS[-1], TESTED, FRESH) == (20, (4, 8, 20), 6)


@given(st.integers(1, 200), st.integers(0, 30))
def test_looks_rise_fit_and_spend_all_of_the_budget_once(most, done):
    looks = plan_looks(most, done)

    assert list(looks.planned) == sorted(set(looks.planned))
    assert looks.planned[-1] + looks.fresh <= most
    assert set(looks.tested) <= set(looks.planned)
    assert looks.planned[-1] == looks.tested[-1]
    assert sum(looks.part(look) for look in looks.tested) == pytest.approx(1)
    assert all(looks.part(look) > 0 for look in looks.tested)
    assert looks.taken == tuple(look for look in looks.planned if look <= done)


def test_next_look_is_the_first_that_is_later():
    looks = plan_looks(64)

    assert [looks.next_after(done) for done in (0, 1, 12, 13, 18, 20, 21)] == [1, 2, 14, 14, 20, 0, 0]
    assert [plan_looks(16).next_after(done) for done in (8, 9, 10)] == [9, 10, 0]


def test_fixed_repeats_have_one_look_at_all_there_is():
    looks = Looks()

    assert (looks.is_fixed, looks.taken, looks.part(None), looks.is_tested(None)) == (
        True,
        (None,),
        1.0,
        True,
    )
    assert not plan_looks(8).is_fixed


def test_fewest_repeats_tell_which_looks_were_taken():
    base = [result_of(case, exact_match=VARYING) for case in "abc"]
    chance = Chance(base)
    three = [repeats("a", 1, 1, 1, 1), repeats("b", 1, 1, 1), repeats("new", 1)]

    assert looks_taken(three, base, chance) == plan_looks(64, 3)
    assert looks_taken([three[0]], base, chance) == plan_looks(64, 4)
    broke = repeats("c", 1, failures=[BROKE])
    assert looks_taken([three[0], broke], base, chance) == plan_looks(64, 4)
    assert looks_taken([three[0], repeats("b", *[1] * 5, most=9)], base, chance) == plan_looks(9, 4)
    assert looks_taken([replace(three[0], auto=0)], base, chance) == Looks()
    assert looks_taken(three, [], Chance([])) == Looks()
