"""Which part of an evidence an assertion shows below its message."""

from __future__ import annotations

import pytest

from pytest_llmops.plugin.assertions.fixtures import describe_parts


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        ((), []),
        (("text",), []),
        (({"claims": []},), []),
        (
            (
                {
                    "claims": [
                        {"claim": "90 days\x1b[0m", "score": 0.125, "support": "60 days"},
                        {"claim": "b"},
                    ]
                },
            ),
            ["  least supported (0.125): 90 days\\x1b[0m", "  nearest to it: 60 days"],
        ),
        (
            ({"claims": [{"claim": "90 days", "score": None, "support": None}]},),
            ["  least supported: 90 days"],
        ),
        (
            ({"judge": "m", "criteria": {"a": {"score": 5}, "b": {"score": 2, "evidence": "here"}}},),
            ["  b (2) points to: here"],
        ),
        (
            ({"grade": "partly", "missing": ["the fee"], "contradicted": []},),
            ["  missing: the fee"],
        ),
        (({"missing": ["returns#window"], "retrieved": []},), []),  # which the reason tells
    ],
)
def test_the_part_that_cost_most(evidence, told):
    assert describe_parts(evidence) == told


def test_what_the_reason_tells_is_not_told_twice():
    evidence = ({"claims": [{"claim": "90 days", "score": 0, "support": {"text": "Within 60 days."}}]},)
    assert describe_parts(evidence, "'90 days' is not said") == ["  nearest to it: Within 60 days."]
