from __future__ import annotations

import pytest

from pytest_llmops import Score
from tests.scoring import refuse, score_one


def match(text: str, **options: object):
    return score_one("regex", text, options)


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("Order FW-1042 is on its way", {"pattern": r"[A-Z]{2}-\d{4}"}, 1.0),
        ("Order fw-1042", {"pattern": r"[A-Z]{2}-\d{4}"}, 0.0),
        ("Order fw-1042", {"pattern": r"[A-Z]{2}-\d{4}", "flags": "ignore_case"}, 1.0),
        ("Order fw-1042", {"pattern": r"(?i)[A-Z]{2}-\d{4}"}, 1.0),
        ("FW-1042\n", {"pattern": r"[A-Z]{2}-\d{4}", "full": True}, 1.0),
        ("FW-1042!", {"pattern": r"[A-Z]{2}-\d{4}", "full": True}, 0.0),
        ("yes or no", {"pattern": r"yes|yes or no", "full": True}, 1.0),
        ("a\nb", {"pattern": "a.b"}, 0.0),
        ("a\nb", {"pattern": "a.b", "flags": ["dot_all"]}, 1.0),
        ("a\nb", {"pattern": "^b$", "flags": ["multiline"]}, 1.0),
        ("ab", {"pattern": "a  # first\n b", "flags": ["verbose", "verbose"]}, 1.0),
        ("60 days, no fee", {"pattern": [r"\d+ days", "refund"], "none": ["fee", "tax"]}, 0.5),
        ("60 days", {"none": "(?i)as an ai"}, 1.0),
        ("\u9000\u8d27", {"pattern": r"\p{Han}+", "full": True}, 1.0),
        ("", {"pattern": "^$"}, 1.0),
    ],
)
def test_the_value_is_the_share_of_patterns_that_hold(text, options, value):
    result = match(text, **options)

    assert isinstance(result, Score)
    assert result.value == value
    assert bool(result.reason) == (value < 1)


def test_the_reason_names_patterns_and_what_they_found():
    result = match("no \x1b[31mfee", pattern=[r"\d+ days"], none=[r"no \S+"])

    assert result.reason == r"no match of '\\d+ days'; must not match 'no \\S+': 'no \x1b[31mfee'"
    assert result.evidence == ({"unmatched": [r"\d+ days"], "forbidden": [r"no \S+"]},)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ({}, "pattern or none"),
        ({"pattern": []}, "pattern or none"),
        ({"pattern": "(a"}, "is no pattern: missing )"),
        ({"none": ["a", "["]}, "none '['"),
        ({"pattern": ""}, "empty"),
        ({"pattern": 5}, "must be a list"),
        ({"pattern": ["a", 5]}, "must be text"),
        ({"pattern": "a" * 20_000}, "longer"),
        ({"pattern": "(" * 5_000 + ")" * 5_000}, "no pattern"),
        ({"pattern": "a", "flags": ["ignorecase"]}, "Did you mean 'ignore_case'"),
        ({"pattern": "a", "full": "yes"}, "true or false"),
        ({"patern": "a"}, "Did you mean 'pattern'"),
    ],
)
def test_a_wrong_option_is_told_how_to_mend(options, advice):
    refuse("regex", advice, **options)
