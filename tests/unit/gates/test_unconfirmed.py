"""What was called and could not be confirmed any more is no success."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops import compare
from tests.unit.gates.gate_records import VARYING, check_of, result_of, run_of, steady, suite_check

NAMES = [f"case-{at:02}" for at in range(30)]


@pytest.mark.parametrize(
    ("repeats", "max_drop", "reason"),
    [
        pytest.param([1.0, 0.0, 0.0, 1.0], None, "not confirmed", id="called, and no fresh repeat"),
        pytest.param([0.0, 0.0, 1.0, 1.0], 0.05, "not confirmed", id="and with a max_drop"),
    ],
)
def test_a_suite_drop_that_no_repeat_confirms_any_more_is_undecided(repeats, max_drop, reason):
    """Such as one that a spent budget left without its fresh repeats."""
    base = [result_of(name, exact_match=VARYING) for name in NAMES]
    new = [replace(result_of(name, exact_match=repeats), auto=64) for name in NAMES]

    compared = compare(run_of(base), run_of(new, suite_check("exact_match", "mean", ">= 0.2", max_drop)))

    assert compared.verdicts[0].outcome == "undecided"
    assert reason in compared.verdicts[0].reason


@pytest.mark.parametrize(("repeats", "outcome"), [(1, "undecided"), (2, "undecided"), (3, "regressed")])
def test_a_drop_beyond_the_max_drop_of_a_case_does_not_pass_for_its_bound_being_met(repeats, outcome):
    check = replace(check_of("semantic", ">= 0.3"), max_drop=0.2)
    base = replace(steady("k", 2, semantic=0.9), checks=(check,))
    new = replace(steady("k", repeats, semantic=0.5), checks=(check,))

    compared = compare(run_of([base]), run_of([new], suite_check("semantic", max_drop=0.9)))

    assert compared.outcome == outcome
