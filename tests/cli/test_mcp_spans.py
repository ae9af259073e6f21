"""An app that calls an MCP server by the SDK: its calls reach `tool_calls` by the client's spans alone."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed")

ROOT = Path(__file__).parents[2]
APP = """
import asyncio, sys
from mcp import Client, StdioServerParameters
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
SERVER = StdioServerParameters(command=sys.executable, args=[{server!r}, {config!r}])

async def ask(question):
    async with Client(SERVER) as client:
        await client.list_tools()
        return (await client.call_tool(question, {{}})).content[0].text

def answer(question):
    return asyncio.run(ask(question))
"""
GOLDEN = """
app: shop_app:answer
cases:
  - {id: right, input: store_stock, checks: {tool_calls: [{name: store_stock}]}}
  - {id: wrong, input: order_status, checks: {tool_calls: [{name: store_stock}]}}
"""


def test_calls_of_an_mcp_client_are_tool_calls_of_the_case(tmp_path, python):
    config = tmp_path / "config.json"
    schema = {"type": "object", "properties": {}}
    tools = [{"name": name, "inputSchema": schema} for name in ("store_stock", "order_status")]
    config.write_text(json.dumps({"tools": tools}), encoding="utf-8")
    app = APP.format(server=str(ROOT / "tests/mcp_server.py"), config=str(config))
    (tmp_path / "shop_app.py").write_text(app, encoding="utf-8")
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden/shop.yaml").write_text(GOLDEN, encoding="utf-8")
    (tmp_path / "pyproject.toml").touch()
    command = [python, "-m", "pytest", "--llm-golden", "-p", "no:cacheprovider", "-q"]
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    counts = pytest.RunResult.parse_summary_nouns(done.stdout.splitlines())
    counts.pop("warnings", None)
    assert counts == {"failed": 1, "passed": 1}, done.stdout + done.stderr
    assert "golden/shop.yaml:5: wrong" in done.stdout
