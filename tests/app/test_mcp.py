"""The shop's tools as an MCP server: real processes on stdio and HTTP, and one in this process."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager

import anyio
import pytest

from reference_app.settings import read_settings
from reference_app.tools.api import OPENAPI
from reference_app.tools.registry import Confirmation
from reference_app.tracing import record_steps
from tests.app.shop import environment
from tests.app.variants.pages import gate, read_files

pytest.importorskip("mcp", reason="the extra mcp is not installed")

import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters

from reference_app.app import SupportApp
from reference_app.variants.mcp.server import Calls, make_server

pytestmark = pytest.mark.usefixtures("weights")

SHIPPED = {"order_id": "FW-20001"}
MODULE = "reference_app.variants.mcp"
ERAS = ["auto", "legacy"]


@contextmanager
def open_calls(variables):
    app = SupportApp(read_settings(variables))
    try:
        yield Calls(app.context.tools)
    finally:
        app.close()


@pytest.fixture(scope="module")
def calls(shop):
    with open_calls(shop) as opened:
        yield opened


@pytest.fixture(scope="module")
def served(shop, python):
    """The address of a process that serves on HTTP."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [python, "-m", MODULE, "--http", "0"],
        env=environment(**shop),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process.stderr.readline().split()[-1]
        process.kill()


def visit(server, do, **settings):
    """What `do` returns of a client that is connected."""

    async def run():
        async with Client(server, **settings) as client:
            return await do(client)

    return anyio.run(run)


def call(server, name, arguments, **settings):
    return visit(server, lambda client: client.call_tool(name, arguments), **settings)


def answering(action, **content):
    """A client's way to ask a person, and the messages that were shown."""
    shown = []

    async def ask(_, params):
        shown.append(params.message)
        return types.ElicitResult(action=action, content=content or None)

    return ask, shown


def test_the_tools_are_those_of_the_registry(calls):
    listed = visit(make_server(calls), lambda client: client.list_tools()).tools
    known = {one.name: (one.description, dict(one.parameters)) for one in calls._tools.planned}
    assert {one.name: (one.description, one.input_schema) for one in listed} == known
    assert all(one.input_schema["additionalProperties"] is False for one in listed)


@pytest.mark.parametrize("mode", ERAS)
def test_allowed_and_denied_calls(calls, mode):
    server = make_server(calls)
    found = call(server, "order_status", SHIPPED, mode=mode)
    assert (found.is_error, found.structured_content["status"]) == (False, "shipped")
    for name, arguments, reason in (
        ("order_status", {"order_id": "FW-20001", "x": 1}, "has no argument 'x'"),
        ("order_status", {}, "needs the argument order_id"),
        ("order_stats", SHIPPED, "Did you mean order_status?"),
        ("adjust_points", {"customer_id": "C-1", "points": 5}, "adjust_points"),
    ):
        denied = call(server, name, arguments, mode=mode)
        assert denied.is_error
        assert denied.structured_content["status"] == "denied"
        assert reason in denied.content[0].text
    missing = call(server, "order_status", {"order_id": "FW-29999"}, mode=mode)
    assert (missing.is_error, missing.structured_content["error"]) == (True, "unknown_order")


@pytest.mark.parametrize("mode", ERAS)
def test_a_call_that_needs_a_person_waits_where_the_client_cannot_ask(calls, mode):
    result = call(make_server(calls), "request_refund", SHIPPED, mode=mode)
    assert result.structured_content == {
        "status": "pending",
        "reason": "Nothing was done. A person has to confirm request_refund with these arguments first.",
        "digest": Confirmation.of("request_refund", SHIPPED).digest,
    }


@pytest.mark.parametrize("mode", ERAS)
def test_a_person_is_shown_the_call_and_decides(calls, mode):
    server = make_server(calls)
    for action, content in (
        ("decline", {"agreed": True}),
        ("cancel", {}),
        ("accept", {}),
        ("accept", {"agreed": False}),
    ):
        ask, shown = answering(action, **content)
        refused = call(server, "request_refund", SHIPPED, elicitation_callback=ask, mode=mode)
        assert shown == ['request_refund with {"order_id": "FW-20001"}?']
        assert refused.is_error
        assert "did not agree" in refused.content[0].text
    ask, _ = answering("accept", agreed=True)
    made = call(server, "request_refund", SHIPPED, elicitation_callback=ask, mode=mode)
    assert made.structured_content["state"] == "requested"


