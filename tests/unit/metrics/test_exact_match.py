from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.exact_match import ExactMatch, normalize
from pytest_llmops.metrics.words import fold
from pytest_llmops.records import Failure, Output, Sample, Score


def compare(text: str, reference: str | None, *, normalized: bool = True) -> Score | Failure:
    sample = Sample(output=Output(text=text, repeat=3), reference=reference)
    return ExactMatch(normalize=normalized).score([sample])[0]


@pytest.mark.parametrize(
    ("text", "reference", "value"),
    [
        ("Within 60 days.", "within the 60 days", 1.0),
        ("**60 days**!", "60 days", 1.0),
        ("It\u2019s 60\u00a0days", "It's 60 days", 1.0),
        ("1,000 kg", "1000 kg", 1.0),
        ("60 days", "6 days", 0.0),
        ("3.5", "35", 0.0),
        ("-4", "4", 0.0),
        ("12:30", "1230", 0.0),
        ("\u20ac5", "$5", 0.0),
        ("5%", "5", 0.0),
        ("the", "a", 0.0),
        ("???", "!!!", 0.0),
        ("???", "???", 1.0),
        ("", "", 1.0),
    ],
)
def test_what_people_read_as_equal_is_equal(text, reference, value):
    result = compare(text, reference)

    assert isinstance(result, Score)
    assert result.value == value
    assert result.repeat == 3
    assert bool(result.reason) == (value == 0)


@pytest.mark.parametrize(("text", "value"), [("60 days", 1.0), ("60 Days", 0.0), ("60 days ", 0.0)])
def test_every_character_counts_without_normalizing(text, value):
    result = compare(text, "60 days", normalized=False)

    assert isinstance(result, Score)
    assert result.value == value
    assert result.signature != compare(text, "60 days").signature


def test_a_case_without_reference_is_told_what_to_add():
    result = compare("60 days", None)

    assert isinstance(result, Failure)
    assert "`reference:`" in result.error
    assert result.repeat == 3


def test_a_reason_shows_control_characters_escaped():
    result = compare("no", "red \x1b[31m")

    assert "\x1b" not in result.reason
    assert r"\x1b" in result.reason


@given(st.text())
def test_normalizing_leaves_something_of_whatever_can_be_seen(text):
    assert normalize(f" {text}\n") == normalize(text)
    assert bool(normalize(text)) == bool(fold(text))
