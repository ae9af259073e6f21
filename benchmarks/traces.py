"""
What looking at all that leaves an app costs: capture beside an app's own time, and one large trace.

Prints the wall time of cases whose answer takes 200 ms, with and without 20 spans and a log line to look at,
beside the bare app; and CPU seconds for a trace of 3 MB and 1,000 spans.
Usage: python benchmarks/traces.py
"""

from __future__ import annotations

import asyncio
import logging
import random
import statistics
import tempfile
import time
from pathlib import Path

from opentelemetry import trace

from pytest_llmops import Output, load_golden, run_golden
from pytest_llmops.metrics.pii_leak import PiiLeak
from pytest_llmops.records import Sample, Span
from pytest_llmops.settings import Settings

CASES, ANSWER_S, SPANS, PAIRS = 100, 0.2, 20, 5
TRACER = trace.get_tracer("benchmark")
WORDS = [
    "the",
    "order",
    "boots",
    "arrive",
    "parcel",
    "window",
    "customer",
    "asks",
    "about",
    "returns",
    "within",
    "sixty",
    "days",
    "of",
    "delivery",
]


def say(source: random.Random, words: int) -> str:
    return " ".join(source.choices(WORDS, k=words))


async def silent(question: str) -> str:
    await asyncio.sleep(ANSWER_S)
    return question


async def traced(question: str) -> str:
    source = random.Random(question)  # noqa: S311 - an invented text
    for _ in range(SPANS):
        with TRACER.start_as_current_span("step") as span:
            span.set_attribute("gen_ai.input.messages", say(source, 40))
    logging.getLogger("shop").warning(say(source, 10))
    await asyncio.sleep(ANSWER_S)
    return question


def run_s(app: object, check: str, folder: Path) -> float:
    cases = "".join(f"  - {{id: c{number}, input: question {number}}}\n" for number in range(CASES))
    path = folder / "golden.yaml"
    path.write_text(f"checks: {{{check}}}\ncases:\n{cases}")
    golden = load_golden(path, root=folder)
    begun = time.perf_counter()
    run_golden(golden, app, settings=Settings(root=folder, concurrency=10))  # type: ignore[arg-type]
    return time.perf_counter() - begun


def large_trace() -> tuple[Span, ...]:
    source = random.Random(1)  # noqa: S311 - as above
    return tuple(
        Span(
            span_id=f"{number:016x}", parent_id=None, name=f"step {number}", origin="otlp",
            attributes={f"gen_ai.part.{part}": say(source, 60) for part in range(8)},
        )
        for number in range(1_000)
    )  # fmt: skip


def main() -> None:
    logging.getLogger("shop").addHandler(logging.NullHandler())
    logging.getLogger("shop").propagate = True
    own_s = CASES / 10 * ANSWER_S
    rows = {"silent app, no check": (silent, "keywords: {any: [question]}"),
            "silent app, pii_leak": (silent, "pii_leak: none"),
            "traced app, no check": (traced, "keywords: {any: [question]}"),
            "traced app, pii_leak": (traced, "pii_leak: none")}  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(PAIRS):
        for name, (app, check) in rows.items():
            with tempfile.TemporaryDirectory() as folder:
                times[name].append(run_s(app, check, Path(folder)))
    print(f"{CASES} cases of {ANSWER_S * 1000:.0f} ms, 10 at once: {own_s:.2f} s of waiting")
    for name, taken in times.items():
        print(f"  {name}: {statistics.median(taken):.2f} s ({statistics.median(taken) / own_s - 1:+.1%})")
    spans = large_trace()
    size = sum(len(str(value)) for span in spans for value in span.attributes.values())
    for state in ("first", "again, from memory"):
        begun = time.process_time()
        (score,) = PiiLeak().score([Sample(output=Output(text=""), spans=spans)])
        taken = time.process_time() - begun
        print(f"{len(spans):,} spans, {size / 1e6:.1f} MB, {state}: {taken:.2f} CPU-s, {score.value:g} found")


if __name__ == "__main__":
    main()