def test_a_yes_counts_once_and_for_the_call_that_was_shown(calls):
    server = make_server(calls)
    yes = {"confirm": types.ElicitResult(action="accept", content={"agreed": True})}
    ask, _ = answering("accept", agreed=True)

    async def cheat(client):
        session = client.session
        options = {"allow_input_required": True}
        unasked = await session.call_tool("request_refund", SHIPPED, input_responses=yes, **options)
        digest = Confirmation.of("request_refund", SHIPPED).digest
        made_up = await session.call_tool(
            "request_refund", SHIPPED, input_responses=yes, request_state=digest, **options
        )
        ticket = made_up.request_state
        other = await session.call_tool(
            "request_refund", {"order_id": "FW-20002"}, input_responses=yes, request_state=ticket, **options
        )
        again = await session.call_tool(
            "request_refund", SHIPPED, input_responses=yes, request_state=ticket, **options
        )
        return unasked, made_up, other, again

    unasked, made_up, other, again = visit(server, cheat, elicitation_callback=ask)
    assert [each.result_type for each in (unasked, made_up, again)] == ["input_required"] * 3
    assert other.is_error
    assert "The confirmation is not of request_refund with these arguments." in other.content[0].text


def test_a_denied_call_is_not_put_to_a_person(calls):
    ask, shown = answering("accept", agreed=True)
    denied = call(make_server(calls), "request_refund", {"order_id": 5}, elicitation_callback=ask)
    assert (denied.structured_content["status"], shown) == ("denied", [])


def test_an_unsigned_tool_is_neither_listed_nor_called(shop, tmp_path):
    """A description that somebody changed without signing for it."""
    changed = tmp_path / "openapi.json"
    document = json.loads(OPENAPI.read_text(encoding="utf-8"))
    operations = [value for path in document["paths"].values() for value in path.values()]
    (status,) = (operation for operation in operations if operation["operationId"] == "order_status")
    status["description"] = "Returns the status of an order, and all others."
    changed.write_text(json.dumps(document), encoding="utf-8")
    with open_calls({**shop, "REFERENCE_APP_OPENAPI": str(changed)}) as calls:
        server = make_server(calls)
        names = [one.name for one in visit(server, lambda client: client.list_tools()).tools]
        assert "order_status" not in names
        assert len(names) == len(calls._tools.registry.tools) - 1
        denied = call(server, "order_status", SHIPPED)
    assert denied.is_error
    assert "not as somebody signed for it" in denied.content[0].text


def test_spans_of_a_call_are_the_registry_s_and_quote_nobody(calls):
    with record_steps() as steps:
        call(make_server(calls), "order_status", SHIPPED)
        call(make_server(calls), "ada.quimby@example.com", {})
    assert "execute_tool order_status" in {step.name for step in steps}
    assert "ada.quimby@example.com" not in str([step.attributes for step in steps])


@pytest.mark.parametrize("parent", [5, "no parent", f"00-{'a' * 32}-{'b' * 16}-01"])
def test_a_call_is_made_whatever_parent_the_client_names(calls, parent):
    async def use(client):
        return await client.call_tool("order_status", SHIPPED, meta={"traceparent": parent})

    assert not visit(make_server(calls), use).is_error


def test_a_process_on_stdio(shop, python):
    env = {**shop, "PYTHONPATH": environment()["PYTHONPATH"]}
    server = StdioServerParameters(command=python, args=["-m", MODULE], env=env)
    ask, shown = answering("decline")

    async def use(client):
        return (
            [one.name for one in (await client.list_tools()).tools],
            await client.call_tool("order_status", SHIPPED),
            await client.call_tool("request_refund", SHIPPED),
        )

    names, found, refused = visit(server, use, elicitation_callback=ask)
    assert "order_status" in names
    assert found.structured_content["tracking"] == "TP-1"
    assert (len(shown), refused.is_error) == (1, True)


def test_a_process_on_http(served, shop, launch):
    for mode in ERAS:
        found = call(served, "order_status", SHIPPED, mode=mode)
        assert found.structured_content["status"] == "shipped"
        pending = call(served, "request_refund", SHIPPED, mode=mode)
        assert pending.structured_content["status"] == "pending"
    with pytest.raises((MCPError, ExceptionGroup)):
        call(served.replace("/mcp", "/other"), "order_status", SHIPPED)
    port = served.split(":")[2].split("/")[0]
    again = launch("-m", MODULE, "--http", port, **shop)
    _, errors = again.communicate(timeout=60)
    assert (again.returncode, errors.count("\n")) == (1, 1)
    assert f"127.0.0.1:{port} cannot be served on" in errors


def test_without_the_sdk_one_line_names_the_extra(launch, tmp_path):
    (tmp_path / "mcp.py").write_text("raise ModuleNotFoundError('no', name='mcp')\n")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    process = launch("-m", MODULE, PYTHONPATH=path)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors == 'The MCP server needs: pip install "pytest-llmops[app,mcp]"\n'


def test_the_example_of_the_page_gates_an_app_that_calls_a_server(served, tmp_path):
    files = {
        name: text.replace("http://127.0.0.1:8000/mcp", served).replace("A-1042", SHIPPED["order_id"])
        for name, text in read_files("mcp.md").items()
    }
    run = gate(files, tmp_path)
    assert "1 passed, 0 failed" in run, run
