"""
What `supported` and `facts` find of lies by kind, and what they report of right answers, with Wilson's intervals.

Usage: python -m benchmarks.lies [--misses] [--all]; `--all` adds the labelled sets and their mutants.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.lies.items import Item, list_falsehoods, list_written
from benchmarks.lies.training import as_sample, list_items
from pytest_llmops.records import Score
from pytest_llmops.registry import create_metric
from pytest_llmops.statistics.intervals import wilson_interval

BOUNDS = {"supported": 0.5, "facts": 1.0}


def report(items: Sequence[Item], metric: str, *, misses: bool) -> list[tuple[bool, Item]]:
    """Return each answer with whether the metric reports it; errors count as reported, and are named."""
    results = create_metric(metric, {"against": ["passages"]}).score([as_sample(item) for item in items])
    reported = []
    for item, result in zip(items, results, strict=True):
        red = not isinstance(result, Score) or result.value < BOUNDS[metric]
        if not isinstance(result, Score):
            print(f"cannot be read: {item.source} {item.text[:60]!r}: {result.error}")
        elif misses and red == item.supported and item.half == "dev":
            print(f"{item.source} {item.kind} {result.value:.2f} {item.text!r}\n    {result.reason}")
        reported.append((red, item))
    return reported


def main() -> None:
    items = [*list_written(), *list_falsehoods()]
    if "--all" in sys.argv:
        items = [*(item for item in items if item.source.startswith("written-")), *list_items()]
    tables: dict[tuple[str, str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    for metric in ("supported", "facts"):
        counts: dict[tuple[str, str, str], list[bool]] = defaultdict(list)
        for red, item in report(items, metric, misses="--misses" in sys.argv and metric == "supported"):
            counts[item.source, item.half, item.kind].append(red)
            if not item.supported:
                counts[item.source, item.half, "all lies"].append(red)
        for key, reds in counts.items():
            tables[key][metric] = (sum(reds), len(reds))
    for (source, half, kind), columns in sorted(tables.items()):
        cells = []
        for metric in ("supported", "facts"):
            count, of = columns[metric]
            low, high = wilson_interval(count / of, of)
            cells.append(f"{count} of {of}: {count / of:.2f} ({low:.2f} to {high:.2f})")
        print(f"| {source} | {half} | {kind} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
