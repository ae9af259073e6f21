"""`runs_on`: apps that need the main thread, or the event loop of the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from pytest_llmops import load_golden, run_golden
from tests.openai_server import OpenAIServer

ASYNC_PLUGIN = ("-p", "anyio.pytest_plugin")
BOUND = {
    "sqlite": """
        import sqlite3

        DATABASE = sqlite3.connect(":memory:")
        DATABASE.execute("create table capitals (country, capital)")
        DATABASE.execute("insert into capitals values ('France', 'Paris')")

        def answer(question):
            rows = DATABASE.execute("select capital from capitals where ? like '%' || country || '%'", (question,))
            return rows.fetchone()[0]
    """,
    "alarm": """
        import signal

        def give_up(signum, frame):
            raise TimeoutError("took too long")

        def answer(question):
            signal.signal(signal.SIGALRM, give_up)
            signal.alarm(5)
            try:
                return "Paris"
            finally:
                signal.alarm(0)
    """,
    "loop": """
        import asyncio

        async def think(question):
            await asyncio.sleep(0.001)
            return "Paris"

        def answer(question):
            return asyncio.get_event_loop().run_until_complete(think(question))
    """,
}
GOLDEN = """
    app: capitals:answer
    runs_on: {place}
    checks: {{keywords: {{all: [Paris]}}}}
    cases:
      - {{id: a, input: capital of France?}}
      - {{id: b, input: "France, capital?"}}
      - {{id: c, input: And France?}}
"""


def write(project, app, place="main_thread"):
    project.app(app)
    project.golden(GOLDEN.format(place=place))


@pytest.mark.parametrize("shape", BOUND)
@pytest.mark.parametrize(
    "arguments",
    [(), ("-n", "2", "--llm-concurrency", "8"), ("--llm-repeats", "auto"), ("--llm-timeout-s", "5")],
    ids=["plain", "workers", "auto", "timeout"],
)
def test_an_app_works_in_the_thread_that_it_needs(project, shape, arguments):
    write(project, BOUND[shape])
    project.run(*arguments).assert_outcomes(passed=3)


@pytest.mark.parametrize("shape", BOUND)
def test_on_threads_the_failure_names_the_place(project, shape):
    write(project, BOUND[shape], "threads")
    result = project.run()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*the app raised *; `runs_on: main_thread` in the golden file calls *main thread"])


CLIENTS = {
    "openai": """
        from openai import AsyncOpenAI

        def connect():
            return AsyncOpenAI(base_url=os.environ["URL"], api_key="none", max_retries=0)

        async def ask(client, question):
            completion = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": str(question)}]
            )
            return completion.choices[0].message.content
    """,
    "openai_on_aiohttp": """
        from openai import AsyncOpenAI, DefaultAioHttpClient

        def connect():
            return AsyncOpenAI(
                base_url=os.environ["URL"], api_key="none", max_retries=0, http_client=DefaultAioHttpClient()
            )

        async def ask(client, question):
            completion = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": str(question)}]
            )
            return completion.choices[0].message.content
    """,
    "httpx": """
        import httpx

        def connect():
            return httpx.AsyncClient(base_url=os.environ["URL"])

        async def ask(client, question):
            body = {"model": "m", "messages": [{"role": "user", "content": str(question)}]}
            response = await client.post("/chat/completions", json=body)
            return response.json()["choices"][0]["message"]["content"]
    """,
    "aiohttp": """
        import aiohttp

        def connect():
            return aiohttp.ClientSession()

        async def ask(client, question):
            body = {"model": "m", "messages": [{"role": "user", "content": str(question)}]}
            async with client.post(os.environ["URL"] + "/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]
    """,
    "queue": """
        def connect():
            asked, answered = asyncio.Queue(), asyncio.Queue()

            async def work():
                while True:
                    await asyncio.sleep(0.001)
                    await answered.put("Paris for " + str(await asked.get()))

            asked.worker, asked.answered = asyncio.ensure_future(work()), answered
            return asked

        async def ask(client, question):
            await client.put(question)
            return await client.answered.get()
    """,
}
SESSION = """
    import pytest
    import bots
    {imported}

    {backend}

    {fixture}
    async def llm_app({arguments}):
        client = bots.connect()
        assert "Paris" in await bots.ask(client, "warm up")

        async def answer(question):
            return await bots.ask(client, question)

        yield answer
"""
BY_ANYIO = {
    "imported": "",
    "backend": '@pytest.fixture(scope="session")\n    def anyio_backend():\n        return "asyncio"',
    "fixture": '@pytest.fixture(scope="session")',
    "arguments": "anyio_backend",
}
BY_ASYNCIO = {
    "imported": "import pytest_asyncio",
    "backend": "",
    "fixture": '@pytest_asyncio.fixture(scope="session", loop_scope="session")',
    "arguments": "",
}


@pytest.fixture(params=["anyio", "pytest_asyncio"])
def session_app(request, project, monkeypatch):
    """Write a project whose app has a client on the loop of its session; return pytest's arguments for it."""
    plugin = "anyio.pytest_plugin"
    if request.param == "pytest_asyncio":
        pytest.importorskip("pytest_asyncio")
        plugin = "pytest_asyncio.plugin"

    def write_app(client, place):
        project.write("bots.py", "import asyncio, os\n" + textwrap.dedent(CLIENTS[client]))
        by_plugin = BY_ANYIO if request.param == "anyio" else BY_ASYNCIO
        project.write("conftest.py", SESSION.format(**by_plugin))
        project.golden(GOLDEN.format(place=place))
        return ("-p", plugin)

    with OpenAIServer(answer=lambda body: f"Paris for {len(str(body))}") as server:
        monkeypatch.setenv("URL", server.url)
        yield write_app


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("arguments", [(), ("-n", "2", "--llm-concurrency", "8")], ids=["plain", "workers"])
def test_a_client_works_on_the_loop_of_the_session(project, session_app, client, arguments):
    plugin = session_app(client, "test_loop")
    project.run(*plugin, "--llm-timeout-s", "5", *arguments).assert_outcomes(passed=3)


@pytest.mark.parametrize("client", ["openai_on_aiohttp", "aiohttp", "queue"])  # httpx may connect anew
def test_on_another_loop_the_failure_names_the_place(project, session_app, client):
    plugin = session_app(client, "threads")
    result = project.run(*plugin, "--llm-timeout-s", "5")
    result.stdout.fnmatch_lines(["*; `runs_on: test_loop` in the golden file calls *the loop of the tests"])
