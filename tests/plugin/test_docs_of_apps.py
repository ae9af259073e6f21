"""The services and programs that docs/apps.md shows are apps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
import yaml

from tests.app_server import AppServer, Asked, Reply
from tests.extras import needs_http
from tests.plugin.conftest import Project

PAGE = (Path(__file__).parents[2] / "docs" / "apps.md").read_text(encoding="utf-8")
QUESTION = "Are boots & socks returned?"
SOURCES = [{"id": "a", "text": "60 days"}]


def sections() -> dict[str, str]:
    """The headings with the YAML below them."""
    found = re.findall(r"^### (.+?)\n\n```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return dict(found)


def answer_to(question: str) -> str:
    return f"You asked: {question}"


def events(*parts: Any) -> Reply:
    lines = (f"data: {part if isinstance(part, str) else json.dumps(part)}\n\n" for part in parts)
    return Reply(body=lines, headers={"content-type": "text/event-stream"})


def _openai(asked: Asked) -> Any:
    text = answer_to(asked.json["messages"][0]["content"])
    usage = {"prompt_tokens": 1, "completion_tokens": 2}
    if not asked.json.get("stream"):
        assert asked.headers["authorization"] == "Bearer a-token"
        return {"choices": [{"message": {"role": "assistant", "content": text}}], "usage": usage}

    def chunk(delta: Mapping[str, str], finish: str | None = None) -> Any:
        return {"object": "chat.completion.chunk", "choices": [{"delta": delta, "finish_reason": finish}]}

    last = {"object": "chat.completion.chunk", "choices": [], "usage": usage}
    parts = [chunk({"content": part}) for part in re.findall(r".{1,5}", text)]
    return events(*parts, chunk({}, "stop"), last, "[DONE]")


def _langserve(asked: Asked) -> Any:
    assert asked.json["config"]["configurable"]["session_id"]
    context = [{"page_content": "60 days", "metadata": {"source": "a"}}]
    return {"output": {"answer": answer_to(asked.json["input"]["question"]), "context": context}}


def _langgraph(asked: Asked) -> Any:
    (message,) = asked.json["input"]["messages"]
    return {
        "messages": [{"type": "human", **message}, {"type": "ai", "content": answer_to(message["content"])}]
    }


def _ollama(asked: Asked) -> Any:
    parts = re.findall(r".{1,5}", answer_to(asked.json["prompt"]))
    lines = [*({"response": part, "done": False} for part in parts), {"response": "", "done": True}]
    return Reply(body=(f"{json.dumps(line)}\n" for line in lines))


def _graphql(asked: Asked) -> Any:
    assert asked.json["query"].startswith("query ($text: String!) { ask(text: $text)")
    return {"data": {"ask": {"reply": answer_to(asked.json["variables"]["text"]), "sources": SOURCES}}}


def _form(asked: Asked) -> Any:
    sent = parse_qs(asked.body.decode())
    assert sent["lang"] == ["en"]
    return {"html": answer_to(sent["q"][0])}


SERVICES: dict[str, Callable[[Asked], Any]] = {
    "JSON, as of FastAPI": lambda asked: {"reply": answer_to(asked.json["message"]), "sources": SOURCES},
    "OpenAI-compatible": _openai,
    "OpenAI-compatible, streamed": _openai,
    "LangServe": _langserve,
    "LangGraph server": _langgraph,
    "Server-sent events": lambda asked: events(
        {"documents": SOURCES},
        *({"token": part} for part in re.findall(r".{1,5}", answer_to(asked.json["question"]))),
    ),
    "JSON lines, as of Ollama": _ollama,
    "GraphQL": _graphql,
    "Plain text by GET": lambda asked: answer_to(unquote(asked.path.rpartition("/")[2])),
    "A form": _form,
    "Several messages, as of a Rasa webhook": lambda asked: [
        {"recipient_id": asked.json["sender"], "text": part}
        for part in ("You asked: ", asked.json["message"])
    ],
}


def run(project: Project, app: str) -> Any:
    """Ask the question; the output that came of it."""
    case = {"id": "a", "input": QUESTION, "reference": answer_to(QUESTION), "checks": {"exact_match": True}}
    path = project.path / "golden" / "capitals.yaml"
    path.write_text(f"{app}cases: {json.dumps([case])}\n", encoding="utf-8")
    project.run_here("--llm-out", "run.json").assert_outcomes(passed=1)
    return json.loads((project.path / "run.json").read_text())["results"][0]["outputs"][0]


def test_every_shape_is_tested() -> None:
    assert sections().keys() == SERVICES.keys()
    assert len(SERVICES) >= 10
    assert [len(block.splitlines()) for block in sections().values() if block.count("\n") > 15] == []


@needs_http
@pytest.mark.parametrize("name", SERVICES)
def test_a_shape_of_services(project: Project, name: str) -> None:
    project.environment.setenv("SHOP_TOKEN", "a-token")
    with AppServer(SERVICES[name]) as service:
        project.environment.setenv("SHOP_URL", service.url)
        output = run(project, sections()[name])
    written = yaml.safe_load(sections()[name])["app"]["http"]
    assert [passage["id"] for passage in output["passages"] or ()] == (["a"] if "passages" in written else [])
    assert output["usage"]["stated"] == ("tokens" in written)


@needs_http
def test_the_first_example(project: Project) -> None:
    block = re.search(r"```yaml\n(app:\n.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert block is not None

    def answer(asked: Asked) -> Any:
        if asked.path == "/health":
            return {"commit": "abc1"}
        usage = {"prompt_tokens": 1, "completion_tokens": 2}
        return {"reply": "Within 60 days.", "sources": [], "calls": [], "usage": usage}

    project.environment.setenv("SHOP_TOKEN", "a-token")
    with AppServer(answer) as service:
        project.environment.setenv("SHOP_URL", service.url)
        (project.path / "golden" / "capitals.yaml").write_text(block[1], encoding="utf-8")
        project.run_here().assert_outcomes(passed=1)


def block_of(language: str, number: int = 0) -> str:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[number]


PROGRAMS = {
    "python": ("bot.py", block_of("python"), ["python3", "bot.py"], "jsonl"),
    "node": ("bot.js", block_of("js"), ["node", "bot.js"], "jsonl"),
    "go": ("bot.go", block_of("go"), ["go", "run", "bot.go"], "jsonl"),
    "shell, stdin": ("bot.sh", block_of("sh"), ["sh", "bot.sh"], "stdin"),
    "shell, argv": ("bot.sh", block_of("sh", 1), ["sh", "bot.sh"], "argv"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(project: Project, name: str) -> None:
    file, text, command, protocol = PROGRAMS[name]
    if which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    (project.path / file).write_text(text, encoding="utf-8")
    run(project, f"app: {json.dumps({'command': command, 'protocol': protocol})}\n")
