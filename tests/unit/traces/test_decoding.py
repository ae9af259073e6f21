"""OTLP requests, LangSmith runs and our own lines become spans, with every text that they hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pytest_llmops.detect.texts import walk
from pytest_llmops.records import Span
from pytest_llmops.traces.decoding.documents import read_documents, read_spans
from pytest_llmops.traces.decoding.langsmith import RunPart, Runs, read_batch, read_multipart
from pytest_llmops.traces.decoding.otlp import read_otlp, read_protobuf
from pytest_llmops.traces.decoding.values import DecodingError, parse_body
from pytest_llmops.traces.opentelemetry import read_otel_span

TRACE, SPAN, RUN = (
    "0af7651916cd43dd8448eb211c80319c",
    "b7ad6b7169203331",
    "018f2f5e-0000-7000-8000-00000000000a",
)


def texts_of(spans: list[Span]) -> set[str]:
    return {text.text for span in spans for text in walk(span)}


def request(**fields: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": SPAN, "traceId": TRACE, **fields}]}]}]}


def finished_span() -> Any:
    exported = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "shop", "port": 80}))
    provider.add_span_processor(SimpleSpanProcessor(exported))
    tracer = provider.get_tracer("own", "1", attributes={"of": "scope"})
    linked = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    attributes = {"gen_ai.operation.name": "chat", "list": ("a", "b"), "n": 3, "part": 0.5, "yes": True}
    with tracer.start_as_current_span(
        "ask", attributes=attributes, links=[trace.Link(linked, {"why": "w"})]
    ) as span:
        span.add_event("seen", {"by": "ann"})
        span.set_status(trace.StatusCode.ERROR, "broken")
    return exported.get_finished_spans()[0]


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_what_the_exporter_sends_is_the_span_that_it_was(form):
    from google.protobuf.json_format import MessageToJson

    span = finished_span()
    message = encode_spans([span])
    body = message.SerializeToString() if form == "protobuf" else MessageToJson(message)
    read = list(read_otlp(read_protobuf(body, "traces") if form == "protobuf" else json.loads(body)))
    expected = read_otel_span(span)
    for name in ("span_id", "trace_id", "parent_id", "name", "kind", "start", "end", "status", "events"):
        assert getattr(read[0], name) == getattr(expected, name), name
    assert read[0].origin == "otlp"
    assert dict(read[0].attributes) == {**expected.attributes, "list": ["a", "b"]}
    assert read[0].resource["service.name"] == "shop"
    assert read[0].resource["scope"]["of"] == "scope"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"stringValue": "s"}, "s"),
        ({"intValue": "7"}, 7),
        ({"intValue": "seven"}, "seven"),
        ({"boolValue": True}, True),
        ({"bytesValue": "aGk="}, b"hi"),
        ({"bytesValue": "no base64"}, "no base64"),
        ({"arrayValue": {"values": [{"stringValue": "a"}, "b"]}}, ["a", "b"]),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}, {"k": 1}),
        ({"kvlistValue": {"values": [{"kex": "k"}]}}, [{"kex": "k"}]),
        ({"newValue": "x"}, {"newValue": "x"}),
        ({"stringValue": "a", "intValue": "1"}, {"stringValue": "a", "intValue": "1"}),
        ("bare", "bare"),
        ({}, None),
    ],
)
def test_values_of_attributes(value, read):
    (span,) = read_otlp(request(attributes=[{"key": "a", "value": value}]))
    assert span.attributes == {"a": read}


LOST = "ann@example.com"


@pytest.mark.parametrize(
    "body",
    [
        request(attributes=[{"key": "a", "value": {"stringValue": LOST}}, {"key": "a", "value": None}]),
        request(attributes=[{"key": "a", "value": {"stringValue": "x"}, "more": LOST}]),
        request(attributes=[LOST]),
        request(attributes={"a": LOST}),
        request(attributes=LOST),
        request(events=LOST),
        request(events=[{"name": "e", "attributes": LOST, "timeUnixNano": LOST}]),
        request(links=[{"spanId": LOST}]),
        request(traceState=f"a={LOST}"),
        request(name={"not": LOST}),
        request(kind=LOST),
        request(startTimeUnixNano=LOST),
        request(status={"code": 2, "message": LOST}),
        request(status={"code": LOST}),
        request(status={"other": LOST}),
        request(spanId=LOST),
        request(flags=LOST),
        request(unknown=LOST),
        {"resourceSpans": [{"resource": {"attributes": [{"key": LOST}]}, "scopeSpans": [{"spans": [{}]}]}]},
        {"resourceSpans": [{"scopeSpans": [{"scope": {"name": LOST}, "spans": [{}]}]}]},
        {"resourceSpans": [{"scopeSpans": LOST}]},
        {"resourceSpans": [{"schemaUrl": LOST, "scopeSpans": [{"spans": [{}]}]}]},
        {"resourceSpans": LOST},
        {"resourceSpans": [], "more": LOST},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": LOST}}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityText": LOST}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": LOST}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [LOST]}]}]},
    ],
)  # fmt: skip
def test_no_text_of_an_otlp_request_is_dropped(body):
    assert any(LOST in text for text in texts_of(list(read_otlp(body))))


def test_a_key_that_stands_twice_keeps_both_values():
    assert parse_body('{"a": 1, "a": 2, "a": 3}') == {"a": 3, "a (1)": 1, "a (2)": 2}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["attributes", "events", "links", "name", "kind", "status", "spanId", "traceState"])
RUN_FIELDS = st.sampled_from(
    ["id", "inputs", "events", "name", "run_type", "start_time", "dotted_order", "error"]
)


@given(st.dictionaries(FIELDS, JSON))
def test_no_otlp_request_crashes_the_reader(fields):
    for body in (request(**fields), {"resourceLogs": [{"scopeLogs": [{"logRecords": [fields]}]}]}, fields):
        assert all(isinstance(span, Span) for span in read_otlp(body))


@given(st.dictionaries(RUN_FIELDS, JSON), st.dictionaries(RUN_FIELDS, JSON))
def test_no_run_crashes_the_reader(post, patch):
    runs = Runs()
    for part in read_batch({"post": [post], "patch": [{**patch, "id": post.get("id")}]}):
        assert runs.add(part).origin == "langsmith"


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": {"q": LOST}}, {"outputs": {"a": LOST}}, {"error": LOST}, {"tags": [LOST]}, {"name": LOST},
        {"extra": {"metadata": {"who": LOST}}}, {"serialized": {"kwargs": LOST}}, {"status": LOST},
        {"events": [{"name": "new_token", "kwargs": {"token": LOST}}]}, {"events": LOST},
        {"run_type": LOST}, {"start_time": LOST}, {"dotted_order": LOST}, {"trace_id": LOST},
        {"session_id": LOST}, {"unknown": LOST}, {"attachments": {"a": LOST}},
    ],
)  # fmt: skip
def test_no_text_of_a_run_is_dropped(fields):
    for operation in ("post", "patch"):
        (part,) = read_batch({operation: [{"id": RUN, **fields}]})
        assert any(LOST in text for text in texts_of([Runs().add(part)]))


def test_a_patch_is_merged_into_its_run_whichever_comes_first():
    post = {
        "id": RUN,
        "run_type": "tool",
        "name": "look",
        "inputs": {"q": "old"},
        "start_time": 1700000000000,
    }
    patch = {
        "id": RUN,
        "inputs": {"q": "new"},
        "outputs": {"a": 1},
        "end_time": "2023-11-14T22:13:21Z",
        "error": None,
    }
    for order in (("post", "patch"), ("patch", "post")):
        runs = Runs()
        parts = {"post": RunPart("post", post), "patch": RunPart("patch", patch)}
        _, span = [runs.add(parts[operation]) for operation in order]
        assert (span.kind, span.name, span.start, span.end) == ("tool", "look", 1700000000.0, 1700000001.0)
        assert span.attributes["inputs"] == {"q": "new"}
        assert span.attributes["outputs"] == {"a": 1}
        assert {"old", "new"} <= texts_of([span])
        assert span.span_id == RUN.replace("-", "")


def test_ids_and_times_of_a_run_are_no_texts():
    run = {"id": RUN, "trace_id": RUN, "parent_run_id": RUN, "session_id": RUN, "child_run_ids": [RUN, RUN],
           "dotted_order": f"20240101T000000000000Z{RUN}.20240101T000000000001Z{RUN}",
           "start_time": "2024-01-01T00:00:00+00:00", "name": "n", "run_type": "llm"}  # fmt: skip
    (span,) = read_spans([run])
    assert texts_of([span]) == {"n", "llm", "unset"}


def multipart(*parts: tuple[str, bytes]) -> bytes:
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + content + b"\r\n"
        for name, content in parts
    )
    return body + b"--b--\r\n"


def test_a_multipart_body_is_its_runs():
    body = multipart(
        (f"post.{RUN}", json.dumps({"name": "look", "trace_id": RUN}).encode()),
        (f"post.{RUN}.inputs", b'{"q": 1}'),
        (f"post.{RUN}.error", b'"broken"'),
        (f"attachment.{RUN}.note", b"seen\r\nby ann\xff"),
        ("feedback.f", json.dumps({"run_id": RUN, "comment": "good"}).encode()),
        ("odd", b"text of nobody"),
    )
    parts = read_multipart("multipart/form-data; boundary=b", body)
    assert [part.operation for part in parts] == ["post", "feedback", "patch"]
    run, feedback, odd = map(Runs().add, parts)
    assert run.attributes["inputs"] == {"q": 1}
    assert run.attributes["attachments"] == {"note": "seen\r\nby ann�"}
    assert run.status == "error: broken"
    assert (feedback.parent_id, feedback.attributes["comment"]) == (run.span_id, "good")
    assert odd.attributes["odd"] == "text of nobody"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", multipart(("post.x", b"{}"))[:-8]),
        ("multipart/form-data; boundary=b", multipart(("post.x", b"no JSON"))),
        ("multipart/form-data; boundary=b", b"lost text" + multipart(("post.x", b"{}"))),
        ("multipart/form-data; boundary=b", b"--b\r\nno name\r\n\r\n{}\r\n--b--\r\n"),
    ],
)
def test_a_broken_multipart_body_is_refused(content_type, body):
    with pytest.raises(DecodingError):
        read_multipart(content_type, body)


OWN = {"span_id": SPAN, "parent_id": None, "name": "own", "kind": "tool", "start": 1, "end": 2.5,
       "attributes": {"a": 1}, "events": [{"name": "e", "attributes": {}}], "status": "ok"}  # fmt: skip
LANGSMITH = {"id": RUN, "name": "run", "run_type": "chain", "child_runs": [
    {"id": "018f2f5e-0000-7000-8000-00000000000b", "name": "child", "run_type": "tool"}]}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (json.dumps(request(name="a")), ["a"]),
        ("\n".join(json.dumps(request(name=name)) for name in "ab"), ["a", "b"]),
        (json.dumps([LANGSMITH]), ["run", "child"]),
        (json.dumps({"runs": [LANGSMITH]}), ["run", "child"]),
        (json.dumps({"post": [LANGSMITH], "patch": []}), ["run"]),
        (json.dumps(OWN) + "\n" + json.dumps({**OWN, "name": "two"}), ["own", "two"]),
    ],
)
def test_documents_of_each_format(text, names):
    assert [span.name for span in read_spans(read_documents(text))] == names


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"neither": 1}', "3", "{}\n{"])
def test_what_is_no_trace_is_refused(text):
    with pytest.raises(DecodingError):
        list(read_spans(read_documents(text)))


@given(st.dictionaries(st.sampled_from([*OWN]), JSON))
def test_no_own_span_crashes_the_reader(fields):
    (span,) = read_spans([{"span_id": "a", "name": "b", **fields}])
    assert isinstance(span.name, str)
