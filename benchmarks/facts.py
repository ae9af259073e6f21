"""
What `facts` and `faithfulness` find of planted falsehoods, and what they report of right answers.

`falsehoods/first.yaml` and `second.yaml`: the rules were made on these; `last.yaml` was written when they
were fixed. An answer is compared with the sections of the documents that the question is about, results of
tools, and the reference or not. With `--labels`, also the labelled sets (see agreement/labels.py), on which
the rules were tried too. Intervals are Wilson's. Usage: python benchmarks/facts.py [--misses] [--labels]
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.falsehoods.finding import SHARES, find
from benchmarks.questions.scoring import Record
from pytest_llmops.bounds import parse_bound
from pytest_llmops.records import Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.statistics.intervals import wilson_interval

SUPPORTED = 0.8  # of MTRAG's labels, a mean of people's marks
CHECKS = (
    ("facts", ">= 1"),
    ("faithfulness", ">= 0.5"),
    ("faithfulness", ">= 0.7"),
    ("faithfulness", ">= 0.9"),
)


def main() -> None:
    misses = "--misses" in sys.argv
    table = Table("share", "compared with", "check", "falsehoods found", "right answers reported")
    for share in ("first", "second", "last"):
        path = SHARES / f"{share}.yaml"
        items = yaml.safe_load(path.read_text(encoding="utf-8"))
        for reference in (True, False):
            for name, written in CHECKS:
                bound = parse_bound(written)
                assert bound is not None  # noqa: S101 - written above
                found = find(name, bound, items, reference=reference)
                sources = "sources and reference" if reference else "sources"
                table.add_row(share, sources, f"{name} {written}", show(found["wrong"]), show(found["right"]))
                if misses and name == "facts":
                    print(f"\n{share}, {sources}")
                    print_misses(items, found)
                if name == "facts":
                    print(share, sources, by_kind(items, found["wrong"]))
    console = Console(width=110)
    console.print(table)
    if "--labels" in sys.argv:
        console.print(make_labelled())


def make_labelled() -> Table:
    """What `facts` reports of outputs that people labelled, and of sentences with one fact changed."""
    from benchmarks.agreement.alterations import altered_sentences
    from benchmarks.agreement.labels import faithfulness_sets

    table = Table("set", "outputs", "reported by facts")
    groups: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
    for name, rows in faithfulness_sets().items():
        if name in {"BEGIN", "SciFact", "MTRAG"}:
            for row in rows:
                alone = replace(row.sample, reference=None)
                groups[name, "supported" if row.label >= SUPPORTED else "not supported"].append(alone)
    for row in altered_sentences():
        groups["XQuAD, one fact changed", row.kind].append(row.sample)
    metric = create_metric("facts", {})
    for (name, kind), samples in groups.items():
        scored = [each for each in metric.score(samples) if isinstance(each, Score)]
        table.add_row(name, kind, show([(each.value < 1, "") for each in scored]))
    return table


def print_misses(items: list[Record], found: Mapping[str, list[tuple[bool, str]]]) -> None:
    for item, (missed, _) in zip(items, found["wrong"], strict=True):
        if not missed:
            print(f"not found: {item['id']} {item['kind']}: {item['wrong']}")
    for item, (missed, reason) in zip(items, found["right"], strict=True):
        if missed:
            print(f"reported:  {item['id']}: {item['right']} ({reason})")


def by_kind(items: list[Record], found: list[tuple[bool, str]]) -> str:
    counts: defaultdict[str, list[bool]] = defaultdict(list)
    for item, (missed, _) in zip(items, found, strict=True):
        counts[item["kind"]].append(missed)
    return ", ".join(f"{kind} {sum(each)}/{len(each)}" for kind, each in sorted(counts.items()))


def show(found: list[tuple[bool, str]]) -> str:
    count, of = sum(missed for missed, _ in found), len(found)
    low, high = wilson_interval(count / of, of)
    return f"{count}/{of} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
