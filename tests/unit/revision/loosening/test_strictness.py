"""A check is as strict as another only where that is proven."""

from __future__ import annotations

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.bounds import holds
from pytest_llmops.records import Output, Sample
from pytest_llmops.registry import create_metric
from pytest_llmops.revision.loosening.strictness import is_as_strict
from tests.unit.gates.golden_records import check_of


@pytest.mark.parametrize(
    ("old", "new", "loosened"),
    [
        (">= 0.5", ">= 0.5", False),
        (">= 0.5", ">= 0.6", False),
        (">= 0.5", "> 0.5", False),
        (">= 0.5", ">= 0.4", True),
        ("> 0.5", ">= 0.5", True),
        ("> 0.5", ">= 0.6", False),
        (">= 0.5", "> 0.49", True),
        ("<= 2", "<= 2", False),
        ("<= 2", "<= 1", False),
        ("<= 2", "< 2", False),
        ("<= 2", "<= 3", True),
        ("< 2", "<= 2", True),
        (">= 0.5", "<= 0.5", True),
        ("<= 0.5", ">= 0.5", True),
        (">= 0.5", "<= 1", True),
    ],
)
def test_a_bound_that_moved(old, new, loosened):
    assert is_as_strict(check_of(new), check_of(old)) is not loosened


KEYWORDS = {"all": ["60 days", "receipt"], "any": ["mail", "post"], "none": ["no refund"]}


@pytest.mark.parametrize(
    ("old", "new", "loosened"),
    [
        pytest.param({}, {"all": ["receipt", "60  DAYS"]}, False, id="in another order and case"),
        pytest.param({}, {"all": [*KEYWORDS["all"], "boots"]}, False, id="one more of all"),
        pytest.param({}, {"all": ["60 days"]}, True, id="one less of all"),
        pytest.param({}, {"all": ["60 days", "boots"]}, True, id="another of all"),
        pytest.param({}, {"none": ["no refund", "never"]}, False, id="one more of none"),
        pytest.param({}, {"none": []}, True, id="one less of none"),
        pytest.param({}, {"any": ["mail"]}, False, id="a narrower choice"),
        pytest.param({}, {"any": ["mail", "post", "fax"]}, True, id="a wider choice"),
        pytest.param({}, {"any": []}, True, id="no choice asked"),
        pytest.param({"any": []}, {}, False, id="a choice asked"),
        pytest.param({"all": ["a", "a"]}, {"all": ["a"]}, True, id="said once of twice"),
        pytest.param({}, {"all": [*KEYWORDS["all"], ["mail", "post"]], "any": []}, False, id="any as a list"),
        pytest.param({"all": [["a", "b"]]}, {"all": ["a"]}, False, id="a narrower list"),
        pytest.param({"all": ["a"]}, {"all": [["a", "b"]]}, True, id="a wider list"),
        pytest.param({"all": [["a", "b"], "a"]}, {"all": ["a", "b"]}, False, id="a list and one of it"),
        pytest.param({"all": [["a", "b"], "a"]}, {"all": ["a", "c"]}, True, id="one word for two"),
    ],
)
def test_keywords_that_were_changed(old, new, loosened):
    before, after = {**KEYWORDS, **old}, {**KEYWORDS, **new}

    assert (
        is_as_strict(check_of(">= 1", "keywords", **after), check_of(">= 1", "keywords", **before))
        is not loosened
    )


@pytest.mark.parametrize(
    ("old", "new", "loosened"),
    [
        pytest.param(
            (">= 0.5", ["a", "b"]), (">= 0.5", ["a", "b", "c", "d"]), True, id="of four two may lack"
        ),
        pytest.param(
            (">= 0.5", ["a", "b"]), (">= 0.75", ["a", "b", "c", "d"]), False, id="of four one may lack"
        ),
        pytest.param(
            ("> 0.5", ["a", "b"]), (">= 0.75", ["a", "b", "c", "d"]), True, id="of two none may lack"
        ),
        pytest.param((">= 0.5", ["a"]), ("< 0.9", ["a", "b"]), True, id="the other side"),
        pytest.param(("< 0.5", ["a"]), ("< 0.5", ["a", "b"]), True, id="a share that may not be reached"),
    ],
)
def test_a_further_keyword_may_not_excuse_an_old_one(old, new, loosened):
    before, after = (check_of(bound, "keywords", all=words) for bound, words in (old, new))

    assert is_as_strict(after, before) is not loosened


