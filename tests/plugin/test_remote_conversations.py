"""Apps behind a URL and apps as commands hold conversations: by the messages so far, or by a session."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from tests.app_server import AppServer, Asked
from tests.extras import needs_http
from tests.plugin.conftest import Project

if TYPE_CHECKING:
    import pytest

CASES = """
    cases:
      - id: talk
        turns: [{user: rope}, {user: tent}]
        checks: {keywords: {all: [rope, tent]}}
      - id: other
        turns: [{user: lamp}, {user: stove, checks: {keywords: {none: [rope]}}}]
        checks: {keywords: {all: [lamp, stove]}}
      - {id: single, input: hello, checks: {keywords: {all: [hello]}}}
"""
COMMAND = """
    import json, sys

    for line in sys.stdin:
        asked = json.loads(line)
        said = [message["content"] for message in asked["messages"] if message["role"] == "user"]
        print(json.dumps({"output": f"{asked['input']}: {said}", "session": asked["session"]}), flush=True)
"""


def run(project: Project, app: str) -> tuple[pytest.RunResult, str]:
    (project.path / "golden/capitals.yaml").unlink()
    project.golden(f"    app: {app}\n{CASES}", name="golden/talks.yaml")
    ran = project.run_here("--llm-out", "run.json")
    return ran, ran.stdout.str() + ran.stderr.str()


@needs_http
def test_a_service_that_knows_the_session(project: Project) -> None:
    said: dict[str, list[str]] = {}

    def answer(asked: Asked) -> Any:
        said.setdefault(asked.json["session"], []).append(asked.json["message"])
        return {"reply": " ".join(said[asked.json["session"]])}

    with AppServer(answer) as service:
        body = '{message: "{{ input }}", session: "{{ session }}"}'
        ran, shown = run(project, f'{{http: {{url: "{service.url}/chat", body: {body}, answer: $.reply}}}}')

    assert ran.parseoutcomes() == {"passed": 3}, shown
    assert sorted(map(tuple, said.values())) == [("hello",), ("lamp", "stove"), ("rope", "tent")]


@needs_http
def test_a_service_that_is_sent_the_messages(project: Project) -> None:
    asked_with: list[Any] = []

    def answer(asked: Asked) -> Any:
        asked_with.append(asked.json["messages"])
        return {"reply": " ".join(one["content"] for one in asked.json["messages"] if one["role"] == "user")}

    with AppServer(answer) as service:
        body = '{messages: "{{ messages }}"}'
        ran, shown = run(project, f'{{http: {{url: "{service.url}/chat", body: {body}, answer: $.reply}}}}')

    assert ran.parseoutcomes() == {"passed": 3}, shown
    assert [{"role": "user", "content": "hello"}] in asked_with
    assert [
        {"role": "user", "content": "rope"},
        {"role": "assistant", "content": "rope"},
        {"role": "user", "content": "tent"},
    ] in asked_with


@needs_http
def test_a_service_that_opens_the_session(project: Project) -> None:
    said: dict[str, list[str]] = {}

    def answer(asked: Asked) -> Any:
        session = asked.json["session"] or f"conversation-{len(said)}"
        said.setdefault(session, []).append(asked.json["message"])
        return {"reply": " ".join(said[session]), "conversation": session}

    with AppServer(answer) as service:
        body = '{message: "{{ input }}", session: "{{ session }}"}'
        keys = f'url: "{service.url}/chat", body: {body}, answer: $.reply, session: $.conversation'
        ran, shown = run(project, f"{{http: {{{keys}}}}}")

    assert ran.parseoutcomes() == {"passed": 3}, shown
    assert sorted(map(tuple, said.values())) == [("hello",), ("lamp", "stove"), ("rope", "tent")]


@needs_http
def test_a_session_keeps_its_type_and_is_said_once(project: Project) -> None:
    said: dict[int, list[str]] = {}

    def answer(asked: Asked) -> Any:
        opened = asked.json["session"] is None
        session = len(said) if opened else asked.json["session"]
        said.setdefault(session, []).append(asked.json["message"])
        return {"reply": " ".join(said[session]), **({"conversation": session} if opened else {})}

    with AppServer(answer) as service:
        body = '{message: "{{ input }}", session: "{{ session }}"}'
        keys = f'url: "{service.url}/chat", body: {body}, answer: $.reply, session: "$.conversation?"'
        ran, shown = run(project, f"{{http: {{{keys}}}}}")

    assert ran.parseoutcomes() == {"passed": 3}, shown
    assert sorted(map(tuple, said.values())) == [("hello",), ("lamp", "stove"), ("rope", "tent")]
    assert all(type(session) is int for session in said)


@needs_http
def test_a_conversation_without_the_session_is_an_error(project: Project) -> None:
    with AppServer(lambda _: {"reply": "rope tent lamp stove hello"}) as service:
        body = '{message: "{{ input }}", session: "{{ session }}"}'
        keys = f'url: "{service.url}/chat", body: {body}, answer: $.reply, session: "$.conversation?"'
        ran, shown = run(project, f"{{http: {{{keys}}}}}")

    assert ran.parseoutcomes() == {"passed": 1, "errors": 2}, shown
    assert "no session at $.conversation?" in shown


@needs_http
def test_a_service_that_is_sent_neither_is_refused_before_a_call(project: Project) -> None:
    with AppServer(lambda _: {"reply": "hello"}) as service:
        app = (
            f'{{http: {{url: "{service.url}/chat", body: {{message: "{{{{ input }}}}"}}, answer: $.reply}}}}'
        )
        ran, shown = run(project, app)

        assert service.asked == []
    assert ran.ret != 0
    assert "neither {{ messages }} nor {{ session }}" in shown


def test_a_command_is_sent_both(project: Project) -> None:
    project.write("bot.py", COMMAND)
    ran, shown = run(project, json.dumps({"command": [sys.executable, "bot.py"], "protocol": "jsonl"}))

    assert ran.parseoutcomes() == {"passed": 3}, shown
    results = json.loads((project.path / "run.json").read_text())["results"]
    texts = {result["case"].partition("::")[2]: result["outputs"][0]["text"] for result in results}
    assert texts["talk"] == "rope: ['rope']\n\ntent: ['rope', 'tent']"
