"""
What `supported` and `answers` say of turned and faithful sentences, opposite verdicts and refusals by hand.

Usage: python -m benchmarks.lies.pairs [--misses]. Intervals are Wilson's.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pytest_llmops.metrics.language import detect_language
from pytest_llmops.records import Output, Passage, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.statistics.intervals import wilson_interval

_HERE = Path(__file__).parent
_BOUNDS = {"supported": 0.5, "answers": 1.0}


def list_samples() -> Iterator[tuple[str, str, Sample]]:
    """Yield each text with its metric and what it is."""
    for row in _read("turned"):
        for kind in ("faithful", "turned"):
            for text in row[kind]:
                passages = (Passage(id="source", text=row["source"]),)
                yield "supported", kind, Sample(output=Output(text=text, passages=passages))
    rows = _read("answers")
    for row in rows["verdicts"]:
        for kind in ("right", "opposite"):
            yield "answers", f"{kind} verdict", _as_sample(row, row[kind])
    for kind, name in (("refused", "refusals"), ("answers", "answers")):
        for row in rows[name]:
            for text in row[kind]:
                yield "answers", "refusal" if kind == "refused" else "answer like one", _as_sample(row, text)


def main() -> None:
    counts: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for metric, kind, sample in list_samples():
        (result,) = create_metric(metric, {}).score([sample])
        value = result.value if isinstance(result, Score) else -1.0
        source = sample.reference or sample.output.passages[0].text  # type: ignore[index]  # either has it
        for group in ("all", detect_language(source) or "en"):
            counts[metric, kind, group].append(value)
        is_good = kind in {"faithful", "right verdict", "answer like one"}
        if "--misses" in sys.argv and is_good != (value >= _BOUNDS[metric]):
            print(f"{metric} {kind} {value:.2f}: {sample.output.text!r}; {source!r}")
    print("| metric | texts | | reported | half a point |\n|---|---|---|---|---|")
    for (metric, kind, group), values in sorted(counts.items()):
        half = sum(value == 0.5 for value in values) if metric == "answers" else 0
        count, of = sum(value < _BOUNDS[metric] for value in values) - half, len(values)
        low, high = wilson_interval(count / of, of)
        cell = f"{count} of {of}: {count / of:.2f} ({low:.2f} to {high:.2f})"
        print(f"| `{metric}` | {kind} | {group} | {cell} | {half} |")


def _as_sample(row: Any, text: str) -> Sample:
    return Sample(output=Output(text=text), input=row["question"], reference=row["reference"])


def _read(name: str) -> Any:
    return yaml.safe_load((_HERE / f"{name}.yaml").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
