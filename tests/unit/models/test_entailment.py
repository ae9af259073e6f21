"""Models of entailment: which columns of their logits say what, and what is no such model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_llmops.errors import WeightsError
from pytest_llmops.models import cross_encoder
from pytest_llmops.models.cross_encoder import identify_entailment, relate_pairs


class Network:
    """Stands in for a CrossEncoder of sentence-transformers: logits are the numbers in the first text."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.model = SimpleNamespace(config=SimpleNamespace(id2label=dict(enumerate(labels))))
        self.asked: list[list[str]] = []

    def predict(self, pairs: list[list[str]], *, activation_fn: Any, **_options: Any) -> Any:
        self.asked += pairs
        logits = np.array([[float(number) for number in first.split()] for first, _ in pairs])
        return activation_fn(logits[:, 0] if logits.shape[1] == 1 else logits)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def with_labels(*labels: str) -> Network:
        made = Network(labels)
        library = SimpleNamespace(CrossEncoder=lambda _name: made)
        monkeypatch.setitem(sys.modules, "sentence_transformers", library)
        cross_encoder._network.cache_clear()
        return made

    yield with_labels
    cross_encoder._network.cache_clear()


def test_columns_are_found_by_their_names(load: Any) -> None:
    load("contradiction", "entailment", "neutral")

    ((entails, against),) = relate_pairs("nli/a", [("0 2 1", "claim")])

    shares = np.exp([0, 2, 1]) / np.exp([0, 2, 1]).sum()
    assert (entails, against) == pytest.approx((shares[1], shares[0]))


def test_a_model_of_one_number_tells_of_entailment_alone(load: Any) -> None:
    load("LABEL_0")

    assert relate_pairs("nli/b", [("2", "x"), ("-2", "x")]) == [
        pytest.approx((1 / (1 + np.exp(-2)), 0)),
        pytest.approx((1 / (1 + np.exp(2)), 0)),
    ]


def test_each_pair_is_asked_once(load: Any) -> None:
    network = load("entailment", "not_entailment")

    found = relate_pairs("nli/c", [("1 0", "x"), ("1 0", "x"), ("0 1", "x")])

    assert found[0] == found[1] != found[2]
    assert len(network.asked) == 2
    assert found[0][1] == 0.0  # "not entailment" is no contradiction


@pytest.mark.parametrize(
    "labels", [("positive", "negative"), ("entailment", "entails"), ("LABEL_0", "LABEL_1")]
)
def test_another_classifier_is_refused(load: Any, labels: tuple[str, str]) -> None:
    load(*labels)

    with pytest.raises(WeightsError, match="is no model of entailment: its labels are"):
        relate_pairs(f"nli/{labels}", [("1 0", "x")])


def test_broken_weights_are_told(load: Any) -> None:
    load("entailment", "neutral")

    with pytest.raises(WeightsError, match="broken"):
        relate_pairs("nli/d", [("nan 0", "x")])


def test_a_model_is_named_by_its_hub_name() -> None:
    assert identify_entailment("some/nli") == "entailment-sentence-transformers/some/nli"
