from __future__ import annotations

import pytest

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.semantic import similarity as cross_encoder
from pytest_llmops.metrics.semantic.similarity import CrossEncoder
from pytest_llmops.records import Failure, Output, Sample
from pytest_llmops.registry import create_metric


@pytest.fixture
def asked(monkeypatch):
    """The pairs that the model would be asked for; it says .25 to each, and of `broken` no number."""
    pairs = []

    def rate(model, given):
        assert model == "a/model"
        pairs.extend(given)
        return [float("nan") if "broken" in output else 0.25004 for _, output in given]

    monkeypatch.setattr(cross_encoder, "rate_pairs", rate)
    return pairs


def sample(text, reference="a reference", question="a question", repeat=0):
    return Sample(output=Output(text=text, repeat=repeat), reference=reference, input=question)


def test_one_result_a_sample_in_order(asked):
    scored, lacking, broken, empty = CrossEncoder(model="a/model").score(
        [sample("good"), sample("x", None, repeat=1), sample("broken", repeat=2), sample(" ", repeat=3)]
    )

    assert asked == [("a reference", "good"), ("a reference", "broken")]
    assert scored.value == 0.25
    assert scored.signature == "cross_encoder|v2|reference|cross-sentence-transformers/a/model"
    assert isinstance(lacking, Failure)
    assert isinstance(broken, Failure)
    assert "weights are broken" in broken.error
    assert (empty.value, empty.reason) == (0.0, "the output is empty")
    assert empty.signature == scored.signature
    assert [each.repeat for each in (scored, lacking, broken, empty)] == [0, 1, 2, 3]


def test_a_pair_with_the_input_needs_no_reference(asked):
    metric = CrossEncoder(model="a/model", pair="input")

    (scored,) = metric.score([sample("good", None, {"question": "é", "a": 1})])

    assert metric.needs == frozenset()
    assert asked == [('{"a": 1, "question": "é"}', "good")]
    assert "|input|" in scored.signature


@pytest.mark.parametrize("pair", ["reference", "input"])
def test_an_output_without_a_word_is_not_rated(asked, pair):
    blank, same = CrossEncoder(model="a/model", pair=pair).score([sample("..."), sample("?", "?", "?")])

    assert (blank.value, blank.reason) == (0.0, "the output contains no word: '...'")
    assert same.value == 0.25
    assert asked == [("?", "?")]


def test_a_batch_that_lacks_everything_needs_no_model():
    (result,) = CrossEncoder(model="/no/such/folder").score([sample("a", None)])

    assert isinstance(result, Failure)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "needs the option 'model'"),
        ({"model": ""}, "a folder or a Hugging Face name"),
        ({"model": 5}, "not 5"),
        ({"model": "a", "pair": "refrence"}, "Did you mean 'reference'?"),
        ({"model": "a", "pair": ["input", "output"]}, "reference or input"),
    ],
)
def test_a_mistake_in_the_options_is_told(options, told):
    with pytest.raises(MetricOptionError) as error:
        create_metric("cross_encoder", options)

    assert told in str(error.value)
