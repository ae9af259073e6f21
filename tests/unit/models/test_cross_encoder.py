from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_llmops import cache
from pytest_llmops.errors import MissingExtraError, WeightsError
from pytest_llmops.models import cross_encoder
from pytest_llmops.models.cross_encoder import rate_pairs


class Network:
    """
    Stands in for a CrossEncoder of sentence-transformers, which the tests do without: its logit is the first
    text as a number, or the second where the first is `swapped`. The real library is another one's to test.
    """

    def __init__(self, labels=1):
        self.labels = labels
        self.batches = []

    def predict(self, pairs, *, activation_fn, batch_size, show_progress_bar):
        assert batch_size > 0
        assert show_progress_bar is False
        self.batches.append(pairs)
        logits = np.array([float(second if first == "swapped" else first) for first, second in pairs])
        return activation_fn(logits if self.labels == 1 else np.tile(logits[:, None], self.labels))


@pytest.fixture
def network(monkeypatch):
    made = Network()

    def load(name):
        if "missing" in name:
            raise OSError("no such model\nand a long explanation")
        return made

    cross_encoder.forget()
    cross_encoder._network.cache_clear()
    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(CrossEncoder=load))
    yield made
    cross_encoder.forget()
    cross_encoder._network.cache_clear()


@pytest.mark.usefixtures("network")
def test_logits_become_shares_by_the_sigmoid():
    logits = ["0", "2", "-2", "40", "-40", "1e9", "-1e9", "nan"]

    ratings = rate_pairs("a/model", [(logit, "") for logit in logits])

    assert ratings[:3] == pytest.approx([0.5, 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])
    assert ratings[3:7] == pytest.approx([1, 0, 1, 0], abs=1e-12)
    assert all(0 <= rating <= 1 for rating in ratings[:7])
    assert math.isnan(ratings[7])


def test_each_distinct_pair_is_rated_once_and_in_order(network, tmp_path):
    pairs = [("1", "a"), ("2", "longer text"), ("1", "a"), ("swapped", "1"), ("1", "swapped")]
    cache.use_cache(tmp_path)
    try:
        first = rate_pairs("a/model", pairs)
        cross_encoder.forget()
        again = rate_pairs("a/model", pairs)
    finally:
        cache.use_cache(None)

    assert first == again
    assert first[0] == first[2] == first[3] == first[4] != first[1]
    assert sum(map(len, network.batches)) == 4


def test_a_classifier_is_refused(network):
    network.labels = 3

    with pytest.raises(WeightsError, match="gives 3 numbers for a pair"):
        rate_pairs("a/classifier", [("1", "2")])


@pytest.mark.usefixtures("network")
def test_a_model_that_cannot_be_loaded_is_told_of_in_one_line():
    with pytest.raises(WeightsError, match="'missing/model' cannot be loaded: no such model"):
        rate_pairs("missing/model", [("1", "2")])


def test_a_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)

    with pytest.raises(MissingExtraError, match=r"pytest-llmops\[sentence-transformers\]"):
        rate_pairs("some/model", [("1", "2")])
