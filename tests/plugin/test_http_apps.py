"""An app behind a URL is called as a golden file says; whatever is no answer is an error of its case."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.app_server import AppServer, Asked, Reply
from tests.extras import needs_http
from tests.plugin.conftest import Project

pytestmark = needs_http

CASES = """
    cases:
      - {id: hello, input: hello, checks: {keywords: {all: [hello]}}}
"""


def echo(asked: Asked) -> Any:
    return {"reply": f"You said {asked.json['message']}", "sources": [], "calls": []}


def write(project: Project, app: str, cases: str = CASES) -> None:
    indented = app.strip("\n").replace("\n", "\n    ")
    project.golden(f"    app:\n    {indented}\n{cases}")


@contextmanager
def serving(
    project: Project, answer: Callable[[Asked], Any], http: str, cases: str = CASES
) -> Iterator[AppServer]:
    """Serve, with a golden file whose app is at the service; `URL` is its address."""
    with AppServer(answer) as service:
        write(project, f"  http: {http.replace('URL', service.url)}", cases)
        yield service


SIMPLE = '{url: "URL/chat", body: {message: "{{ input }}"}, answer: $.reply}'


def read_run(project: Project) -> Any:
    return json.loads((project.path / "run.json").read_text())


def outputs(project: Project) -> list[Any]:
    return [output for result in read_run(project)["results"] for output in result["outputs"]]


def test_all_of_an_answer_is_read(project: Project) -> None:
    def answer(_: Asked) -> Any:
        return {
            "reply": "You have 60 days.",
            "sources": [
                {"id": "returns#window", "text": "60 days", "score": 0.9},
                "a text alone",
                {"page_content": "boots", "metadata": {"source": "boots.md"}},
            ],
            "calls": [
                {"name": "look", "arguments": {"id": 1}},
                {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": "boots"}'}},
            ],
            "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
        }

    http = (
        '{url: "URL/chat", body: {message: "{{ input }}"}, answer: $.reply, passages: "$.sources[*]", '
        'tool_calls: "$.calls[*]", tokens: $.usage}'
    )
    cases = """
    checks:
      keywords: {all: ["60 days"]}
      recall@3: ">= 1"
      tool_calls: [{name: look, arguments: {id: 1}}, {name: find, arguments: {q: boots}}]
      tokens: "<= 18"
    cases:
      - {id: window, input: How long?, relevant: ["returns#window", boots.md, a text alone]}
    """
    with serving(project, answer, http, cases):
        result = project.run_here("--llm-out", "run.json")
    result.assert_outcomes(passed=1)
    (output,) = outputs(project)
    assert [passage["id"] for passage in output["passages"]] == ["returns#window", "a text alone", "boots.md"]
    assert [passage["text"] for passage in output["passages"]] == ["60 days", "a text alone", "boots"]
    assert (output["usage"]["prompt_tokens"], output["usage"]["completion_tokens"]) == (11, 7)


def test_templates_keep_types_and_each_call_has_a_session(project: Project) -> None:
    http = (
        '{url: "URL/chat/{{ input.shop }}", answer: $.reply, body: {question: "{{ input }}", '
        'list: ["{{ input.items }}", "all: {{ input.items }}"], plain: 3, session: "{{ session }}", '
        'text: "{{ input.text }}!", "k-{{ input.shop }}": "${SHOP_TENANT}/x"}}'
    )
    cases = """
    cases:
      - id: one
        input: {shop: a b/c, items: [1, 2], text: "{{ session }} ${HOME}"}
        checks: {keywords: {all: [ok]}}
      - {id: two, input: {shop: d, items: [], text: t}, checks: {keywords: {all: [ok]}}}
    """
    project.environment.setenv("SHOP_TENANT", "acme")
    with serving(project, lambda _: {"reply": "ok"}, http, cases) as service:
        project.run_here("--llm-concurrency", "1").assert_outcomes(passed=2)
    one, two = sorted(service.asked, key=lambda asked: asked.path)
    assert one.path == "/chat/a%20b%2Fc"
    session = one.json["session"]
    assert one.json == {
        "question": {"shop": "a b/c", "items": [1, 2], "text": "{{ session }} ${HOME}"},
        "list": [[1, 2], "all: [1, 2]"],
        "plain": 3,
        "session": session,
        "text": "{{ session }} ${HOME}!",
        "k-a b/c": "acme/x",
    }
    assert len(session) >= 16
    assert two.json["session"] != session


def test_a_token_is_sent_and_written_nowhere(project: Project) -> None:
    project.environment.setenv("SHOP_TOKEN", "tk-9f8e7d6c5b4a")
    http = '{url: "URL/chat?tenant=acme", headers: {Authorization: "Bearer ${SHOP_TOKEN}"}, answer: $.reply}'
    cases = """
    cases:
      - {id: good, input: good, checks: {keywords: {all: [good]}}}
      - {id: refused, input: refused, checks: {keywords: {all: [good]}}}
      - {id: echoed, input: echoed, checks: {keywords: {all: [good]}}}
    """

    def answer(asked: Asked) -> Any:
        said = asked.json["input"]
        if said == "refused":
            return Reply(body={"you sent": asked.headers["authorization"]}, status=403)
        return {"reply": asked.headers["authorization"] if said == "echoed" else "good"}

    with serving(project, answer, http, cases) as service:
        result = project.run_here("--llm-out", "run.json")
    result.assert_outcomes(passed=1, errors=2)
    assert {asked.headers["authorization"] for asked in service.asked} == {"Bearer tk-9f8e7d6c5b4a"}
    result.stdout.fnmatch_lines(["*status 403*SHOP_TOKEN*", "*the answer contains the value of SHOP_TOKEN*"])
    written = [path.read_bytes() for path in project.path.rglob("*") if path.is_file()]
    assert not [content for content in written if b"9f8e7d6c5b4a" in content]
    assert "9f8e7d6c5b4a" not in result.stdout.str() + result.stderr.str()
    assert read_run(project)["signature"]["app:golden/capitals.yaml"] == f"{service.url}/chat?tenant=***"


def find_written(project: Project, result: pytest.RunResult, secret: str) -> list[str]:
    """Return where a secret is written: the names of files, and of what a run printed."""
    shown = {"stdout": result.stdout.str(), "stderr": result.stderr.str()}
    files = {
        path.name: path.read_bytes().decode("utf-8", "replace")
        for path in project.path.rglob("*")
        if path.is_file()
    }
    return [name for name, text in {**shown, **files}.items() if secret in text]


def test_variables_of_the_url_stay_names(project: Project) -> None:
    """In stamps, the baseline and messages; so two ports are one app."""
    project.environment.setenv("SHOP_KEY", "9f8e7d6c5b4a")
    http = (
        '{url: "${SHOP_URL}/bot${SHOP_KEY}/chat", body: {message: "{{ input }}"}, answer: $.reply, '
        'version: {url: "${SHOP_URL}/bot${SHOP_KEY}/health", at: $.commit}}'
    )
    commits = ["abc1"]

    def answer(asked: Asked) -> Any:
        assert asked.path.startswith("/bot9f8e7d6c5b4a/")
        return {"commit": commits[-1]} if asked.path.endswith("/health") else echo(asked)

    for _ in range(2):
        with AppServer(answer) as service:
            project.environment.setenv("SHOP_URL", service.url)
            write(project, f"  http: {http}")
            result = project.run_here("--llm-accept", "--llm-out", "run.json")
        assert result.ret == 0
        signature = read_run(project)["signature"]
        assert signature["app:golden/capitals.yaml"] == "${SHOP_URL}/bot${SHOP_KEY}/chat"
        assert signature["service:${SHOP_URL}/bot${SHOP_KEY}/chat"] == commits[-1]
        assert find_written(project, result, "9f8e7d6c5b4a") == []
    commits.append("def2")
    with AppServer(answer) as service:
        project.environment.setenv("SHOP_URL", service.url)
        result = project.run_here()
    result.stdout.fnmatch_lines(["*service ${SHOP_URL}/bot${SHOP_KEY}/chat: abc1 → def2*"])
    result = project.run_here()  # nobody listens any more
    result.assert_outcomes(errors=2)
    assert find_written(project, result, "9f8e7d6c5b4a") == []


SENT = {
    "url": '{url: "URL/bot${SHOP_KEY}/chat", METHOD}',
    "query": '{url: "URL/chat?of=${SHOP_KEY}", METHOD}',
    "header": '{url: "URL/chat", headers: {X-Of: "of ${SHOP_KEY}"}, METHOD}',
    "body": '{url: "URL/chat", body: {message: "{{ input }}", of: ["${SHOP_KEY}"]}, METHOD}',
}
ECHOES: dict[str, Any] = {
    "text": {"reply": "of 9f8e7d/6c5b4a"},
    "passage": {"reply": "hello", "sources": [{"id": "a", "text": "of 9f8e7d/6c5b4a"}]},
    "tool call": {"reply": "hello", "calls": [{"name": "look", "arguments": {"of": "9f8e7d/6c5b4a"}}]},
    "rest": {"reply": "hello", "debug": {"9f8e7d/6c5b4a": 1}},
    "misspelt": {"repyl": "9f8e7d/6c5b4a"},
    "status": Reply(body="of 9f8e7d/6c5b4a", status=500),
    "escaped status": Reply(body={"url": "/chat?of=9f8e7d%2F6c5b4a"}, status=500),
    "redirect": Reply(status=307, headers={"location": "http://other.example/9f8e7d/6c5b4a"}),
}


@pytest.mark.parametrize("place", SENT)
@pytest.mark.parametrize("echo_of", ECHOES)
def test_no_variable_that_is_sent_is_shown_or_kept(project: Project, place: str, echo_of: str) -> None:
    project.environment.setenv("SHOP_KEY", "9f8e7d/6c5b4a")
    read = 'answer: $.reply, passages: "$.sources[*]?", tool_calls: "$.calls[*]?"'
    with serving(project, lambda _: ECHOES[echo_of], SENT[place].replace("METHOD", read)):
        result = project.run_here("--llm-out", "run.json")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*SHOP_KEY*"])
    assert find_written(project, result, "6c5b4a") == []


def test_a_secret_in_parts_of_a_stream_is_not_kept(project: Project) -> None:
    project.environment.setenv("SHOP_KEY", "9f8e7d6c5b4a")
    http = (
        '{url: "URL/chat", headers: {X-Of: "${SHOP_KEY}"}, stream: jsonl, answer: $.delta, '
        'passages: "$.sources[*]?"}'
    )
    cases = """
    cases:
      - {id: one, input: passage, checks: {keywords: {all: [hello]}}}
      - {id: two, input: texts, checks: {keywords: {all: [hello]}}}
      - {id: three, input: rest, checks: {keywords: {all: [hello]}}}
    """
    parts = {
        "passage": [{"delta": "hello", "sources": ["of 9f8e7d6c5b4a"]}],
        "texts": [{"delta": "9f8e7d"}, {"delta": "6c5b4a"}],
        "rest": [{"delta": "hello"}, {"debug": "9f8e7d6c5b4a"}],
    }

    def answer(asked: Asked) -> Any:
        return Reply(body=iter([f"{json.dumps(part)}\n" for part in parts[asked.json["input"]]]))

    with serving(project, answer, http, cases):
        result = project.run_here("--llm-out", "run.json")
    result.assert_outcomes(errors=3)
    assert find_written(project, result, "9f8e7d6c5b4a") == []


def test_the_place_of_a_service_and_its_model_are_no_secrets(project: Project) -> None:
    project.environment.setenv("SHOP_MODEL", "shop-model-4")
    http = '{url: "${SHOP_URL}/chat", body: {model: "${SHOP_MODEL}"}, answer: $.reply}'

    def answer(asked: Asked) -> Any:
        return {"reply": f"hello, see http://{asked.headers['host']}/docs", "model": "shop-model-4"}

    with AppServer(answer) as service:
        project.environment.setenv("SHOP_URL", service.url)
        write(project, f"  http: {http}")
        project.run_here().assert_outcomes(passed=1)


ERRORS: dict[str, tuple[Any, str, str]] = {
    "status": (Reply(body={"detail": "boom"}, status=500), SIMPLE, "*status 500*200-299*boom*"),
    "created is not listed": (
        Reply(body={"reply": "hello"}, status=201),
        SIMPLE.replace("}, answer", "}, ok: 200, answer"),
        "*status 201, and 200 are answers*",
    ),
    "no json": (
        Reply(body="<html>hello</html>", headers={"content-type": "text/html"}),
        SIMPLE,
        "*no JSON*html*hello*",
    ),
    "no number": (b'{"reply": NaN}', SIMPLE, "*no JSON*"),
    "deep": (b"[" * 100_000, SIMPLE, "*no JSON*"),
    "misspelt": ({"repyl": "hello"}, SIMPLE, "*nothing at $.reply (answer).*Did you mean 'repyl'?*"),
    "null": ({"reply": None}, SIMPLE, "*text of the answer is null*"),
    "list": ([], SIMPLE, "*nothing at $.reply*"),
    "no passages": (
        {"reply": "hello"},
        SIMPLE.replace("}, ans", '}, passages: "$.sources[*]", ans'),
        "*nothing at $.sources*",
    ),
    "no calls": (
        {"reply": "hello"},
        SIMPLE.replace("}, ans", '}, tool_calls: "$.calls[*]", ans'),
        "*nothing at $.calls*",
    ),
    "no tokens": (
        {"reply": "hello"},
        SIMPLE.replace("}, ans", "}, tokens: $.usage, ans"),
        "*nothing at $.usage*",
    ),
    "wrong tokens": (
        {"reply": "hello", "usage": 3},
        SIMPLE.replace("}, ans", "}, tokens: $.usage, ans"),
        "*tokens must be an object*",
    ),
    "wrong call": (
        {"reply": "hello", "calls": [{"nme": "look"}]},
        SIMPLE.replace("}, ans", '}, tool_calls: "$.calls[*]", ans'),
        "*the tool call has no 'name'; did you mean it for 'nme'?*",
    ),
    "wrong passage": (
        {"reply": "hello", "sources": [{"x": 1}]},
        SIMPLE.replace("}, ans", '}, passages: "$.sources[*]", ans'),
        "*neither an id nor a text; it has: x*",
    ),
    "elsewhere": (
        Reply(status=307, headers={"location": "http://other.example/chat?token=abc"}),
        SIMPLE,
        "*redirects to http://other.example/chat?token=[*][*][*] (307)*",
    ),
    "in a circle": (
        Reply(status=307, headers={"location": "/chat"}),
        SIMPLE,
        "*redirects more than 5 times*",
    ),
    "cut": (Reply(body={"reply": "hello"}, cut=True), SIMPLE, "*ended early*"),
    "not utf-8": (b"\xff\xfehello", SIMPLE.replace("$.reply", "text"), "*no UTF-8*"),
    "nothing known": ({"x": "hello", "y": 1}, '{url: "URL/chat"}', "*no text of a known name; it has: x, y*"),
    "no session": (
        {"reply": "hello", "id": None},
        SIMPLE.replace("}, ans", "}, session: $.id, ans"),
        "*the session of the answer, at $.id, is null or empty*",
    ),
    "wrong session": (
        {"reply": "hello", "id": [1]},
        SIMPLE.replace("}, ans", "}, session: $.id, ans"),
        "*the session at $.id must be a text or a number*",
    ),
    "session of plain text": (
        Reply(body="hello", headers={"content-type": "text/plain"}),
        '{url: "URL/chat", session: $.id}',
        "*plain text, which has no session at $.id*",
    ),
    "input has no part": (
        {},
        SIMPLE.replace("{{ input }}", "{{ input.text }}"),
        "*the case's input is no mapping*",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_no_answer_is_an_error_of_the_case(project: Project, name: str) -> None:
    said, http, expected = ERRORS[name]
    with serving(project, lambda _: said, http):
        result = project.run_here()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*error *http://127.0.0.1:*/chat: {expected}"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_others_go_on_when_the_service_is_gone(project: Project) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        write(project, f'  http: {{url: "http://127.0.0.1:{port}/chat", answer: $.reply}}')
        result = project.run_here()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*it cannot be reached*is it running?*"])


def test_a_slow_answer_is_an_error(project: Project) -> None:
    released = threading.Event()

    def answer(_: Asked) -> Any:
        released.wait(20)
        return {"reply": "hello"}

    with serving(project, answer, SIMPLE.replace("}, ans", "}, timeout_s: 0.3, ans")):
        result = project.run_here()
        released.set()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no complete answer within 0.3 s (timeout_s of the app)*"])


def test_tls_that_nobody_trusts_is_an_error(project: Project) -> None:
    trustme = pytest.importorskip("trustme")
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with AppServer(echo) as service:
        assert service._server is not None
        service._server.socket = context.wrap_socket(service._server.socket, server_side=True)
        write(project, f'  http: {{url: "{service.url.replace("http", "https")}/chat", answer: $.reply}}')
        result = project.run_here()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*TLS failed*SSL_CERT_FILE*"])


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_waited_for(project: Project, status: int) -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> Any:
        seen.append(asked)
        if len(seen) == 1:
            return Reply(body="later", status=status, headers={"retry-after": "0"})
        return {"reply": "hello"}

    with serving(project, answer, SIMPLE):
        result = project.run_here()
    result.assert_outcomes(passed=1)
    assert len(seen) == 2


def test_a_service_that_stays_busy_is_an_error(project: Project) -> None:
    busy = Reply(body="later", status=429, headers={"retry-after": "0"})
    with serving(project, lambda _: busy, SIMPLE) as service:
        result = project.run_here()
    result.assert_outcomes(errors=1)
    assert len(service.asked) == 3
    result.stdout.fnmatch_lines(["*status 429*later*"])


def test_a_failing_service_is_not_called_again(project: Project) -> None:
    with serving(project, lambda _: Reply(status=502), SIMPLE) as service:
        project.run_here().assert_outcomes(errors=1)
    assert len(service.asked) == 1


def test_a_redirect_on_the_host_is_followed(project: Project) -> None:
    def answer(asked: Asked) -> Any:
        if asked.path == "/chat":
            return Reply(status=308, headers={"location": "/v2/chat"})
        return echo(asked)

    with serving(project, answer, SIMPLE) as service:
        project.run_here().assert_outcomes(passed=1)
    assert [asked.path for asked in service.asked] == ["/chat", "/v2/chat"]


@pytest.mark.parametrize("mode", ["none", "once", "new", "all"])
def test_requests_to_the_app_are_made_in_every_mode(project: Project, mode: str) -> None:
    """Also where they look as a model call does: the app is under test."""
    http = (
        '{url: "URL/v1/chat/completions", body: {messages: [{role: user, content: "{{ input }}"}]}, '
        'answer: "$.choices[0].message.content", tool_calls: "$.choices[0].message.tool_calls[*]"}'
    )

    def answer(asked: Asked) -> Any:
        text = asked.json["messages"][0]["content"]
        return {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}

    with serving(project, answer, http) as service:
        for _ in range(2):
            result = project.run_here("--llm-record", mode)
            result.assert_outcomes(passed=1)
    assert len(service.asked) == 2
    assert not list(project.path.rglob("cassettes/**/*.yaml"))
    result.stdout.fnmatch_lines(
        ["no model call seen*", "*the app is another process (http://*model calls*nobody here sees*"]
    )
    result.stdout.no_fnmatch_line("*calls elsewhere*")


def test_model_calls_that_nobody_saw_are_none_that_were_counted(project: Project) -> None:
    http = SIMPLE.replace("}, ans", "}, tokens: $.usage, ans")
    cases = CASES.replace("keywords: {all: [hello]}", 'model_calls: "<= 3"')
    reply = {"reply": "hello", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    with serving(project, lambda _: reply, http, cases):
        result = project.run_here()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*states its tokens, and not how many model calls*", "no model call seen*"])


def test_what_a_service_says_besides_is_looked_at(project: Project) -> None:
    cases = CASES.replace("keywords: {all: [hello]}", "pii_leak: none")
    with serving(
        project, lambda _: {"reply": "hello", "debug": {"of": "jane.roe@example.org"}}, SIMPLE, cases
    ):
        result = project.run_here()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*EMAIL_ADDRESS*/attributes/body/debug/of*"])


UNREAD: dict[str, tuple[Any, str]] = {
    "passage": ({"sources": [{"id": "a", "text": "b", "owner": "jane.roe@example.org"}]}, "sources/0/owner"),
    "metadata": (
        {"sources": [{"text": "b", "metadata": {"source": "a", "by": "jane.roe@example.org"}}]},
        "sources/0/metadata/by",
    ),
    "tool call": ({"calls": [{"name": "look", "by": "jane.roe@example.org"}]}, "calls/0/by"),
    "function": (
        {"calls": [{"function": {"name": "look", "arguments": "{}", "by": "jane.roe@example.org"}}]},
        "calls/0/function/by",
    ),
    "tokens": (
        {"usage": {"input_tokens": 1, "output_tokens": 2, "user": "jane.roe@example.org"}},
        "usage/user",
    ),
}


@pytest.mark.parametrize("name", UNREAD)
def test_fields_that_nobody_reads_are_looked_at(project: Project, name: str) -> None:
    said, place = UNREAD[name]
    read = 'passages: "$.sources[*]?", tool_calls: "$.calls[*]?", tokens: "$.usage?"'
    cases = CASES.replace("keywords: {all: [hello]}", "pii_leak: none")
    with serving(
        project, lambda _: {"reply": "hello", **said}, SIMPLE.replace("}, ans", f"}}, {read}, ans"), cases
    ):
        result = project.run_here()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*EMAIL_ADDRESS*/attributes/body/{place}*"])


def test_what_is_read_is_not_kept_a_second_time(project: Project) -> None:
    read = 'passages: "$.sources[*]", tool_calls: "$.calls[*]", tokens: $.usage'
    said = {
        "reply": "hello",
        "sources": [{"id": "a", "text": "b", "score": 1}, "c"],
        "calls": [{"function": {"name": "look", "arguments": "{}"}}],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    with serving(project, lambda _: said, SIMPLE.replace("}, ans", f"}}, {read}, ans")):
        project.run_here("--llm-out", "run.json").assert_outcomes(passed=1)
    assert '"body"' not in (project.path / "run.json").read_text()


def test_an_output_beside_the_text_is_looked_at(project: Project) -> None:
    cases = CASES.replace("keywords: {all: [hello]}", "pii_leak: none")
    said = {"text": "hello", "output": {"email": "jane.roe@example.org"}}
    with serving(project, lambda _: said, '{url: "URL/chat"}', cases):
        result = project.run_here()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*EMAIL_ADDRESS*/attributes/body/output/email*"])


def test_passages_of_its_own_knowledge_are_not(project: Project) -> None:
    http = SIMPLE.replace("}, ans", '}, passages: "$.sources[*]", ans')
    cases = "    passages: own_knowledge" + CASES.replace("keywords: {all: [hello]}", "pii_leak: none")
    reply = {"reply": "hello", "sources": [{"id": "a", "text": "jane.roe@example.org"}]}
    with serving(project, lambda _: reply, http, cases):
        project.run_here().assert_outcomes(passed=1)


def test_the_flag_and_the_setting_name_a_service(project: Project) -> None:
    with AppServer(lambda asked: {"text": f"hello {asked.json['input']}"}) as service:
        project.golden(f"    {CASES.strip()}")
        project.run_here("--llm-app", f"{service.url}/chat").assert_outcomes(passed=1)
        http = f'{{url = "{service.url}/chat", body = {{input = "set"}}, answer = "$.text"}}'
        project.write("pyproject.toml", f"[tool.pytest-llmops]\napp = {{http = {http}}}\n")
        project.run_here().assert_outcomes(passed=1)
    assert service.asked[0].json["input"] == "hello"
    assert service.asked[-1].json["input"] == "set"


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ('{http = {url = "http://h/x", answr = "$.a"}}', "*unknown key 'answr'*Did you mean 'answer'?*"),
        ('{http = {url = "http://u:hunter22@h/x"}}', "*url contains a secret*"),
        ('{htp = {url = "http://h/x"}}', "*unknown key 'htp'*Did you mean 'http'?*"),
        ("3", "*app must be *a URL*not 3*"),
    ],
)
def test_mistakes_of_the_setting(project: Project, app: str, expected: str) -> None:
    project.golden(f"    {CASES.strip()}")
    project.write("pyproject.toml", f"[tool.pytest-llmops]\napp = {app}\n")
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (result.stderr if result.errlines else result.stdout).fnmatch_lines([expected])
    assert "hunter22" not in result.stdout.str() + result.stderr.str()


def test_the_fixture_llm_calls_a_service(project: Project) -> None:
    with AppServer(lambda asked: {"text": f"hello {asked.json['input']}"}) as service:
        project.write(
            "test_llm.py",
            """
            def test_one(llm):
                assert "hello you" in llm("you")

            def test_two(llm):
                assert "hello me" in llm("me")
            """,
        )
        flag = ("--llm-app", f"{service.url}/chat")
        result = project.pytester.runpytest_inprocess(
            "-p", "no:cacheprovider", "-W", "default", "test_llm.py", *flag
        )
    result.assert_outcomes(passed=2)


def test_place_of_functions_is_none_of_services(project: Project) -> None:
    with serving(project, echo, SIMPLE, f"    runs_on: main_thread{CASES}"):
        project.run_here().assert_outcomes(passed=1)


def test_a_changed_service_is_a_named_cause(project: Project) -> None:
    http = SIMPLE.replace("}, ans", '}, version: {url: "URL/health", at: $.commit}, ans')
    commits = ["abc1"]

    def answer(asked: Asked) -> Any:
        return {"commit": commits[-1]} if asked.path == "/health" else echo(asked)

    with serving(project, answer, http) as service:
        project.run_here("--llm-accept").assert_outcomes(passed=1)
        commits.append("def2")
        result = project.run_here("--llm-out", "run.json")
    result.stdout.fnmatch_lines([f"*service {service.url}/chat: abc1 → def2*"])
    assert read_run(project)["signature"][f"service:{service.url}/chat"] == "def2"


def test_a_version_that_is_not_there_is_an_error(project: Project) -> None:
    http = SIMPLE.replace("}, ans", '}, version: {url: "URL/health", at: $.commit}, ans')
    with serving(project, lambda asked: {} if asked.path == "/health" else echo(asked), http):
        result = project.run_here()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the version of the app at http://*/health: *nothing at $.commit*"])


def test_a_version_that_is_not_there_is_asked_for_once(project: Project) -> None:
    http = SIMPLE.replace("}, ans", '}, version: {url: "URL/health", at: $.commit}, ans')
    cases = "    cases:\n" + "".join(
        f"      - {{id: c{number}, input: hello, checks: {{keywords: {{all: [hello]}}}}}}\n"
        for number in range(5)
    )
    with serving(
        project, lambda asked: {} if asked.path == "/health" else echo(asked), http, cases
    ) as service:
        project.run_here("--llm-concurrency", "1").assert_outcomes(errors=5)
    assert [asked.path for asked in service.asked] == ["/health"]


def test_versions_of_one_url_are_all_stamped(project: Project) -> None:
    def answer(asked: Asked) -> Any:
        return asked.path if asked.path != "/chat" else {"reply": asked.json["message"]}

    with AppServer(answer) as service:
        app = SIMPLE.replace("URL", service.url).replace("}, ans", "}, VERSION, ans")
        old, new = (
            app.replace("VERSION", f'version: {{url: "{service.url}/{name}"}}') for name in ("v1", "v2")
        )
        project.golden(
            f"""
            app: {{http: {new}}}
            rival: {{http: {old}}}
            suite: {{exact_match: {{min_gain: -0.5}}}}
            cases: [{{id: a, input: hello, reference: hello}}]
            """
        )
        project.run_here("--llm-out", "run.json")
    assert read_run(project)["signature"][f"service:{service.url}/chat"] == "/v1, /v2"


def test_a_rival_may_be_a_service(project: Project) -> None:
    with AppServer(lambda _: {"text": "no"}) as old, AppServer(lambda _: {"text": "hello"}) as new:
        project.golden(
            f"""
            app: {new.url}
            rival: {old.url}
            suite: {{exact_match: {{min_gain: 0.5}}}}
            cases: [{{id: a, input: hi, reference: hello}}]
            """
        )
        result = project.run_here()
    assert len(old.asked) == len(new.asked) == 1
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*{new.url} against its rival {old.url}*"])


def test_workers_share_no_more_than_the_service(project: Project) -> None:
    cases = "    cases:\n" + "".join(
        f"      - {{id: c{number}, input: hello {number}, checks: {{keywords: {{all: [hello]}}}}}}\n"
        for number in range(6)
    )
    with serving(project, echo, SIMPLE, cases) as service:
        project.run("-n", "2").assert_outcomes(passed=6)
    assert len(service.asked) == 6


def test_spans_that_the_service_sends_belong_to_their_case(project: Project) -> None:
    """By the trace id of the request, while several cases run."""
    pytest.importorskip("opentelemetry.proto")
    import urllib.request

    together = threading.Barrier(2, timeout=20)

    def answer(asked: Asked) -> Any:
        together.wait()
        trace_id = asked.headers["traceparent"].split("-")[1]
        text = "jane.roe@example.org" if asked.json["message"] == "leak" else "nothing"
        span = {
            "traceId": trace_id,
            "spanId": "00f067aa0ba902b7",
            "name": "look",
            "attributes": [{"key": "found", "value": {"stringValue": text}}],
        }
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
        url = f"{os.environ['OTEL_EXPORTER_OTLP_ENDPOINT']}/v1/traces"
        request = urllib.request.Request(url, body, {"content-type": "application/json"})  # noqa: S310 - ours
        urllib.request.urlopen(request).close()  # noqa: S310
        return {"reply": "hello"}

    cases = """
    require_spans: true
    checks: {pii_leak: none}
    cases:
      - {id: leaking, input: leak}
      - {id: clean, input: hello}
    """
    with serving(project, answer, SIMPLE, cases):
        result = project.run_here("--llm-receive", "otlp")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED golden/capitals.yaml::leaking*"])


def test_what_an_answer_holds_besides_is_no_span_of_the_app(project: Project) -> None:
    cases = "    require_spans: true" + CASES
    with serving(project, lambda _: {"reply": "hello", "debug": "x"}, SIMPLE, cases):
        result = project.run_here()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*the app left 0 spans*"])


def test_a_variable_of_an_app_that_is_not_called_need_not_be_set(project: Project) -> None:
    project.environment.delenv("NO_SUCH_TOKEN", raising=False)
    write(project, '  http: {url: "http://h/x", headers: {Authorization: "${NO_SUCH_TOKEN}"}}')
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*golden/capitals.yaml:2: *the environment variable NO_SUCH_TOKEN is not set.*"]
    )
    project.write("other.py", "def answer(question):\n    return 'hello'\n")
    project.run_here("--llm-app", "other:answer").assert_outcomes(passed=1)


def test_mutants_and_ordinary_runs_of_python(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_llmops import load_golden, run_golden
    from pytest_llmops.cli import main

    monkeypatch.chdir(project.path)
    with serving(project, echo, SIMPLE) as service:
        golden = load_golden("golden/capitals.yaml")
        texts = [
            output.text
            for _ in range(2)
            for result in run_golden(golden).results
            for output in result.outputs
        ]
        assert texts == ["You said hello"] * 2
        assert main(["mutate", "--kinds", "output", "--out", "mutants.json"]) == 0
        assert "killed" in (project.path / "mutants.json").read_text()
    assert len(service.asked) == 3


def test_a_secret_that_an_answer_escapes_is_found(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = 'Kandinsky"44\\71xyz'
    monkeypatch.setenv("SHOP_KEY", secret)
    http = '{url: "URL/chat", headers: {X-Key: "${SHOP_KEY}"}, answer: text}'
    with serving(project, lambda asked: {"key": asked.headers["x-key"]}, http):
        ran = project.run_here("--llm-out", "run.json")

    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["*contains the value of SHOP_KEY*"])
    assert "71xyz" not in ran.stdout.str() + (project.path / "run.json").read_text()
