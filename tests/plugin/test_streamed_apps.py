"""The answer of a service that comes in parts, as events of SSE or lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from tests.app_server import AppServer, Asked, Reply
from tests.extras import needs_http
from tests.plugin.conftest import Project

pytestmark = needs_http

SSE = {"content-type": "text/event-stream"}
HTTP = '{url: "URL/chat", stream: sse, answer: $.delta}'
OPENAI = (
    '{url: "URL/v1/chat/completions", body: {stream: true, messages: [{role: user, content: hi}]}, '
    'stream: sse, answer: "$.choices[0].delta.content", tokens: "$.usage?"}'
)
CASES = """
    cases:
      - {id: hello, input: hello, checks: {exact_match: true}, reference: Sixty days.}
"""


def run(project: Project, body: Any, http: str = HTTP, cases: str = CASES, **reply: Any) -> pytest.RunResult:
    """Run the cases against a service that answers so; the result has its requests as `asked`."""
    with AppServer(lambda _: Reply(body=iter(body), headers=SSE, **reply)) as service:
        project.golden(f"    app:\n      http: {http.replace('URL', service.url)}\n{cases}")
        result = project.run_here("--llm-out", "run.json")
    project.write("asked.json", json.dumps([asked.headers.get("accept") for asked in service.asked]))
    return result


def events(*parts: Any) -> list[str]:
    return [f"data: {part if isinstance(part, str) else json.dumps(part)}\n\n" for part in parts]


def chunk(text: str | None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]
    return {"object": "chat.completion.chunk", "choices": choices, **more}


def output(project: Project) -> Any:
    return json.loads((project.path / "run.json").read_text())["results"][0]["outputs"][0]


WHOLE: dict[str, tuple[Sequence[str], str]] = {
    "events": (events({"delta": "Sixty "}, {"delta": "days."}), HTTP),
    "pieces that cut lines and characters": (
        list(': hi\r\nevent: message\r\nid: 3\r\ndata: {"delta":\r\ndata: "Sixty days."}\r\n\r\n'),
        HTTP,
    ),
    "other parts between": (
        events({"stage": "search"}, {"delta": None}, {"delta": "Sixty "}, {"delta": "days."}, "[DONE]"),
        HTTP,
    ),
    "text": (events("Sixty ", "days.", "[DONE]"), HTTP.replace("$.delta", "text")),
    "openai": (events(chunk("Sixty "), chunk("days."), chunk(None, "stop"), "[DONE]"), OPENAI),
    "openai without a mark": (events(chunk("Sixty "), chunk("days."), chunk(None, "stop")), OPENAI),
    "lines": (['{"delta": "Sixty "}\n{"del', 'ta": "days."}\n'], HTTP.replace("sse", "jsonl")),
    "lines without the last end": (
        ['{"delta": "Sixty "}\n', '{"delta": "days."}'],
        HTTP.replace("sse", "jsonl"),
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_parts_are_joined(project: Project, name: str) -> None:
    body, http = WHOLE[name]
    run(project, body, http).assert_outcomes(passed=1)
    said = output(project)
    assert said["text"] == "Sixty days."
    assert 0 < said["first_token_s"] <= said["latency_s"]


def test_parts_may_have_all_else(project: Project) -> None:
    http = HTTP.replace("$.delta", '$.delta, passages: "$.sources[*]", tool_calls: "$.call", tokens: $.usage')
    body = events(
        {"call": {"name": "find", "arguments": {"q": 1}}},
        {"sources": [{"id": "a", "text": "60 days"}]},
        {"call": {"name": "look"}, "delta": "Sixty days."},
        {"usage": {"input_tokens": 3, "output_tokens": 4}, "note": "jane.roe@example.org"},
    )
    cases = CASES.replace("exact_match: true", "exact_match: true, pii_leak: none")
    result = run(project, body, http, cases)
    result.assert_outcomes(failed=1)  # of what no path takes out
    result.stdout.fnmatch_lines(["*EMAIL_ADDRESS*/body/*note*"])
    said = output(project)
    assert [call["name"] for call in said["tool_calls"]] == ["find", "look"]
    assert said["passages"][0]["id"] == "a"
    assert said["usage"]["completion_tokens"] == 4


def test_passages_of_all_parts_are_read(project: Project) -> None:
    http = HTTP.replace("$.delta", '$.delta, passages: "$.sources[*]"')
    body = events(
        {"sources": [{"id": "a", "text": "60"}]},
        {"sources": [{"id": "a", "text": "60"}, {"id": "b", "text": "of jane.roe@example.org"}]},
        {"delta": "Sixty days.", "sources": [{"id": "c", "text": "days"}]},
    )
    run(project, body, http).assert_outcomes(passed=1)
    assert [passage["id"] for passage in output(project)["passages"]] == ["a", "b", "c"]


BROKEN: dict[str, tuple[Iterable[str], str, dict[str, Any], str]] = {
    "cut connection": (events({"delta": "Sixty "}), HTTP, {"cut": True}, "*ended early*"),
    "cut event": (
        ['data: {"delta": "Sixty days."}\n\ndata: {"del'],
        HTTP,
        {},
        "*ended early, in the middle*",
    ),
    "cut line": (['{"delta": "Sixty "}\n{"del'], HTTP.replace("sse", "jsonl"), {}, "*is no JSON*"),
    "openai without an end": (
        events(chunk("Sixty "), chunk("days.")),
        OPENAI,
        {},
        "*ended early: no part has a finish_reason*",
    ),
    "nothing": ([], HTTP, {}, "*no part of the stream has a text at $.delta*"),
    "misspelt": (events({"dleta": "Sixty days."}), HTTP, {}, "*no part*$.delta*dleta*"),
    "number": (events({"delta": 3}), HTTP, {}, "*no text at $.delta, but 3*"),
    "error event": (["event: error\ndata: overloaded\n\n"], HTTP, {}, "*reports an error: overloaded*"),
    "error part": (
        events({"delta": "Sixty "}, {"error": {"message": "no"}}),
        HTTP,
        {},
        "*reports an error*no*",
    ),
    "no json": (events("Sixty days."), HTTP, {}, "*a part of the stream is no JSON*Sixty days*"),
    "no passages": (
        events({"delta": "Sixty days."}),
        HTTP.replace("$.delta", '$.delta, passages: "$.sources[*]"'),
        {},
        "*nothing at $.sources*",
    ),
    "status": (events({"delta": "Sixty days."}), HTTP, {"status": 500}, "*status 500*"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_is_an_error(project: Project, name: str) -> None:
    body, http, reply, expected = BROKEN[name]
    result = run(project, body, http, **reply)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([expected])


def test_a_stream_needs_the_place_of_its_text(project: Project) -> None:
    project.golden(f'    app:\n      http: {{url: "http://h/x", stream: sse}}\n{CASES}')
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*golden/capitals.yaml:2: app: http: stream needs answer*"])


def test_a_stream_that_never_ends_is_an_error(project: Project) -> None:
    def drip() -> Iterable[str]:
        while True:
            yield 'data: {"delta": "Sixty "}\n\n'

    http = HTTP.replace("$.delta", "$.delta, timeout_s: 0.5")
    result = run(project, drip(), http)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no complete answer within 0.5 s*"])


def test_events_are_asked_for(project: Project) -> None:
    asked: list[Asked] = []

    def answer(request: Asked) -> Any:
        asked.append(request)
        return Reply(body=iter(events({"delta": "Sixty days."})), headers=SSE)

    with AppServer(answer) as service:
        project.golden(f"    app:\n      http: {HTTP.replace('URL', service.url)}\n{CASES}")
        project.run_here().assert_outcomes(passed=1)
    assert asked[0].headers["accept"] == "text/event-stream"
