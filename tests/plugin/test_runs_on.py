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
