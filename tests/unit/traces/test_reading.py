"""Passages and tool calls of an app that returns a plain string, read from its spans."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("name", "attributes", "called"),
    [
        ("MCP send tools/call look", {"mcp.method.name": "tools/call"}, ["look"]),  # the SDK's client
        ("tools/call look", {"mcp.method.name": "tools/call"}, ["look"]),  # the conventions
        ("tools/call look", {"mcp.method.name": "tools/call", "gen_ai.tool.name": "see"}, ["see"]),
        ("tools/call", {"mcp.method.name": "tools/call"}, []),
        ("MCP send tools/list", {"mcp.method.name": "tools/list"}, []),
        ("tools/call look", {}, []),
    ],
)
def test_an_mcp_call_is_a_tool_call(name, attributes, called):
    made = tool_calls_of([Span(span_id="1", parent_id=None, name=name, attributes=attributes)])
    assert [call.name for call in made] == called


NAMES = st.sampled_from([
    "gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.call.arguments", "tool.parameters", "input.value",
    "openinference.span.kind", "gen_ai.retrieval.documents", "retrieval.documents.0.document.score",
    "inputs", "outputs", "input", "output", "documents", "metadata", "kwargs", "id", "score",
])  # fmt: skip
LOOK = ToolCall(name="look", arguments={"q": "x"}, result={"n": 1})
SCHEMA = json.dumps({"type": "object", "properties": {"q": {"type": "string"}}})


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.tool.name": "look", "gen_ai.tool.call.arguments": {"q": "x"},
         "gen_ai.tool.call.result": {"n": 1}},
        {"gen_ai.tool.name": "look", "tool_arguments": '{"q": "x"}', "tool_response": '{"n": 1}'},
        {"openinference.span.kind": "TOOL", "tool.name": "look", "tool.parameters": SCHEMA,
         "input.value": '{"q": "x"}', "output.value": '{"n": 1}'},
        {"openinference.span.kind": "TOOL", "input.value": '{"q": "x"}', "output.value": '{"n": 1}'},
        {"tool.name": "look", "tool.parameters": '{"q": "x"}', "output.value": '{"n": 1}'},
    ],
)  # fmt: skip
def test_a_tool_call_by_whoevers_names(attributes):
    assert tool_calls_of([Span(span_id="a", parent_id=None, name="look", attributes=attributes)]) == (LOOK,)


def test_a_definition_of_a_tool_is_no_arguments():
    assert tool_calls_of([span(tool__name="look", tool__parameters=SCHEMA)]) == (ToolCall(name="look"),)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"q": "x"}, {"n": 1}),
        ({"input": "{'q': 'x'}"}, {"output": '{"n": 1}'}),
        ({"input": '{"q": "x"}'}, {"output": {"n": 1}}),
    ],
)
def test_a_run_of_langsmith_is_a_call(inputs, outputs):
    run = Span(span_id="a", parent_id=None, name="look", kind="tool", origin="langsmith",
               attributes={"inputs": inputs, "outputs": outputs})  # fmt: skip
    assert tool_calls_of([run]) == (LOOK,)


def tool(span_id: str, parent_id: str | None = None, origin: str = "otlp", **more: object) -> Span:
    attributes = {
        "gen_ai.tool.name": "look",
        **{name.replace("__", "."): value for name, value in more.items()},
    }
    return Span(span_id=span_id, parent_id=parent_id, name="look", kind="tool", origin=origin, trace_id="t",
                start=float(ord(span_id)), attributes=attributes)  # fmt: skip


BETWEEN = Span(span_id="b", parent_id="a", name="HTTP", trace_id="t")
ARGUMENTS = {"gen_ai__tool__call__arguments": '{"q": "x"}'}


@pytest.mark.parametrize(
    ("spans", "calls"),
    [
        ([tool("a", gen_ai__tool__call__id="1"), tool("b", gen_ai__tool__call__id="1", **ARGUMENTS)], 1),
        ([tool("a", gen_ai__tool__call__id="1"), tool("b", "a", gen_ai__tool__call__id="2")], 2),
        ([tool("a", **ARGUMENTS), BETWEEN, tool("c", "b")], 1),
        ([tool("a", **ARGUMENTS), tool("b", "a", gen_ai__tool__call__arguments='{"q": "y"}')], 2),
        ([tool("a"), tool("b")], 2),
        ([tool("a", "b"), tool("b", "a")], 1),
        ([tool("a", **ARGUMENTS), tool("b", origin="langsmith", inputs={"q": "x"})], 1),
        ([tool("a", **ARGUMENTS), tool("b", origin="langsmith", inputs={"q": "y"})], 2),
        (
            [
                tool("a", origin="langsmith", inputs={"q": "x"}),
                tool("b", origin="langsmith", inputs={"q": "x"}),
            ],
            2,
        ),
    ],
)
def test_spans_of_one_call_are_one(spans, calls):
    assert len(tool_calls_of(spans)) == calls


@pytest.mark.parametrize(
    "outputs",
    [
        {"documents": [{"page_content": "A", "metadata": {"id": "a"}}]},
        {"output": [{"page_content": "A", "metadata": {"source": "a"}, "type": "Document"}]},
        {"documents": [{"lc": 1, "type": "constructor", "kwargs": {"page_content": "A", "id": "a"}}]},
        [{"id": "a", "text": "A"}],
    ],
)
def test_documents_of_a_retriever_run(outputs):
    run = Span(span_id="a", parent_id=None, name="r", kind="retriever", origin="langsmith",
               attributes={"outputs": outputs})  # fmt: skip
    assert passages_of([run]) == (Passage(id="a", text="A"),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, JSON), st.sampled_from(["tool", "retriever", "llm"]), st.booleans())
def test_no_attributes_crash_the_reader(attributes, kind, is_run):
    spans = [
        Span(span_id=name, parent_id="a", name="x", kind=kind, attributes=attributes, trace_id="t",
             origin="langsmith" if is_run else "otlp")
        for name in "ab"
    ]  # fmt: skip
    assert passages_of(spans) is None or all(isinstance(each.text, str) for each in passages_of(spans))
    assert all(isinstance(call.name, str) for call in tool_calls_of(spans))


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
