"""
1,000 cases scored with rouge_l, semantic, recall@5 and faithfulness, beside the encoder called directly with
the same texts, and beside the same metrics called one case after another, as DeepEval's are.

Prints cases a second, the calls that reached the encoder, and the ratios. Usage: python benchmarks/metrics.py
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.metrics.faithfulness.features import LAYER
from pytest_llmops.models import pieces, vectors
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Output, Passage, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.scoring import Scorer

CASES = 1_000
ONE_BY_ONE = 100
NAMES = ("rouge_l", "semantic", "recall@5", "faithfulness")
WORDS = ("returns", "boots", "tent", "delivery", "refund", "stove", "repair", "seam", "jacket", "warranty")


@dataclass(slots=True)
class Watched:
    """What reached the encoder: calls, and the texts themselves."""

    calls: int = 0
    texts: list[str] = field(default_factory=list)
    ids: list[Sequence[int]] = field(default_factory=list)


def samples(seed: int, count: int) -> list[Sample]:
    """Three passages of three sentences each; every fifth passage is shared."""
    draw = random.Random(seed)  # noqa: S311 - texts, not secrets

    def sentence() -> str:
        return f"The {' '.join(draw.choices(WORDS, k=draw.randint(6, 20)))} in {draw.randint(1990, 2026)}."

    shared = [" ".join(sentence() for _ in range(3)) for _ in range(20)]
    found = []
    for at in range(count):
        texts = [
            draw.choice(shared) if draw.random() < 0.2 else " ".join(sentence() for _ in range(3))
            for _ in range(3)
        ]
        passages = tuple(Passage(id=f"{at}-{rank}", text=text) for rank, text in enumerate(texts))
        found.append(
            Sample(
                output=Output(text=f"{sentence()} {sentence()}", passages=passages),
                reference=sentence(),
                relevant=(f"{at}-1",),
            )
        )
    return found


def score_together(metrics: Sequence[Metric], batch: Sequence[Sample]) -> None:
    """As the runner does it: a sample at a time is handed in, batches form by themselves."""
    scorer = Scorer()
    jobs = [scorer.submit(metric, [sample]) for metric in metrics for sample in batch]
    results = [job.result()[0] for job in jobs]
    scorer.close()
    if broken := [result for result in results if not isinstance(result, Score)]:
        raise SystemExit(broken[0])


def score_one_by_one(metrics: Sequence[Metric], batch: Sequence[Sample]) -> None:
    for sample in batch:
        for metric in metrics:
            metric.score([sample])


def watch() -> Watched:
    """From now on, every call of the encoder is noted."""
    encoder, seen = load_embedded(), Watched()
    whole, parts = type(encoder).encode, type(encoder).encode_pieces

    def encode(texts: Sequence[str], **options: Any) -> Any:
        seen.calls += 1
        seen.texts += texts
        return whole(encoder, texts, **options)

    def encode_pieces(ids: Sequence[Sequence[int]], layer: int) -> Any:
        seen.calls += 1
        seen.ids += ids
        return parts(encoder, ids, layer)

    encoder.encode, encoder.encode_pieces = encode, encode_pieces  # type: ignore[method-assign]
    return seen


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of CPU."""
    vectors.forget()
    pieces.forget()
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    metrics = [create_metric(name) for name in NAMES]
    score_one_by_one(metrics, samples(0, 2))
    seen = watch()
    together, alone = samples(1, CASES), samples(2, ONE_BY_ONE)
    ours = timed(lambda: score_together(metrics, together))
    calls, texts, ids = seen.calls, list(seen.texts), list(seen.ids)
    encoder = load_embedded()
    raw = timed(lambda: (encoder.encode(texts), encoder.encode_pieces(ids, LAYER)))
    single = timed(lambda: score_one_by_one(metrics, alone))
    print(f"{CASES} cases, {', '.join(NAMES)}: {CASES / ours[0]:.0f} cases/s, {calls} calls of the encoder")
    print(f"texts encoded {len(texts)} (sentence vectors) and {len(ids)} (word pieces), each once:")
    print(f"  distinct {len(set(texts))} and {len({tuple(each) for each in ids})}")
    print(
        f"our rate over the encoder's raw rate: {raw[0] / ours[0]:.2f} by the clock, "
        f"{raw[1] / ours[1]:.2f} by CPU time"
    )
    rate = ONE_BY_ONE / single[0]
    print(f"one by one: {rate:.0f} cases/s; together over one by one: {CASES / ours[0] / rate:.2f}")


if __name__ == "__main__":
    main()
