from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.retrieval import PrecisionAtK, RecallAtK
from pytest_llmops.records import Failure, Output, Passage, Sample, Score
from pytest_llmops.registry import create_metric


def sample(retrieved: str | None, relevant: str) -> Sample:
    """Ids of one letter each."""
    passages = None if retrieved is None else tuple(Passage(id=each) for each in retrieved)
    return Sample(output=Output(text="", repeat=2, passages=passages), relevant=tuple(relevant))


@pytest.mark.parametrize(
    ("retrieved", "relevant", "k", "recall", "precision"),
    [
        ("abc", "a", 1, 1.0, 1.0),
        ("abc", "c", 1, 0.0, 0.0),
        ("abc", "ac", 3, 1.0, 2 / 3),
        ("abcde", "aex", 5, 2 / 3, 2 / 5),
        ("ab", "ab", 10, 1.0, 2 / 10),  # k is past the list
        ("aab", "b", 2, 1.0, 1 / 2),  # a counts once, at its first rank
        ("ab", "aa", 1, 1.0, 1.0),  # so does a relevant id
        ("", "a", 5, 0.0, 0.0),
        ("abcdefghij", "j", 10, 1.0, 1 / 10),
        ("abcdefghij", "abcdefghix", 10, 9 / 10, 9 / 10),
    ],
)
def test_values_are_those_of_trec_eval(retrieved, relevant, k, recall, precision):
    one = sample(retrieved, relevant)

    assert RecallAtK(k=k).score([one])[0].value == recall
    assert PrecisionAtK(k=k).score([one])[0].value == precision


def test_the_reason_names_what_is_missing():
    (result,) = RecallAtK(k=2).score([sample("abc", "ac")])

    assert isinstance(result, Score)
    assert result.reason == "missing: 'c'; the first 2 are 'a', 'b'"
    assert result.evidence == ({"missing": ["c"], "retrieved": ["a", "b"]},)
    assert result.metric == "recall@2"
    assert result.repeat == 2


def test_precision_names_what_does_not_belong():
    (result,) = PrecisionAtK(k=3).score([sample("ab", "a")])

    assert isinstance(result, Score)
    assert result.reason == "not relevant: 'b'; 1 of 3 places empty"


def test_a_section_does_not_stand_for_its_document():
    one = Sample(output=Output(text="", passages=(Passage(id="returns#window"),)), relevant=("returns",))

    assert RecallAtK(k=1).score([one])[0].value == 0.0


@pytest.mark.parametrize("metric", [RecallAtK(k=3), PrecisionAtK(k=3)])
@pytest.mark.parametrize(
    ("retrieved", "relevant", "advice"), [(None, "a", "passages=\u2026"), ("a", "", "`relevant:`")]
)
def test_what_cannot_be_counted_is_no_zero(metric, retrieved, relevant, advice):
    (result,) = metric.score([sample(retrieved, relevant)])

    assert isinstance(result, Failure)
    assert advice in result.error


@pytest.mark.parametrize("k", [0, -1, 1.5, "3", True])
def test_k_is_a_whole_number_above_zero(k):
    with pytest.raises(MetricOptionError, match="whole number"):
        RecallAtK(k=k)


def test_k_is_read_from_the_name():
    assert create_metric("recall@7").name == "recall@7"
    assert create_metric("precision@7") == PrecisionAtK(k=7)


@given(st.text("abcdef", max_size=12), st.text("abcdef", min_size=1, max_size=6), st.integers(1, 15))
def test_recall_grows_with_k_and_both_stay_in_range(retrieved, relevant, k):
    one = sample(retrieved, relevant)
    here, next_ = (RecallAtK(k=at).score([one])[0].value for at in (k, k + 1))

    assert 0.0 <= here <= next_ <= 1.0
    assert 0.0 <= PrecisionAtK(k=k).score([one])[0].value <= 1.0
