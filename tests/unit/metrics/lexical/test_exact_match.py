from __future__ import annotations

import pytest

from pytest_llmops import Score
from tests.scoring import refuse, score_one


def compare(text: str, reference: str | None, *, normalized=True):
    return score_one("exact_match", text, {"normalize": normalized}, reference=reference)


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
    assert bool(result.reason) == (value == 0)


@pytest.mark.parametrize(("text", "value"), [("60 days", 1.0), ("60 Days", 0.0), ("60 days ", 0.0)])
def test_every_character_counts_without_normalizing(text, value):
    result = compare(text, "60 days", normalized=False)

    assert isinstance(result, Score)
    assert result.value == value
    assert result.signature != compare(text, "60 days").signature


def test_a_case_without_reference_is_told_what_to_add():
    result = compare("60 days", None)

    assert not isinstance(result, Score)
    assert "`reference:`" in result.error


def test_a_reason_shows_control_characters_escaped():
    result = compare("no", "red \x1b[31m")

    assert "\x1b" not in result.reason
    assert r"\x1b" in result.reason


@pytest.mark.parametrize(
    ("text", "reference", "options", "value"),
    [
        ("3.5", "35", "squad", 1.0),
        ("3.5", "35", ["punctuation"], 0.0),
        ("The Cat", "the cat", ["case"], 1.0),
        ("The Cat", "cat", ["case"], 0.0),
        ("The Cat", "cat", ["case", "articles", "white_space"], 1.0),
        ("The Cat", "Cat", ["white_space", "articles"], 1.0),
        ("cat!", "cat", ["punctuation"], 1.0),
        ("cat!", "cat", ["case", "white_space"], 0.0),
        ("it\u2019s", "it's", ["case"], 0.0),
        ("it\u2019s", "it's", ["typography"], 1.0),
        (" a  b ", "a b", ["white_space"], 1.0),
        ("the", "a", ["articles"], 0.0),
        ("the", "a", "squad", 1.0),
    ],
)
def test_normalize_may_be_squads_or_some_steps(text, reference, options, value):
    result = compare(text, reference, normalized=options)

    assert isinstance(result, Score)
    assert result.value == value
    assert result.signature not in {"exact_match|v1|normalized", "exact_match|v1|raw"}


@pytest.mark.parametrize(
    ("normalize_", "advice"),
    [
        ("case", "a list of typography, case"),
        ([], "a list of"),
        (None, "a list of"),
        (["case", "punctation"], "Did you mean 'punctuation'"),
        ([5], "no step 5"),
    ],
)
def test_an_unknown_step_is_told_with_what_is_near(normalize_, advice):
    refuse("exact_match", advice, normalize=normalize_)
