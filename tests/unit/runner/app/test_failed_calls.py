"""Attempts at a repeat as one, and which failed calls break a case."""

from __future__ import annotations

import pytest

from pytest_llmops.recorder import Call, CallLog
from pytest_llmops.records import CaseResult, FailedCall, Failure, Golden, Output
from pytest_llmops.runner.app.failed_calls import (
    describe_failed_calls,
    find_breaking,
    join_attempts,
    note_failed,
)


def call(key: str, outcome: str, *, nth: int = 0, status: int | None = None, reason: str = "") -> Call:
    given = {"provider": "api.test", "path": "/v1/chat/completions", "kind": "chat", "model": "small"}
    given |= {"request": {}, "repeat": 0, "status": status, "reason": reason}
    return Call(**given, key=key, nth=nth, outcome=outcome)


def log(*calls: Call, is_whole: bool = True) -> CallLog:
    return CallLog(case="a", repeat=0, calls=list(calls), is_whole=is_whole)


def test_what_an_earlier_attempt_made_is_made_and_counts_once():
    first = log(call("a", "made"), call("b", "failed", status=500), call("c", "made"))
    second = log(call("a", "replayed"), call("b", "made"))
    joined = join_attempts([first, second])
    assert sorted((each.key, each.outcome) for each in joined.calls) == [
        ("a", "made"), ("b", "failed"), ("b", "made"), ("c", "made"),
    ]  # fmt: skip
    assert join_attempts([second]) is second
    assert not join_attempts([log(is_whole=False), second]).is_whole


def test_a_call_is_retried_only_by_an_equal_one_that_came_later():
    made, failed = call("a", "made"), call("a", "failed", status=429)
    assert [each.retried for each in note_failed([failed, made])] == [True]
    assert [each.retried for each in note_failed([made, failed])] == [False]
    assert [each.retried for each in note_failed([failed, call("b", "made")])] == [False]
    assert note_failed([call("a", "refused"), made]) == ()


@pytest.mark.parametrize(
    ("status", "retried", "breaks"),
    [
        (401, False, {None, "fail"}), (403, False, {None, "fail"}), (404, False, {None, "fail"}),
        (200, False, {None, "fail"}), (400, False, {"fail"}), (429, False, {"fail"}), (500, False, {"fail"}),
        (None, False, {"fail"}), (401, True, set()), (200, True, set()), (429, True, set()),
    ],
)  # fmt: skip
def test_which_failed_calls_break_a_case(status, retried, breaks):
    failed = FailedCall(provider="api.test", status=status, error="why", retried=retried)
    found = {errors for errors in (None, "allow", "warn", "fail") if find_breaking([failed], errors)}
    assert found == breaks


def test_warnings_are_grouped_escaped_and_count_rivals_and_broken_repeats():
    refused = FailedCall(provider="api.test\x1b", status=403, error="the answer had status 403")
    cut = FailedCall(provider="api.test\x1b", error="ReadTimeout: \x1b[31m")
    rival = CaseResult(case="g.yaml::a", input_hash="", outputs=(Output(text="", failed_calls=(refused,)),))
    broken = Failure(metric="", stage="app", error="", failed_calls=(cut, refused))
    result = CaseResult(case="g.yaml::a", input_hash="", failures=(broken,), rival=rival)
    other = CaseResult(case="h.yaml::b", input_hash="", outputs=(Output(text="", failed_calls=(cut,)),))
    goldens = [Golden(path="g.yaml", cases=()), Golden(path="h.yaml", cases=(), model_errors="allow")]
    assert describe_failed_calls(goldens, [result, other]) == [
        "warning: 1 model call failed: ReadTimeout at api.test\\x1b: g.yaml::a",
        "warning: 2 model calls failed: status 403 at api.test\\x1b: g.yaml::a",
    ]
