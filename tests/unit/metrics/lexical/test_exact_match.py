from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.lexical.exact_match import STEPS, ExactMatch, normalize, normalize_as_squad
from pytest_llmops.metrics.words import fold
from pytest_llmops.records import Failure, Output, Sample, Score
from pytest_llmops.registry import create_metric


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


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("The Cat", "cat"),
        ("a  cat,\n an owl & the dog", "cat owl dog"),
        ("3.5", "35"),
        ("$1,000.00", "100000"),
        ("-4", "4"),
        ("12:30", "1230"),
        ("5%", "5"),
        ("state-of-the-art", "stateoftheart"),
        ("state of the art", "state of art"),
        ("A.", ""),
        ("the", ""),
        ("an a the", ""),
        ("theatre and anthem", "theatre and anthem"),
        ("U.S.A.", "usa"),
        ("it's", "its"),
        ("it\u2019s", "it\u2019s"),
        ("\u201cquoted\u201d", "\u201cquoted\u201d"),
        ("\u20ac5", "\u20ac5"),
        ("$5", "5"),
        ("snake_case", "snakecase"),
        ("Caf\u00e9", "caf\u00e9"),
        ("CAFE\u0301", "cafe\u0301"),
        ("STRASSE", "strasse"),
        ("Stra\u00dfe", "stra\u00dfe"),
        ("60\u00a0days", "60 days"),
        ("(a)", ""),
        ("a-b", "ab"),
        ("a b", "b"),
        ("\u00e0 la carte", "\u00e0 la carte"),
        ("  ", ""),
        ("!?", ""),
    ],
)
def test_squad_is_lower_case_without_ascii_marks_and_articles(text, normalized):
    """Worked out by SQuAD's published steps: lower case, string.punctuation, articles, white space."""
    assert normalize_as_squad(text) == normalized


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
    metric = create_metric("exact_match", {"normalize": options})
    (result,) = metric.score([Sample(output=Output(text=text), reference=reference)])

    assert isinstance(result, Score)
    assert result.value == value
    assert result.signature not in {"exact_match|v1|normalized", "exact_match|v1|raw"}


@given(st.text())
def test_all_steps_together_are_true(text):
    assert ExactMatch(normalize=STEPS)._normalize(text) == normalize(text)


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
    with pytest.raises(MetricOptionError) as caught:
        create_metric("exact_match", {"normalize": normalize_})

    assert advice in str(caught.value)
