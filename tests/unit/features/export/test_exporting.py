"""What is exported of an output has the form that the app's own trace had."""

from __future__ import annotations

from types import SimpleNamespace

from pytest_llmops.features.export.exporter import mask_output
from pytest_llmops.features.export.langsmith import LangSmithEndpoint
from pytest_llmops.records import ScoredOutput, Span


def span(name: str, number: int, parent: int | None, start: float, end: float) -> Span:
    parent_id = None if parent is None else str(parent) * 16
    return Span(
        span_id=str(number) * 16, parent_id=parent_id, name=name, start=start, end=end, trace_id="a" * 32
    )


def test_runs_of_langsmith_are_below_those_that_they_were_below():
    spans = [span("inner", 3, 2, 2, 3), span("outer", 2, 1, 2, 4), span("app", 1, None, 1, 5)]
    printed = [Span(span_id="", parent_id=None, name=name) for name in ("stdout", "stderr")]
    runs = []
    client = SimpleNamespace(create_run=lambda **run: runs.append(run))
    output = ScoredOutput(case="a", repeat=0, input="q", text="t", spans=[*spans, *printed], judged=[])

    LangSmithEndpoint(client).send([mask_output(output)])

    assert len({run["id"] for run in runs}) == len(runs)
    names = {run["id"]: run["name"] for run in runs}
    below = {run["name"]: names.get(run["parent_run_id"]) for run in runs}
    assert below == {
        "llmops.case": None,
        "app": "llmops.case",
        "outer": "app",
        "inner": "outer",
        "stdout": "llmops.case",
        "stderr": "llmops.case",
    }
    assert [run["dotted_order"].count(".") for run in runs if run["name"] == "inner"] == [3]
    assert {run["start_time"].timestamp() for run in runs if run["name"] == "stdout"} == {1}
