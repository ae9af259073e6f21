"""Batches form by themselves, and whatever a metric does, every sample gets one result."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import ClassVar

import pytest

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.records import Bound, Failure, Output, Sample, Score
from pytest_llmops.runner.scoring import Scorer, score_here, score_safely

BOUND = Bound(comparison=">=", threshold=1.0)


def sample(text: str, repeat: int = 0) -> Sample:
    return Sample(output=Output(text=text, repeat=repeat))


@dataclass(frozen=True)
class Length:
    """Counts characters; raises, lies or breaks where the text asks for it."""

    name = "length"
    version = 1
    needs = frozenset()
    range = (0.0, 1e9)
    higher_is_better = True
    bound = BOUND
    batches: ClassVar[list[int]] = []
    gate: ClassVar[threading.Event] = threading.Event()

    def score(self, batch):
        Length.batches.append(len(batch))
        texts = [each.output.text for each in batch]
        if "wait" in texts:
            Length.gate.wait(10)
        if "raise" in texts:
            raise RuntimeError("broken weights")
        if "user" in texts:
            raise LLMOpsError("say it plainly")
        if "short" in texts:
            return []
        if "exit" in texts:
            raise SystemExit(3)
        if "odd" in texts:
            return [1.0]
        if "none" in texts:
            return [Score(metric="length", value=None)]
        return [Score(metric="length", value=float("nan") if text == "nan" else len(text)) for text in texts]


@pytest.fixture(autouse=True)
def _fresh():
    Length.batches.clear()
    Length.gate.clear()


def test_what_arrives_while_a_metric_is_busy_is_its_next_batch():
    scorer = Scorer()
    first = scorer.submit(Length(), [sample("wait")])
    while not Length.batches:
        pass
    rest = [scorer.submit(Length(), [sample("x" * size)]) for size in range(50)]
    Length.gate.set()
    assert [job.result(10)[0].value for job in (first, *rest)] == [4, *range(50)]
    assert Length.batches == [1, 50]
    scorer.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise", "RuntimeError: broken weights"),
        ("user", "say it plainly"),
        ("short", "ValueError: length gave 0 results for 1 output"),
        ("nan", "length gave nan, which is no score"),
        ("none", "length gave None, which is no score"),
        ("odd", "TypeError: length gave a float, not a Score or a Failure"),
        ("exit", "SystemExit: 3"),
    ],
)
def test_a_metric_that_breaks_gives_a_failure(text, reason):
    (result,) = score_safely(score_here, Length(), [sample(text, repeat=3)])
    assert result == Failure(metric="length", stage="score", error=reason, repeat=3)


@pytest.mark.parametrize(
    ("value", "scored"),
    [(0.0, True), (1.0, True), (1 + 1e-7, True), (-1e-7, True), (1.01, False), (-0.01, False), (1e9, False)],
)
def test_a_number_outside_the_range_of_its_metric_is_a_failure(value, scored):
    """But for what an encoder's sums are rounded by."""

    @dataclass(frozen=True)
    class Share(Length):
        name = "share"
        range = (0.0, 1.0)

        def score(self, batch):
            return [Score(metric="share", value=value) for _ in batch]

    (result,) = score_safely(score_here, Share(), [sample("x", repeat=2)])

    if scored:
        assert (result.value, result.repeat) == (value, 2)
    else:
        error = f"share gave {value!r}, which is outside its range, 0 to 1"
        assert result == Failure(metric="share", stage="score", error=error, repeat=2)


def test_one_bad_sample_costs_no_other_its_score():
    results = score_safely(score_here, Length(), [sample("ab"), sample("raise"), sample("abc", repeat=2)])
    assert [type(result) for result in results] == [Score, Failure, Score]
    assert results[2].value == 3
    assert results[2].repeat == 2