@pytest.mark.parametrize(
    ("metric", "bound", "old", "new", "loosened"),
    [
        ("exact_match", ">= 1", {}, {"normalize": True}, False),
        ("exact_match", ">= 1", {}, {"normalize": False}, False),
        ("exact_match", ">= 1", {"normalize": False}, {}, True),
        ("exact_match", "< 1", {}, {"normalize": False}, True),
        ("exact_match", "< 1", {"normalize": False}, {}, False),
        ("pii_leak", "<= 0", {}, {"allow": ["ada@example.com"]}, True),
        ("pii_leak", "<= 0", {"allow": ["ADA@example.com", "x"]}, {"allow": ["ada@example.com"]}, False),
        ("pii_leak", "<= 0", {"deny": ["project a", "project b"]}, {"deny": ["Project A"]}, True),
        ("pii_leak", "<= 0", {"deny": ["Project A"]}, {"deny": ["project a", "project b"]}, False),
        ("pii_leak", "<= 0", {}, {"kinds": ["JWT"]}, True),
        ("pii_leak", "<= 0", {"kinds": ["JWT"]}, {}, False),
        ("pii_leak", "<= 0", {"kinds": ["JWT"]}, {"kinds": ["JWT", "API_KEY"]}, False),
        ("pii_leak", "<= 0", {"kinds": ["JWT"]}, {"kinds": ["API_KEY"]}, True),
        ("semantic", ">= 0.8", {}, {"encoder": "default"}, False),
        ("semantic", ">= 0.8", {}, {"encoder": "mine"}, True),
        ("unheard_of", ">= 1", {"a": 1}, {"a": 1}, False),
        ("unheard_of", ">= 1", {}, {"a": 1}, True),
    ],
)
def test_other_options_are_looser_unless_they_are_proven_not_to_be(metric, bound, old, new, loosened):
    assert is_as_strict(check_of(bound, metric, **new), check_of(bound, metric, **old)) is not loosened


def test_stricter_options_do_not_make_up_for_a_lower_threshold():
    old = check_of(">= 0.9", "exact_match")

    assert not is_as_strict(check_of(">= 0.8", "exact_match", normalize=False), old)


def test_another_metric_proves_nothing():
    assert not is_as_strict(check_of(">= 1", "recall@3"), check_of(">= 0.5", "recall@5"))


WORDS = st.lists(st.sampled_from("abc"), max_size=3)
KEYWORD_CHECKS = st.builds(
    lambda bound, **words: check_of(bound, "keywords", **words),
    st.sampled_from([">= 1", ">= 0.75", "> 0.5", ">= 0.5", "> 0", "< 0.5", "<= 0"]),
    all=WORDS,
    any=WORDS,
    none=WORDS,
).filter(lambda check: any(check.options.values()))


@given(KEYWORD_CHECKS, KEYWORD_CHECKS, st.lists(st.text("abc ", max_size=6), min_size=1, max_size=3))
def test_what_holds_as_strict_keywords_holds_the_old_ones(new, old, texts):
    """Over several repeats, whose mean is what a check looks at."""
    samples = [Sample(output=Output(text=text)) for text in texts]
    means = [
        fmean(score.value for score in create_metric("keywords", check.options).score(samples))  # type: ignore[union-attr]
        for check in (new, old)
    ]

    assert not (is_as_strict(new, old) and holds(means[0], new) and not holds(means[1], old))
