"""A thousand cases are scored in batches: how often the encoder is called, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pytest_llmops import cache
from pytest_llmops.models import pieces, vectors
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.records import Output, Passage, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.scoring import Scorer

NAMES = ("rouge_l", "semantic", "recall@5", "faithfulness")
CASES = 1_000


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many texts each call of the encoder was given."""
    cache.use_cache(None)  # of another test's project
    pieces.forget()
    vectors.forget()
    counts: list[int] = []
    encoder = load_embedded()
    whole, parts = encoder.encode, encoder.encode_pieces

    def encode(texts: Sequence[str], **options: Any) -> Any:
        counts.append(len(texts))
        return whole(texts, **options)

    def encode_pieces(ids: Sequence[Sequence[int]], layer: int) -> Any:
        counts.append(len(ids))
        return parts(ids, layer)

    monkeypatch.setattr(encoder, "encode", encode)
    monkeypatch.setattr(encoder, "encode_pieces", encode_pieces)
    return counts


def sample(at: int) -> Sample:
    """A thousand cases of forty answers and forty passages, so that the encoder has little to do."""
    day, aisle = at % 40, (at * 7) % 40
    passages = (
        Passage(id=f"p{aisle}", text=f"Aisle {aisle} has tents."),
        Passage(id="q", text="Boots are new."),
    )
    return Sample(
        output=Output(text=f"It opens on day {day}.", passages=passages),
        reference=f"Open from day {day} on.",
        relevant=(f"p{aisle}",),
        case=f"golden/shop.yaml::{at}",
    )


def test_a_thousand_cases_of_four_metrics_call_the_encoder_a_few_times(encoded: list[int]) -> None:
    scorer = Scorer()
    metrics = [create_metric(name) for name in NAMES]

    jobs = [(metric, scorer.submit(metric, [sample(at)])) for at in range(CASES) for metric in metrics]
    results = [job.result(timeout=120)[0] for _, job in jobs]
    scorer.close()

    assert [result for result in results if not isinstance(result, Score)] == []
    assert len(results) == CASES * len(NAMES)
    # What is handed in while a metric is busy is its next batch; a case each would be thousands of calls.
    assert len(encoded) <= 20
    assert sum(encoded) < 700  # each text once for a vector and once for its word pieces


def test_faithfulness_takes_a_batch_in_one_call_of_each_kind(encoded: list[int]) -> None:
    results = create_metric("faithfulness").score([sample(at) for at in range(CASES)])

    assert len(results) == CASES
    assert len(encoded) == 2
