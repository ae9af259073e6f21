"""Passages and tool calls of an app that returns a plain string, read from its spans."""

from __future__ import annotations

import json

import pytest

from pytest_llmops import Output, load_golden, run_golden
from pytest_llmops.records import Passage, Span, ToolCall
from pytest_llmops.settings import Settings
from pytest_llmops.traces.reading import passages_of, tool_calls_of


def span(start: float = 0.0, **attributes: object) -> Span:
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    return Span(span_id=str(start), parent_id=None, name="x", start=start, attributes=named)


OPEN_INFERENCE = {
    "retrieval__documents__1__document__id": "second",
    "retrieval__documents__0__document__id": "first",
    "retrieval__documents__0__document__content": "text",
    "retrieval__documents__0__document__score": 0.9,
}


@pytest.mark.parametrize(
    ("spans", "passages"),
    [
        ([], None),
        ([span(other="x")], None),
        ([span(**OPEN_INFERENCE)], (Passage(id="first", text="text", score=0.9), Passage(id="second"))),
        (
            [span(gen_ai__retrieval__documents=json.dumps([{"id": "a", "content": "A", "score": 1}, "b"]))],
            (Passage(id="a", text="A", score=1.0), Passage(id="b", text="b")),
        ),
        ([span(gen_ai__retrieval__documents="no JSON")], ()),
        (
            [
                span(2.0, gen_ai__retrieval__documents='[{"id": "last"}]'),
                span(1.0, gen_ai__retrieval__documents='[{"id": "first"}]'),
            ],
            (Passage(id="last"),),
        ),
    ],
)
def test_passages_are_those_of_the_last_retrieval(spans, passages):
    assert passages_of(spans) == passages


def test_tool_calls_stand_in_the_order_of_their_start():
    spans = [
        span(
            2.0,
            gen_ai__tool__name="refund",
            gen_ai__tool__call__arguments='{"id": 3}',
            gen_ai__tool__call__result='{"ok": true}',
        ),
        span(1.0, tool__name="look", tool__parameters="no JSON"),
        span(3.0, other="x"),
    ]
    assert tool_calls_of(spans) == (
        ToolCall(name="look"),
        ToolCall(name="refund", arguments={"id": 3}, result={"ok": True}),
    )


def test_recall_of_an_app_that_returns_a_string(tmp_path):
    from opentelemetry import trace

    def app(_: str) -> str:
        with trace.get_tracer("app").start_as_current_span("retrieve") as current:
            current.set_attribute("gen_ai.retrieval.documents", '[{"id": "a"}, {"id": "b"}]')
        return "an answer"

    path = tmp_path / "golden.yaml"
    path.write_text("version: 1\ncases: [{id: a, input: x, relevant: [b], checks: {recall@2: '>= 1'}}]\n")
    run = run_golden(load_golden(path, root=tmp_path), app, settings=Settings(root=tmp_path))
    output: Output = run.results[0].outputs[0]
    assert output.passages == (Passage(id="a"), Passage(id="b"))
    assert [(score.metric, score.value) for score in run.results[0].scores] == [("recall@2", 1.0)]
