"""Failures of a provider: the app is called again, a bug of its own is not, and both are reported."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from pytest_llmops import Run, load_golden, run_golden
from pytest_llmops.gates.baseline import accept
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import GIVEN_UP
from pytest_llmops.reports.files.baseline_file import load_baseline, write_baseline
from pytest_llmops.reports.files.run_file import load_run, write_run
from pytest_llmops.runner.app.calls import AppCaller
from pytest_llmops.settings import Settings
from tests.openai_server import OpenAIServer

GOLDEN = "version: 1\ncases:\n"
CASE = "  - {id: a, input: hello, checks: {keywords: {all: [hello]}}}\n"


@pytest.fixture(autouse=True)
def waited(monkeypatch):
    seconds = []

    async def wait(pause_s):
        seconds.append(pause_s)

    monkeypatch.setattr("pytest_llmops.runner.app.calls.sleep", wait)
    return seconds


@pytest.fixture
def server():
    with OpenAIServer(latency_s=0.01) as server:
        yield server


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "golden.yaml"
    path.write_text(GOLDEN + CASE)
    golden = load_golden(path, root=tmp_path)

    def run(app, record="new", **options) -> Run:
        problems = []
        settings = Settings(root=tmp_path, record=record)
        made = run_golden(golden, app, settings=settings, problems=problems, **options)
        run.problems = problems
        return made

    return run


def ask(server, question):
    request = {"model": "small", "messages": [{"role": "user", "content": question}]}
    with httpx.Client(timeout=5) as client:
        reply = client.post(f"{server.url}/chat/completions", json=request)
    reply.raise_for_status()
    return reply.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("fault", ["500", "cut", "cut_body"])
def test_an_app_that_a_provider_broke_is_called_again_and_that_is_reported(run, server, fault, tmp_path):
    server.faults.append(fault)

    result = run(lambda question: ask(server, question)).results[0]

    assert [output.text for output in result.outputs] == ["Echo: hello"]
    assert result.outputs[0].attempts == 2
    assert not result.failures
    assert "a provider failed in 1 of 1 call of the app, made again, then answered" in run.problems[-1]
    write_run(Run(signature={}, results=(result,)), tmp_path / "run.json")
    assert load_run(tmp_path / "run.json").results == (result,)


def test_only_what_fails_in_all_attempts_is_an_error(run, server, waited):
    server.fault = "500"

    result = run(lambda question: ask(server, question)).results[0]

    (failure,) = result.failures
    assert failure.attempts == len(server.requests) == 3
    assert "status 500" in failure.failed_calls[0].error
    assert len(waited) == 2
    assert "made again: 1 in vain" in "\n".join(run.problems)


@pytest.mark.parametrize("raised", [ConnectionResetError("gone"), TimeoutError("slow")])
def test_a_client_that_the_recorder_does_not_know_shows_it_by_its_exception(run, raised):
    tries = []

    def app(question):
        tries.append(question)
        if len(tries) < 3:
            try:
                raise raised
            except OSError as error:
                raise RuntimeError("no answer") from error
        return question

    assert run(app).results[0].outputs[0].attempts == 3


@pytest.mark.parametrize("fault", ["401", "404"])
def test_what_no_second_attempt_mends_is_not_tried_again(run, server, fault):
    server.fault = fault
    (failure,) = run(lambda question: ask(server, question)).results[0].failures
    assert (failure.attempts, len(server.requests)) == (1, 1)


def test_a_bug_of_the_app_is_its_result_also_after_a_call_that_was_answered(run, server):
    def app(question):
        raise KeyError(ask(server, question))

    results = run(app, repeats=3).results
    assert [failure.attempts for failure in results[0].failures] == [1, 1, 1]
    assert len(server.requests) == 3
    assert "made again" not in "\n".join(run.problems)


def test_a_bug_behind_a_failed_call_stays_an_error(run, server):
    def app(question):
        server.fault = None if len(server.requests) else "500"
        ask(server, question)
        raise KeyError(question)

    (failure,) = run(app).results[0].failures
    assert failure.attempts == 2
    assert "KeyError" in failure.error


def test_spans_of_a_given_up_attempt_are_marked(tmp_path, server):
    server.faults.append("500")
    recorder = Recorder(committed=tmp_path / "kept", local=tmp_path / "local", mode="all")
    caller = AppCaller(app=lambda question: ask(server, question), recorder=recorder, timeout_s=5, prices={})
    recorder.install()
    try:
        spans = asyncio.run(caller.call("a", 0, "hello")).spans
    finally:
        recorder.uninstall()
    assert [span.attributes.get(GIVEN_UP) for span in spans] == [1, None]


def test_a_share_of_calls_that_rose_against_the_baseline_is_named(run, server, tmp_path):
    base = run(lambda question: ask(server, question), repeats=10)
    write_baseline(accept(None, base).baseline, tmp_path / "baseline.json")
    server.faults.extend(["500"] * 5)

    def app(question):
        return ask(server, question)

    again = run(app, repeats=10, baseline=load_baseline(tmp_path / "baseline.json"), record="all")

    assert "in 5 of 10 calls of the app" in run.problems[-1]
    assert run.problems[-1].endswith("0 of 10 in the baseline: it fails more often than it did")
    write_baseline(accept(None, again).baseline, tmp_path / "baseline.json")
    assert load_baseline(tmp_path / "baseline.json").results[0].tried_again == 5
