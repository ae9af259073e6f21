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
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.questions.scoring import Record, load_questions
from pytest_llmops.bounds import holds, parse_bound
from pytest_llmops.records import Bound, Output, Passage, Sample, Score, ToolCall
from pytest_llmops.registry import create_metric
from pytest_llmops.statistics.intervals import wilson_interval
from reference_app.documents.knowledge import load_knowledge

ROOT = Path(__file__).parents[1]
SUPPORTED = 0.8  # of MTRAG's labels, a mean of people's marks
SHARES = Path(__file__).parent / "falsehoods"
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


def find(
    name: str, bound: Bound, items: list[Record], *, reference: bool
) -> Mapping[str, list[tuple[bool, str]]]:
    """Of the wrong and the right answers: whether the check fails, and why."""
    metric = create_metric(name, {})
    questions = {each["id"]: each for each in load_questions()}
    found: defaultdict[str, list[tuple[bool, str]]] = defaultdict(list)
    for which in ("wrong", "right"):
        samples = [make_sample(questions[each["id"]], each[which], reference=reference) for each in items]
        for result in metric.score(samples):
            missed = not isinstance(result, Score) or not holds(result.value, bound)
            found[which].append((missed, result.reason if isinstance(result, Score) else result.error))
    return found


def make_sample(question: Record, text: str, *, reference: bool) -> Sample:
    expected = question["expected"]
    documents = {each.partition("#")[0] for each in expected.get("relevant") or []}
    passages = tuple(
        Passage(id=each.id, text=each.text) for each in SECTIONS if each.id.partition("#")[0] in documents
    )
    return Sample(
        output=Output(text=text, passages=passages, tool_calls=tuple(make_calls(expected))),
        input=question["input"],
        reference=expected["reference"] if reference else None,
    )


def make_calls(expected: Record) -> Iterator[ToolCall]:
    for call in expected.get("tools") or []:
        result: Any = expected.get("result")
        if isinstance(result, list):
            result = {"quantity": result[0][0]}
        yield ToolCall(name=call["name"], arguments=call["arguments"], result=result)
    if rows := expected.get("sql_result"):
        columns = [f"column {at}" for at in range(len(rows[0]))]
        yield ToolCall(name="query_shop", result={"columns": columns, "rows": rows})


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


SECTIONS = load_knowledge(ROOT / "reference_app" / "knowledge")

if __name__ == "__main__":
    main()
