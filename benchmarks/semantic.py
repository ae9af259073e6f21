"""
The semantic metric over 1,000 texts beside the encoder called directly with the same texts.

Prints texts a second and the ratio; the goal is 0.9 or more. Usage: python benchmarks/semantic.py
"""

from __future__ import annotations

import random
import time

from pytest_llmops.models.encoder import load_encoder
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Output, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.scoring import Scorer

WORDS = ("returns", "boots", "tent", "delivery", "refund", "stove", "repair", "seam", "jacket", "warranty")


def texts(seed: int, count: int) -> list[str]:
    draw = random.Random(seed)  # noqa: S311 - texts, not secrets
    return [" ".join(draw.choices(WORDS, k=draw.randint(6, 60))) for _ in range(count)]


def metric_s(metric: Metric, answers: list[str], references: list[str]) -> float:
    """As the runner does it: one sample a case, batches as they form."""
    scorer = Scorer()
    started = time.perf_counter()
    jobs = [
        scorer.submit(metric, [Sample(output=Output(text=answer), reference=reference)])
        for answer, reference in zip(answers, references, strict=True)
    ]
    results = [job.result()[0] for job in jobs]
    elapsed = time.perf_counter() - started
    if not all(isinstance(result, Score) for result in results):
        raise SystemExit(results[0])
    return elapsed


def main() -> None:
    encoder = load_encoder()
    encoder.encode(texts(0, 32))
    ratios = []
    for seed in range(1, 4):
        answers, references = texts(seed, 500), texts(seed + 100, 500)
        raw_started = time.perf_counter()
        encoder.encode([*texts(seed + 200, 500), *texts(seed + 300, 500)])
        raw = time.perf_counter() - raw_started
        ours = metric_s(create_metric("semantic"), answers, references)
        ratios.append(raw / ours)
        print(
            f"encoder {1000 / raw:6.0f} texts/s, semantic {1000 / ours:6.0f} texts/s, ratio {raw / ours:.2f}"
        )
    print(f"median ratio {sorted(ratios)[1]:.2f} (goal 0.9)")


if __name__ == "__main__":
    main()
