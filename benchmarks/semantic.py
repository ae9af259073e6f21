"""
The semantic metric over 1,000 texts beside the encoder called directly with as many of the same kind, and the
memory that it holds over 20,000 short texts.

Prints texts a second and the ratio, by the clock and by CPU time; the goal is 0.9 or more. Then resident
memory, which must stay flat.
Usage: python benchmarks/semantic.py [FILE]; the file has a text a line, without it texts are made of words.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from statistics import median

from pytest_llmops.models.encoders import load_encoder
from pytest_llmops.protocols import Metric
from pytest_llmops.records import Output, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.scoring import Scorer

WORDS = ("returns", "boots", "tent", "delivery", "refund", "stove", "repair", "seam", "jacket", "warranty")


def texts(seed: int, count: int, most: int = 60) -> list[str]:
    draw = random.Random(seed)  # noqa: S311 - texts, not secrets
    return [" ".join(draw.choices(WORDS, k=draw.randint(6, most))) for _ in range(count)]


def metric_s(metric: Metric, answers: list[str], references: list[str]) -> tuple[float, float]:
    """As the runner does it: one sample a case, batches as they form. Seconds by the clock and of CPU."""
    scorer = Scorer()
    started = now()
    jobs = [
        scorer.submit(metric, [Sample(output=Output(text=answer), reference=reference)])
        for answer, reference in zip(answers, references, strict=True)
    ]
    results = [job.result()[0] for job in jobs]
    elapsed = since(started)
    scorer.close()
    if not all(isinstance(result, Score) for result in results):
        raise SystemExit(results[0])
    return elapsed


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def since(started: tuple[float, float]) -> tuple[float, float]:
    return time.perf_counter() - started[0], time.process_time() - started[1]


def measure_rate(pool: list[str]) -> None:
    """In turns, each round with texts that nobody has seen."""
    encoder = load_encoder()
    encoder.encode(texts(0, 32))
    ratios, cpu_ratios = [], []
    rounds = min(3, len(pool) // 2_000)
    for number in range(rounds):
        direct, ours_first, ours_second = (
            pool[start : start + count]
            for start, count in (
                (number * 2_000, 1_000),
                (number * 2_000 + 1_000, 500),
                (number * 2_000 + 1_500, 500),
            )
        )
        started = now()
        encoder.encode(direct)
        raw, raw_cpu = since(started)
        ours, ours_cpu = metric_s(create_metric("semantic"), ours_first, ours_second)
        ratios.append(raw / ours)
        cpu_ratios.append(raw_cpu / ours_cpu)
        print(f"encoder {1000 / raw:6.0f} texts/s, semantic {1000 / ours:6.0f} texts/s", end=", ")
        print(f"ratio {raw / ours:.2f}, by CPU {raw_cpu / ours_cpu:.2f}")
    print(f"median ratio {median(ratios):.2f}, by CPU {median(cpu_ratios):.2f} (goal 0.9)")


def measure_memory() -> None:
    metric = create_metric("semantic")
    for number in range(10):
        metric_s(metric, texts(1_000 + number, 1_000, 12), texts(2_000 + number, 1_000, 12))
        print(f"{(number + 1) * 2_000:6} texts: {resident_mb():.0f} MB resident")


def resident_mb() -> float:
    """Of this process, as Linux tells it."""
    line = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1024


def main(path: str | None = None) -> None:
    pool = texts(1, 6_000)
    if path:
        pool = sorted({line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()} - {""})
        random.Random(0).shuffle(pool)  # noqa: S311 - texts, not secrets
    measure_rate(pool)
    measure_memory()


if __name__ == "__main__":
    main(*sys.argv[1:])
