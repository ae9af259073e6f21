from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.metrics.lexical.exact_match import STEPS, ExactMatch, normalize, normalize_as_squad
from pytest_llmops.text.characters import fold


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


@given(st.text())
def test_all_steps_together_are_true(text):
    assert ExactMatch(normalize=STEPS)._normalize(text) == normalize(text)
