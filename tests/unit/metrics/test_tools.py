from __future__ import annotations

import pytest

from pytest_llmops import Output, Score, ToolCall
from tests.scoring import refuse, score_one

STATUS = {"name": "order_status", "arguments": {"order_id": "A-1042"}}


def call(name: str, decision: str | None = None, **arguments: object) -> ToolCall:
    return ToolCall(name=name, arguments=arguments, decision=decision)


def score(name: str, calls: list[ToolCall], **options: object) -> Score:
    result = score_one(name, Output(text="", tool_calls=tuple(calls)), options)
    assert isinstance(result, Score)
    assert bool(result.evidence) == bool(result.reason)
    return result


A, B, C = call("a", x=1), call("b"), call("c", y=[1, {"z": "w"}])
CALL_A, CALL_B = {"name": "a", "arguments": {"x": 1}}, {"name": "b", "arguments": {}}


@pytest.mark.parametrize(
    ("calls", "options", "value"),
    [
        ([call("order_status", order_id="A-1042")], {"expected": [STATUS]}, 1.0),
        ([call("order_status", order_id="A-1024")], {"expected": [STATUS]}, 0.0),
        ([call("order_status", order_id="A-1042", verbose=True)], {"expected": [STATUS]}, 0.0),
        (
            [call("order_status", order_id="A-1042", verbose=True)],
            {"expected": [STATUS], "arguments": "subset"},
            1.0,
        ),
        ([call("order_status", order_id="A-1024")], {"expected": [{"name": "order_status"}]}, 1.0),
        ([call("order_status", order_id=5)], {"expected": [{"name": "order_status", "arguments": {}}]}, 0.0),
        ([B, A], {"expected": [CALL_A, CALL_B]}, 1.0),
        ([B, A], {"expected": [CALL_A, CALL_B], "order": "in_order"}, 0.5),
        ([A, C, B], {"expected": [CALL_A, CALL_B], "order": "in_order"}, 1.0),
        ([A, C, B], {"expected": [CALL_A, CALL_B], "extra": "denied"}, 2 / 3),
        ([A, A], {"expected": [CALL_A], "extra": "denied"}, 1 / 2),
        ([A], {"expected": [CALL_A, CALL_A]}, 0.5),
        ([C], {"expected": [CALL_A], "extra": "denied"}, 0.0),
        ([], {"expected": [], "extra": "denied"}, 1.0),
        ([A], {"expected": [], "extra": "denied"}, 0.0),
        ([], {"expected": [CALL_A]}, 0.0),
        ([call("a", "denied", x=1)], {"expected": [CALL_A]}, 1.0),
        ([call("a", x=1.0)], {"expected": [CALL_A]}, 1.0),
        ([call("a", x=True)], {"expected": [CALL_A]}, 0.0),
        # the wildcard must not take the call that only the other can have
        ([call("a", x=1), call("a", x=2)], {"expected": [{"name": "a"}, CALL_A]}, 1.0),
    ],
)
def test_the_value_is_the_share_of_expected_calls_that_were_made(calls, options, value):
    result = score("tool_calls", calls, **options)

    assert result.value == value
    assert bool(result.reason) == (value < 1)


@pytest.mark.parametrize(
    ("calls", "options", "reason"),
    [
        (
            [call("order_status", order_id="A-1024")],
            {"expected": [STATUS]},
            'missing: order_status(order_id="A-1042"); in the nearest call order_id is "A-1024"',
        ),
        (
            [call("order_status", id="A-1042")],
            {"expected": [STATUS]},
            (
                'missing: order_status(order_id="A-1042"); in the nearest call order_id is not given, '
                "id is too much"
            ),
        ),
        (
            [call("order_status", x=1), call("order_status", order_id="A-1")],
            {"expected": [STATUS]},
            'missing: order_status(order_id="A-1042"); in the nearest call order_id is "A-1"',
        ),
        ([C, B], {"expected": [STATUS]}, 'missing: order_status(order_id="A-1042"); called were c, b'),
        ([B], {"expected": [CALL_A, CALL_A, CALL_B]}, "missing: a(x=1) and 1 more; called were b"),
        ([A], {"expected": [CALL_A, CALL_A]}, "missing: a(x=1); it was called fewer times than expected"),
        (
            [B, A],
            {"expected": [CALL_A, CALL_B], "order": "in_order"},
            "missing: a(x=1); it was called, but not in this order",
        ),
        ([A, C], {"expected": [CALL_A], "extra": "denied"}, 'not expected: c(y=[1, {"z": "w"}])'),
        (
            [C],
            {"expected": [{"name": "a"}], "extra": "denied"},
            'missing: a; called were c; not expected: c(y=[1, {"z": "w"}])',
        ),
    ],
)
def test_the_reason_names_the_first_missing_call_and_the_nearest_made(calls, options, reason):
    assert score("tool_calls", calls, **options).reason == reason


