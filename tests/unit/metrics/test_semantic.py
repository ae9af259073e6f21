from __future__ import annotations

import pytest

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.semantic import Semantic
from pytest_llmops.models.encoder import load_encoder
from pytest_llmops.models.vectors import forget
from pytest_llmops.records import Failure, Output, Sample, Score


def sample(text: str, reference: str | None, repeat: int = 0) -> Sample:
    return Sample(output=Output(text=text, repeat=repeat), reference=reference)


def test_the_value_is_the_cosine_that_sentence_transformers_gives():
    (result,) = Semantic().score(
        [sample("Within 60 days of delivery.", "You have two months to send it back.")]
    )

    assert isinstance(result, Score)
    assert result.value == 0.4157
    assert result.evidence == ({"cosine": result.value},)
    assert result.reason == f"cosine {result.value:.3f} to the reference"
    assert load_encoder().identity in result.signature


def test_one_result_a_sample_in_order():
    first, second, third = Semantic().score(
        [sample("60 days", "60 days", 0), sample("60 days", None, 1), sample("", "60 days", 2)]
    )

    assert first.value == pytest.approx(1.0, abs=1e-6)
    assert first.value <= 1.0
    assert isinstance(second, Failure)
    assert third.reason == "the output is empty"
    assert [each.repeat for each in (first, second, third)] == [0, 1, 2]


def test_a_text_is_encoded_once_however_often_it_stands_in_a_batch():
    forget()
    before = load_encoder().encoded

    Semantic().score([sample(f"answer {number % 2}", "one reference") for number in range(10)])
    Semantic().score([sample("answer 1", "one reference")])

    assert load_encoder().encoded - before == 3


def test_a_batch_without_references_needs_no_encoder():
    (result,) = Semantic(encoder="/no/such/folder").score([sample("a", None)])

    assert isinstance(result, Failure)


def test_rounding_does_not_leave_the_range(monkeypatch):
    import numpy as np

    from pytest_llmops.metrics import semantic

    monkeypatch.setattr(semantic, "embed", lambda _encoder, texts: np.full((len(texts), 1), 1.0000001))

    assert Semantic().score([sample("a", "b")])[0].value == 1.0


def test_broken_weights_are_a_failure_and_no_score(monkeypatch):
    import numpy as np

    from pytest_llmops.metrics import semantic

    monkeypatch.setattr(semantic, "embed", lambda _encoder, texts: np.full((len(texts), 2), np.nan))

    (result,) = Semantic().score([sample("a", "b")])

    assert isinstance(result, Failure)
    assert "weights are broken" in result.error


@pytest.mark.parametrize("encoder", ["", 5, None])
def test_the_encoder_is_a_name(encoder):
    with pytest.raises(MetricOptionError, match="'default', a folder"):
        Semantic(encoder=encoder)
