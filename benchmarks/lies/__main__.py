"""
What `supported` and `facts` find of lies by kind, and what they report of right answers.

Usage: python -m benchmarks.lies [--misses] [--all]; `--all` adds the held halves of labelled sets and of
their mutants. Intervals are Wilson's.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.lies.items import Item, list_falsehoods, list_written
from benchmarks.lies.training import as_sample, list_items
from pytest_llmops.records import Failure, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.statistics.intervals import wilson_interval

BOUNDS = {"supported": 0.5, "facts": 1.0}


def report(items: Sequence[Item], metric: str, *, misses: bool) -> list[tuple[bool, Item]]:
    """Return each answer with whether the metric reports it; errors count as reported, and are named."""
    results = create_metric(metric, {"against": ["passages"]}).score([as_sample(item) for item in items])
    reported = []
    for item, result in zip(items, results, strict=True):
        idle = isinstance(result, Failure) and result.stage == "inapplicable"  # undecided, so not reported
        red = not idle and (not isinstance(result, Score) or result.value < BOUNDS[metric])
        if not isinstance(result, Score) and not idle:
            print(f"cannot be read: {item.source} {item.text[:60]!r}: {result.error}")
        elif misses and red == item.supported and item.half == "dev":
            print(f"{item.source} {item.kind} {result.value:.2f} {item.text!r}\n    {result.reason}")
        reported.append((red, item))
    return reported


def main() -> None:
    written = [*list_written(), *list_falsehoods()]
    labelled = []
    if "--all" in sys.argv:
        shown = {item.source for item in written} | {
            f"mutant-{source}" for source in ("written", "falsehoods")
        }
        labelled = [item for item in list_items() if item.half == "held" and item.source not in shown]
    tables: dict[tuple[str, str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
    for metric, items in (("supported", [*written, *labelled]), ("facts", written)):
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
            if metric not in columns:
                continue
            count, of = columns[metric]
            low, high = wilson_interval(count / of, of)
            cells.append(f"{count} of {of}: {count / of:.2f} ({low:.2f} to {high:.2f})")
        print(f"| {source} | {half} | {kind} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
