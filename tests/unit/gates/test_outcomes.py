from __future__ import annotations

from pytest_llmops.gates.outcomes import count, worst
from pytest_llmops.records import OUTCOMES


def test_worst_outcome_and_counts():
    assert worst([]) == "passed"
    assert worst(OUTCOMES) == "error"
    assert worst(["undecided", "failed", "regressed"]) == "regressed"
    assert worst(["undecided", "failed"]) == "failed"
    assert count(["passed", "passed", "error"]) == {
        "passed": 2,
        "failed": 0,
        "regressed": 0,
        "undecided": 0,
        "error": 1,
        "known": 0,
        "xfailed": 0,
        "xpassed": 0,
    }
