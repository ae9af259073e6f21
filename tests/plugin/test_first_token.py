"""`first_token_s`: how long a streamed answer takes to begin."""

from __future__ import annotations

import json

import pytest

from pytest_llmops.metrics.conversations import join_outputs
from pytest_llmops.recorder.limits.gate import Pauses
from pytest_llmops.records import CaseTurn, Output, TurnOutput

APPS = {
    "generator": """
        import time

        def answer(question):
            yield ""
            time.sleep(0.3)
            yield "Sixty "
            time.sleep(0.3)
            yield "days."
    """,
    "async generator": """
        import asyncio

        async def answer(question):
            await asyncio.sleep(0.3)
            yield "Sixty "
            await asyncio.sleep(0.3)
            yield "days."
    """,
    "async function that returns a generator": """
        import time

        async def answer(question):
            def pieces():
                time.sleep(0.3)
                yield "Sixty "
                time.sleep(0.3)
                yield "days."
            return pieces()
    """,
}
GOLDEN = """
    app: desk:answer
    cases:
      - {id: hello, input: hello, checks: {first_token_s: "<= %s", keywords: {all: [Sixty days.]}}}
"""


@pytest.mark.parametrize("app", APPS.values(), ids=APPS)
def test_it_is_the_time_until_the_first_piece_with_a_text(project, app):
    project.write("desk.py", app)
    project.golden(GOLDEN % 0.2)
    assert project.run_here("--llm-out", "run.json").ret == 1  # no quicker than it is

    project.golden(GOLDEN % 30)
    assert project.run_here("--llm-out", "run.json").ret == 0
    (output,) = json.loads((project.path / "run.json").read_text())["results"][0]["outputs"]
    assert 0.3 <= output["first_token_s"] <= output["latency_s"] - 0.3


@pytest.mark.parametrize(
    "app",
    [
        "def answer(question): return 'Sixty days.'",
        "def answer(question):\n    yield ''",
    ],
    ids=["whole", "nothing"],
)
def test_an_answer_whose_beginning_nobody_saw_is_an_error(project, app):
    project.write("desk.py", app)
    project.golden(GOLDEN % 9)
    project.run_here().stdout.fnmatch_lines(["*nobody saw the first text come*"])


def test_of_a_conversation_it_is_that_of_the_slowest_turn():
    def turns(*first_s):
        return [
            TurnOutput(asked=CaseTurn(user="hi"), output=Output(text="yes", first_token_s=one))
            for one in first_s
        ]

    assert join_outputs(turns(0.2, 0.7, 0.1)).first_token_s == 0.7
    assert join_outputs(turns(0.2, None)).first_token_s is None


def test_waiting_for_a_limit_counts_up_to_a_moment(monkeypatch):
    now = iter([10.0, 12.0, 20.0, 25.0])
    monkeypatch.setattr("pytest_llmops.recorder.limits.gate.time.perf_counter", lambda: next(now))
    pauses = Pauses()
    for _ in range(2):
        pauses.begin()
        pauses.end()

    assert pauses.total_s(9.0) == 0
    assert pauses.total_s(11.0) == 1
    assert pauses.total_s(21.0) == 3
    assert pauses.total_s() == 7
