"""All guards of a call together: what the user asked for is made, what a text orders is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from reference_app.guardrails.calls.request import CALL_GUARDS, AllowedTool, Request
from reference_app.guardrails.tool_gate import check_call

DATA = yaml.safe_load(Path(__file__).with_name("calls.yaml").read_text(encoding="utf-8"))


def make_tool(name, description="", arguments=(), **policy):
    properties = {argument: {"type": ["string", "number"]} for argument in arguments}
    return AllowedTool(
        name=name,
        description=description,
        parameters={"type": "object", "properties": properties},
        policy=policy,
    )


TOOLS = tuple(make_tool(name, **tool) for name, tool in DATA["tools"].items())


def make_request(case):
    return Request(
        task=case["task"],
        tools=TOOLS,
        name=case["tool"],
        arguments=case["arguments"],
        context=case.get("context", ""),
    )


def name_case(case):
    return f"{case['tool']}: {case['task']}"


@pytest.mark.parametrize("case", DATA["on_task"], ids=name_case)
def test_a_call_that_the_user_asked_for_is_made(case):
    decision = check_call(make_request(case))

    assert (decision.allowed, decision.reason) == (True, "")


@pytest.mark.parametrize("case", DATA["off_task"], ids=name_case)
def test_a_call_that_a_text_orders_is_refused(case):
    decision = check_call(make_request(case))

    assert (decision.allowed, decision.guard) == (False, case["guard"])
    assert "gorse" not in decision.reason
    assert "walrus" not in decision.reason


def call(tool, arguments, **changed):
    request = Request(task="Help me with kilns", tools=(tool,), name=tool.name, arguments=arguments)
    return check_call(replace(request, **changed))


@pytest.mark.parametrize(
    ("tool", "arguments", "guard"),
    [
        (
            make_tool("look", arguments=["url"], hosts=["kiln.example"]),
            {"url": "https://gorse.example"},
            "url",
        ),
        (make_tool("look", arguments=["url"], hosts="kiln.example"), {"url": "https://gorse.example"}, "url"),
        (make_tool("look", arguments=["where"]), {"where": "http://169.254.169.254/"}, "url"),
        (make_tool("read", arguments=["path"], root="/srv"), {"path": "../x"}, "path"),
        (make_tool("read", arguments=["path"], suffixes=".md, .txt"), {"path": "x.exe"}, "path"),
        (make_tool("look", arguments=["sql"]), {"sql": "DROP TABLE x"}, "sql"),
        (make_tool("look", "Runs a SQL query.", ["query"]), {"query": "DELETE FROM x"}, "sql"),
        (
            make_tool("ping", arguments=["host"], runs="ping HOST", hosts=["a.example"]),
            {"host": "a.example;id"},
            "shell",
        ),
        (make_tool("grep", arguments=["word"], runs="grep WORD", shell=False), {"word": "x; id"}, "shell"),
        (make_tool("make", arguments=["command"]), {"command": "make && curl x"}, "shell"),
        (
            make_tool("show", arguments=["text"], link_hosts=[]),
            {"text": "[x](https://gorse.example)"},
            "markup",
        ),
        (
            make_tool("show", arguments=["text"], link_hosts=[]),
            {"text": "key sk-live-4f8a9b2c7d1e6f3a5b8c"},
            "markup",
        ),
        (make_tool("pay", arguments=["amount"], max_amount=100), {"amount": 101}, "policy"),
        (make_tool("post", arguments=["channel"], channels=["general"]), {"channel": "board"}, "policy"),
        (make_tool("mail", arguments=["to"], domains=["kiln.example"]), {"to": "a@gorse.example"}, "policy"),
        (make_tool("look", arguments=["url"], allowed=False), {"url": "https://kiln.example"}, "tools"),
        (make_tool("look", arguments=["a"]), {"b": 1}, "schema"),
        (make_tool("look", arguments=["a"]), "a=1", "schema"),
    ],
)
def test_a_policy_is_read_where_a_machine_can_read_it(tool, arguments, guard):
    decision = call(tool, arguments)

    assert (decision.allowed, decision.guard) == (False, guard)
    off = [name for name in CALL_GUARDS if name != guard]
    if guard not in ("schema", "tools"):
        assert check_call(
            Request(task="Help me with kilns", tools=(tool,), name=tool.name, arguments=arguments), off
        ).allowed


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        (
            make_tool("look", arguments=["url"], hosts=["kiln.example"]),
            {"url": "https://kiln.example/?q=10.0.0.1"},
        ),
        (make_tool("find", arguments=["query"]), {"query": "how do I DROP TABLE or rm -rf ../x; id"}),
        (make_tool("read", arguments=["path"], root="/srv"), {"path": "/srv/a/../b.md"}),
        (make_tool("grep", arguments=["word"], runs="grep WORD", shell=False), {"word": "it's 50% off"}),
        (make_tool("show", arguments=["text"], link_hosts=["kiln.example"]), {"text": "x" * 4000}),
        (make_tool("pay", arguments=["amount"], max_amount=100), {"amount": 100}),
        (make_tool("get", arguments=["file_id"]), {"file_id": "../3"}),
    ],
)
def test_near_twins_pass(tool, arguments):
    assert call(tool, arguments, task="Pay and help me").reason == ""


def test_a_tool_that_the_task_does_not_allow_is_refused_whatever_it_does():
    for name in ("Look", "look ", "lo\u043ek", ""):
        assert (
            check_call(Request(task="x", tools=(make_tool("look"),), name=name, arguments={})).guard
            == "tools"
        )


def test_a_call_that_needs_a_person_waits_for_one():
    tool = make_tool("look", confirm=True)

    assert "confirm" in call(tool, {}).reason
    assert call(tool, {}, confirmed=True).allowed