def test_an_app_without_calls_is_told_how_to_report_them():
    assert "Output(tool_calls=" in score("tool_calls", [], expected=[CALL_A]).reason
    assert "Output(tool_calls=" in score("tool_order", [], expected=["a"]).reason


@pytest.mark.parametrize("name", ["tool_calls", "tool_order", "denied_calls"])
def test_what_a_model_called_cannot_act_on_a_terminal(name):
    calls = [ToolCall(name="a\x1b[31m", arguments={"k\x1b": "v\n\x1b" * 200}, decision="denied")]
    options = {
        "tool_calls": {"expected": [], "extra": "denied"},
        "tool_order": {"expected": ["a"]},
        "denied_calls": {},
    }
    result = score(name, calls, **options[name])

    for text in (result.reason, str(result.evidence)):
        assert "\x1b" not in text
        assert "\n" not in text
        assert len(text) < 500


@pytest.mark.parametrize(
    ("made", "expected", "value", "reason"),
    [
        ("abc", ["a", "c"], 1.0, ""),
        ("ca", ["a", "c"], 0.5, "not in its place: 'a'; called were 'c', 'a'"),
        ("ab", ["a", "x", "b"], 2 / 3, "not called: 'x'; called were 'a', 'b'"),
        ("aab", ["a", "a", "a"], 2 / 3, "not in its place: 'a'; called were 'a', 'a', 'b'"),
        ("xbycz", ["b", "c"], 1.0, ""),
    ],
)
def test_tool_order_is_the_share_of_the_order_that_was_followed(made, expected, value, reason):
    result = score("tool_order", [call(name) for name in made], expected=expected)

    assert result.value == value
    assert result.reason == reason


@pytest.mark.parametrize(
    ("options", "value", "reason"),
    [
        ({}, 2.0, 'denied: refund(order_id="A-1"), search()'),
        ({"names": ["refund"]}, 1.0, 'denied: refund(order_id="A-1")'),
        ({"names": ["status"]}, 0.0, ""),
    ],
)
def test_denied_calls_are_counted(options, value, reason):
    calls = [
        call("refund", "denied", order_id="A-1"),
        call("search", "denied"),
        call("status", "allowed"),
        call("status"),
    ]
    result = score("denied_calls", calls, **options)

    assert result.value == value
    assert result.reason == reason


@pytest.mark.parametrize(
    ("name", "options", "advice"),
    [
        ("tool_calls", {"expected": []}, "extra: denied"),
        ("tool_calls", {"expected": "search"}, "must be a list, not 'search'"),
        ("tool_calls", {"expected": ["search"]}, "write {name: search, "),
        ("tool_calls", {"expected": [5]}, "must be a mapping, not 5; write {name: search"),
        ("tool_calls", {"expected": [{"nam": "a"}]}, "Did you mean 'name'"),
        ("tool_calls", {"expected": [{"arguments": {}}]}, "name is missing; write"),
        ("tool_calls", {"expected": [{"name": " "}]}, "name: must be text"),
        ("tool_calls", {"expected": [{"name": "a", "arguments": None}]}, "no arguments where any will do"),
        ("tool_calls", {"expected": [{"name": "a", "arguments": {"x": float("nan")}}]}, "finite number"),
        ("tool_calls", {"expected": [{"name": "a", "arguments": {"x": object()}}]}, "no JSON"),
        ("tool_calls", {"expected": [CALL_A], "order": "inorder"}, "Did you mean 'in_order'"),
        ("tool_calls", {"expected": [CALL_A], "extra": True}, "allowed or denied, not True"),
        ("tool_calls", {"expected": [CALL_A], "arguments": "partial"}, "exact or subset"),
        ("tool_calls", {}, "needs the option 'expected'"),
        ("tool_order", {"expected": []}, "is empty"),
        ("tool_order", {"expected": "search"}, "write it in brackets"),
        ("tool_order", {"expected": [CALL_A]}, "must be text"),
        ("denied_calls", {"names": "refund"}, "write it in brackets"),
        ("denied_calls", {"names": [""]}, "must be text"),
    ],
)
def test_a_wrong_option_is_told_how_to_mend(name, options, advice):
    refuse(name, advice, **options)
