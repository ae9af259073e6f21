"""The receiver: what exporters and LangSmith's client send reaches its case before they are answered."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import zstandard
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from pytest_llmops.features.receive import server
from pytest_llmops.features.receive import server as bodies
from pytest_llmops.features.receive.receiver import Receiver
from pytest_llmops.traces import capture
from tests.collector import Collector

RUN = "018f2f5e-0000-7000-8000-00000000000a"
SPANS = {"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "seen", "spanId": "b7ad6b7169203331"}]}]}]}
BODY = json.dumps(SPANS).encode()
JSON = {"Content-Type": "application/json"}


@contextmanager
def opened(*formats: str, forward: str = "refuse") -> Iterator[Receiver]:
    receiver = Receiver.open(formats, forward)
    try:
        yield receiver
    finally:
        receiver.close()


def post(
    receiver: Receiver, path: str, body: bytes, method: str = "POST", **headers: str
) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(receiver.server.url + path, body, {**JSON, **named}, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("compression", Compression)
def test_the_exporter_delivers_before_it_is_answered(compression):
    with opened("otlp") as receiver, capture.capture() as spans:
        exporter = OTLPSpanExporter(compression=compression)  # by the environment
        assert exporter._endpoint == f"{receiver.server.url}/v1/traces"
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("own").start_as_current_span("ask", attributes={"who": "ann"}):
            pass
        assert [(span.name, span.attributes) for span in spans] == [("ask", {"who": "ann"})]
        assert receiver.notes.received == 1
        assert list(receiver.notes.errors()) == []


def test_a_span_of_this_process_that_its_exporter_sends_too_is_one_span():
    from pytest_llmops.traces import opentelemetry

    opentelemetry.install()
    with opened("otlp") as receiver, capture.capture() as spans:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
        tracer = provider.get_tracer("own", attributes={"of": "scope"})
        with tracer.start_as_current_span(
            "outer", attributes={"n": 1, "list": ["a", "b"], "part": 0.5}
        ) as outer:
            with tracer.start_as_current_span("inner", links=[trace.Link(outer.get_span_context())]):
                pass
            outer.add_event("seen", {"by": "ann"})
        assert receiver.notes.received == 2
    assert [(span.name, span.origin) for span in spans] == [
        ("inner", "opentelemetry"),
        ("outer", "opentelemetry"),
    ]
    assert all(event["name"] != "as received" for span in spans for event in span.events)


@pytest.mark.parametrize("in_case", [True, False])
def test_what_the_exporter_sends_after_the_case_is_no_late_span(in_case):
    from pytest_llmops.traces import opentelemetry

    opentelemetry.install()
    strays = capture.watch_strays()
    with opened("otlp") as receiver:
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=60_000))
        tracer = provider.get_tracer("own")
        with capture.capture() if in_case else nullcontext(), tracer.start_as_current_span("ask"):
            pass
        provider.shutdown()
        assert receiver.notes.received == 1
    capture.unwatch(strays)
    assert (strays.late, strays.unattributed) == (0, 0)
    assert [span.name for span in strays.spans] == ([] if in_case else ["ask"])


def test_what_only_the_received_span_says_is_kept():
    with opened("otlp") as receiver, capture.capture() as spans:
        for value in ("first", "ann@example.com"):
            attributes = [{"key": "a", "value": {"stringValue": value}}]
            span = {"name": "x", "spanId": "b7ad6b7169203331", "traceId": "ab" * 16, "attributes": attributes}
            body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
            post(receiver, "/v1/traces", json.dumps(body).encode())
    (span,) = spans
    assert span.attributes == {"a": "first"}
    assert span.events[0] == {"name": "as received", "attributes": {"/attributes/a": "ann@example.com"}}


@pytest.mark.parametrize(
    ("path", "body", "headers", "names"),
    [
        ("/v1/traces", BODY, {}, ["seen"]),
        ("/otel/v1/traces", BODY, {}, ["seen"]),
        ("/v1/traces", gzip.compress(BODY, mtime=0), {"Content_Encoding": "gzip"}, ["seen"]),
        (
            "/v1/traces",
            gzip.compress(BODY[:9], mtime=0) + gzip.compress(BODY[9:], mtime=0),
            {"Content_Encoding": "gzip"},
            ["seen"],
        ),
        ("/v1/traces", zstandard.compress(BODY), {"Content_Encoding": "zstd"}, ["seen"]),
        ("/v1/metrics", b"{}", {}, []),
        ("/v1/metrics", b"", {"Content_Type": "application/x-protobuf"}, []),
        ("/v1/logs", b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{}]}]}]}', {}, ["log"]),
        ("/runs", json.dumps({"id": RUN, "name": "run"}).encode(), {}, ["run"]),
        ("/api/v1/runs/batch", json.dumps({"post": [{"id": RUN, "name": "run"}]}).encode(), {}, ["run"]),
        ("/feedback", json.dumps({"run_id": RUN, "comment": "good"}).encode(), {}, ["feedback"]),
    ],
)
def test_requests_that_are_read(path, body, headers, names):
    with opened("otlp", "langsmith") as receiver, capture.capture() as spans:
        status, _ = post(receiver, path, body, **headers)
        assert status in {200, 202}
        assert [span.name for span in spans] == names
        assert [*receiver.notes.errors(), *receiver.notes.warnings()] == []


def test_a_patch_of_another_request_is_merged_into_its_run():
    with opened("langsmith") as receiver, capture.capture() as spans:
        post(receiver, "/runs", json.dumps({"id": RUN, "name": "run", "inputs": {"q": 1}}).encode())
        post(receiver, f"/runs/{RUN}", b'{"outputs": {"a": 2}}', method="PATCH")
    (span,) = spans
    assert span.attributes == {"inputs": {"q": 1}, "outputs": {"a": 2}}


BOMB = bytes(2_000_000)
GZIP, ZSTD = {"Content_Encoding": "gzip"}, {"Content_Encoding": "zstd"}
PROTOBUF = {"Content_Type": "application/x-protobuf"}


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (("/v1/traces", b"{", {}), 400, "it is no JSON (JSONDecodeError)"),
        (("/v1/traces", b"[" * 100_000, {}), 400, "it is no JSON (RecursionError)"),
        (("/v1/traces", b"\xff\xfe", PROTOBUF), 400, "it is no OTLP request of traces"),
        (("/v1/traces", b"no gzip", GZIP), 400, "it cannot be decompressed"),
        (("/v1/traces", gzip.compress(BODY, mtime=0)[:-9], GZIP), 400, "its compressed body is cut off"),
        (("/v1/traces", b"no zstd", ZSTD), 400, "it cannot be decompressed"),
        (("/v1/traces", BODY, {"Content_Encoding": "br"}), 400, "its content encoding is not known"),
        (("/v1/traces", gzip.compress(BOMB, mtime=0), GZIP), 413, "it is larger than 64 MiB"),
        (("/v1/traces", zstandard.compress(BOMB), ZSTD), 413, "it is larger than 64 MiB"),
        (("/v1/traces", BOMB, {}), 413, "it is larger than 64 MiB"),
        (("/runs", b"no JSON", {}), 400, "it is no JSON"),
        (
            ("/runs/multipart", b"", {"Content_Type": "multipart/form-data"}),
            400,
            "its multipart boundary is missing",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_of_the_suite(sent, status, reason, monkeypatch):
    path, body, headers = sent
    monkeypatch.setattr(bodies, "MOST_BYTES", 1_000_000)
    with opened("otlp", "langsmith") as receiver, capture.capture() as spans:
        try:
            assert post(receiver, path, body, **headers)[0] == status
        except urllib.error.URLError as error:  # the connection ends while the rest is sent
            assert status == 413, error  # noqa: PT017 - which of both it is depends on the machine
        assert spans == []
        (line,) = receiver.notes.errors()
        assert line.startswith(
            f"error: 1 trace request could not be read, so no check saw what it holds: {reason}"
        )


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /v1/traces HTTP/1.1\r\n",
        b"POST /v1/traces HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
        b"POST /v1/traces HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
    ],
)
def test_a_client_that_falls_silent_holds_up_no_end(sent, monkeypatch):
    monkeypatch.setattr(server, "_LAST_S", 0.2)
    began = time.monotonic()
    with opened("otlp") as receiver:
        with socket.create_connection(("127.0.0.1", receiver.server.server_port)) as client:
            client.sendall(sent)
            time.sleep(0.1)
            receiver.finish()
            receiver.finish()  # as after each test
            lines = list(receiver.notes.errors())
            assert all("1 trace request" in line for line in lines)
        assert len(lines) == (b"\r\n\r\n" in sent)
    assert time.monotonic() - began < 5


def test_a_body_in_chunks_is_read_and_one_that_lies_is_not():
    with opened("otlp") as receiver, capture.capture() as spans:
        connection = http.client.HTTPConnection("127.0.0.1", receiver.server.server_port)
        connection.request("POST", "/v1/traces", iter([BODY[:7], BODY[7:]]), JSON, encode_chunked=True)
        assert connection.getresponse().read() == b"{}"
        assert [span.name for span in spans] == ["seen"]
        connection.request("POST", "/v1/traces", None, {**JSON, "Content-Length": "many"})
        assert connection.getresponse().status == 400
        connection.close()


def test_other_requests_are_named():
    with opened("otlp") as receiver:
        assert post(receiver, "/datasets%1b", b"{}")[0] == 404
        assert list(receiver.notes.errors()) == []
        (line,) = receiver.notes.warnings()
        assert (
            line == "1 request to the trace receiver was for something else, and got 404: POST /datasets%1b"
        )


def test_the_environment_is_as_it_was(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector")
    monkeypatch.setenv("LANGSMITH_API_KEY", "own")
    monkeypatch.delenv("LANGSMITH_ENDPOINT", raising=False)
    before = dict(os.environ)
    with opened("otlp", "langsmith") as receiver:
        assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" not in os.environ
        assert os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == receiver.server.url
        assert os.environ["LANGCHAIN_ENDPOINT"] == receiver.server.url
        assert os.environ["LANGSMITH_API_KEY"] == "own"
    assert dict(os.environ) == before


def test_no_port_is_one_message(monkeypatch):
    from pytest_llmops.errors import SettingsError

    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(server.ThreadingHTTPServer, "server_bind", refuse)
    with pytest.raises(
        SettingsError, match=r"receive: no port of 127.0.0.1 can be opened \(Too many open files\)"
    ):
        Receiver.open(["otlp"])


RUNS = {
    "post": [{"id": RUN, "dotted_order": f"20240101T000000000000Z{RUN}", "inputs": {"q": "ann@example.com"}}]
}


@pytest.mark.parametrize(
    ("forward", "sent"), [("refuse", None), ("forward", "ann@example.com"), ("masked", "<EMAIL_ADDRESS>")]
)
def test_runs_are_sent_on_as_the_settings_say(forward, sent, monkeypatch):
    monkeypatch.setattr(server, "_LAST_S", 30.0)  # masking loads its models first
    with Collector() as collector:
        monkeypatch.setenv("LANGSMITH_ENDPOINT", collector.url)
        monkeypatch.setenv("LANGSMITH_API_KEY", "own")
        with opened("langsmith", forward=forward) as receiver, capture.capture() as spans:
            assert post(receiver, "/runs/batch", json.dumps(RUNS).encode())[0] == 202
            receiver.finish()
    assert [span.attributes["inputs"] for span in spans] == [{"q": "ann@example.com"}]
    if sent is None:
        assert collector.posted == []
        return
    ((method, path, headers, body),) = collector.posted
    assert (method, path, headers["x-api-key"]) == ("POST", "/runs/batch", "own")
    ((run),) = json.loads(body)["post"]
    assert run == {**RUNS["post"][0], "inputs": {"q": sent}}


def test_a_run_that_cannot_be_sent_on_is_named(monkeypatch):
    monkeypatch.setattr(server, "_LAST_S", 30.0)  # masking loads its models first
    with Collector(status=403) as collector:
        monkeypatch.setenv("LANGSMITH_ENDPOINT", collector.url)
        with opened("langsmith", forward="masked") as receiver:
            assert post(receiver, "/runs/batch", json.dumps(RUNS).encode())[0] == 202
            receiver.finish()
            assert list(receiver.notes.warnings()) == ["1 LangSmith request could not be forwarded: HTTP 403"]
