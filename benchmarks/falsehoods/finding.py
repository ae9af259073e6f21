"""What a check reports of planted falsehoods and of right answers, given the documents and tools' results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.questions.figures import Share
from benchmarks.questions.scoring import Record, load_questions
from pytest_llmops.bounds import holds
from pytest_llmops.records import Bound, Failure, Output, Passage, Sample, Score, ToolCall
from pytest_llmops.registry import create_metric
from reference_app.documents.knowledge import load_knowledge

SHARES = Path(__file__).parent
SECTIONS = load_knowledge(SHARES.parents[1] / "reference_app" / "knowledge")


def list_facts_shares() -> Iterator[Share]:
    """What `facts` finds and reports of the share that no rule was made on, with sources and reference."""
    items = yaml.safe_load((SHARES / "last.yaml").read_text(encoding="utf-8"))
    found = find("facts", Bound(comparison=">=", threshold=1.0), items, reference=True)
    for which, name, limit in (
        ("wrong", "planted falsehoods that `facts` finds", 0.85),
        ("right", "right answers that `facts` reports", 0.05),
    ):
        yield Share(
            name=name,
            count=sum(missed for missed, _ in found[which]),
            of=len(found[which]),
            floor=limit,
            fewer_is_better=which == "right",
        )


def find(
    name: str, bound: Bound, items: list[Record], *, reference: bool
) -> Mapping[str, list[tuple[bool, str]]]:
    """Of the wrong and the right answers: whether the check fails, and why."""
    metric = create_metric(name, {})
    questions = {question["id"]: question for question in load_questions()}
    found: defaultdict[str, list[tuple[bool, str]]] = defaultdict(list)
    for which in ("wrong", "right"):
        samples = [make_sample(questions[item["id"]], item[which], reference=reference) for item in items]
        for result in metric.score(samples):
            idle = isinstance(result, Failure) and result.stage == "inapplicable"  # not reported either
            missed = not idle and (not isinstance(result, Score) or not holds(result.value, bound))
            found[which].append((missed, result.reason if isinstance(result, Score) else result.error))
    return found


def make_sample(question: Record, text: str, *, reference: bool) -> Sample:
    expected = question["expected"]
    documents = {each.partition("#")[0] for each in expected.get("relevant") or []}
    passages = tuple(
        Passage(id=section.id, text=section.text)
        for section in SECTIONS
        if section.id.partition("#")[0] in documents
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
