"""Messages of MCP over HTTP that a golden file lists: recorded, and replayed in other sessions."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests
import uvicorn
from mcp import Client
from mcp.server.mcpserver import MCPServer

from pytest_llmops.recorder import CallRules
from pytest_llmops.recorder.explanation import explain
from pytest_llmops.recorder.mcp_messages import with_id
from pytest_llmops.records import ToolCall
from pytest_llmops.runner.app.calls import choose_calls
from pytest_llmops.runner.usage import usage_of
from pytest_llmops.traces.reading import run_by
from tests.unit.recorder.asking import CASE

MODES = ("auto", "legacy")  # the protocol without a session, and the one with `initialize`


class ToolServer:
    """The SDK's server on a free port, which counts the runs of its tool."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        tools = MCPServer("shop")

        @tools.tool()
        def stock(item: str) -> str:
            """Units in stock."""
            self.ran.append(item)
            return f"{len(self.ran)} of {item}"

        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            tools.streamable_http_app(), log_level="critical", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)


@pytest.fixture
def server() -> Iterator[ToolServer]:
    running = ToolServer()
    yield running
    running.close()


def listed(port: int) -> CallRules:
    return CallRules(also=(f"POST 127.0.0.1:{port}/mcp",))


def run_tool(port: int, item: str, mode: str, *, listing: bool = True) -> str:
    async def run() -> str:
        async with Client(f"http://127.0.0.1:{port}/mcp", mode=mode) as client:
            if listing:
                await client.list_tools()
            result = await client.call_tool("stock", {"item": item})
            return result.content[0].text

    return asyncio.run(run())


@pytest.mark.parametrize("mode", MODES)
def test_a_tool_of_a_server_is_run_once_and_replayed_without_it(recorder, server: ToolServer, mode: str):
    with recorder().recording(CASE, 0, rules=listed(server.port)):
        assert run_tool(server.port, "tents", mode) == "1 of tents"
    server.close()

    with recorder("none").recording(CASE, 0, rules=listed(server.port)) as log:
        # Without the list the messages that follow have other ids than those that were recorded.
        assert run_tool(server.port, "tents", mode, listing=False) == "1 of tents"

    assert server.ran == ["tents"]
    assert {call.outcome for call in log.calls} == {"replayed"}
    [ran] = run_by(log.calls)
    assert (ran.name, ran.arguments, ran.result) == ("stock", {"item": "tents"}, {"result": "1 of tents"})


@pytest.mark.parametrize("mode", MODES)
def test_messages_are_no_calls_of_a_model(recorder, server: ToolServer, mode: str):
    with recorder().recording(CASE, 0, rules=listed(server.port)) as log:
        run_tool(server.port, "tents", mode)

    usage = usage_of(log, {})
    assert (usage.calls, usage.prompt_tokens, usage.cost_usd) == (0, 0, 0.0)
    assert {call.kind for call in log.calls} == {"mcp"}


def test_other_arguments_are_another_message(recorder, server: ToolServer):
    with recorder().recording(CASE, 0, rules=listed(server.port)):
        run_tool(server.port, "tents", "auto")

    with (
        recorder("none").recording(CASE, 0, rules=listed(server.port)) as log,
        pytest.raises(BaseExceptionGroup),
    ):
        run_tool(server.port, "boots", "auto")

    assert "the request POST loopback/mcp is not recorded" in str(log.error)
    assert "params.arguments.item: 'tents' -> 'boots'" in str(log.error)


def test_a_session_that_was_replayed_is_unknown_to_its_server(recorder, server: ToolServer, tmp_path):
    with recorder().recording(CASE, 0, rules=listed(server.port)):
        run_tool(server.port, "tents", "legacy")

    with (
        recorder().recording(CASE, 0, rules=listed(server.port)) as log,
        pytest.raises(BaseExceptionGroup),
    ):
        run_tool(server.port, "boots", "legacy")

    assert server.ran == ["tents"]
    assert "loopback/mcp is not recorded, and its server (status 400) knows no session" in str(log.error)
    assert str(log.error).endswith("Record the case anew with --llm-record all.")

    with recorder().recording(CASE, 0, rules=listed(server.port)) as log:
        run_tool(server.port, "tents", "legacy")
        # A message to another place has nothing to do with the session that was replayed.
        requests.post(
            f"http://127.0.0.1:{server.port}/other", json={"jsonrpc": "2.0", "method": "m"}, timeout=9
        )
    assert log.error is None
    text = explain(tmp_path / ".llmops/explain", CASE)
    assert text.startswith(f"{CASE}: 0 model calls, 0 replayed, 0 made, 0 failed; ")
    assert " messages to tool servers, " in text.splitlines()[0]


def test_a_server_that_is_not_listed_is_asked_each_time(recorder, server: ToolServer):
    for _ in range(2):
        with recorder().recording(CASE, 0) as log:
            run_tool(server.port, "tents", "auto")
        assert log.calls == []
    assert server.ran == ["tents", "tents"]


def post(port: int, **message: Any) -> dict[str, Any]:
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": message["method"],
    }
    url = f"http://127.0.0.1:{port}/mcp"
    return requests.post(url, json={"jsonrpc": "2.0", **message}, headers=headers, timeout=10).json()


def test_any_client_gets_the_answer_under_the_id_of_its_message(recorder, server: ToolServer):
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    with recorder().recording(CASE, 0, rules=listed(server.port)):
        traced = {**meta, "traceparent": "00-1-2-01", "progressToken": 3}
        made = post(server.port, id=1, method="tools/list", params={"_meta": traced})
    with recorder("none").recording(CASE, 0, rules=listed(server.port)):
        replayed = post(server.port, id="x-2", method="tools/list", params={"_meta": meta})

    assert (made["id"], made["result"]["tools"][0]["name"]) == (1, "stock")
    assert replayed == {**made, "id": "x-2"}


def test_only_the_answer_in_a_stream_gets_the_id():
    event = 'data: {"jsonrpc": "2.0", "id": 4, %s}\r\n'
    stream = "event: message\r\n" + event % '"method": "ping"' + event % '"result": {}' + "\r\n"

    assert with_id(stream, 9) == stream.replace('4, "result"', '9, "result"')


def test_calls_of_spans_that_have_names_alone_get_their_arguments_from_the_messages():
    bare, ran = (ToolCall(name="stock", arguments=arguments) for arguments in ({}, {"item": "tents"}))
    other = replace(bare, name="refund")

    assert choose_calls((bare,), (ran,)) == choose_calls((), (ran,)) == (ran,)
    assert choose_calls((other,), (ran,)) == (other,)
    assert choose_calls((replace(ran, arguments={"item": "x"}),), (ran,))[0].arguments == {"item": "x"}
