"""A golden run without pytest: real HTTP, real retries, real time limits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent import futures

import openai
import pytest

from pytest_llmops import Output, Run, compare, load_golden, run_golden
from pytest_llmops.settings import Settings
from tests.bare_thread import run_bare
from tests.openai_server import OpenAIServer

GOLDEN = """
version: 1
suite: {latency_s: {mean: "<= 60"}, tokens: {sum: "<= 100000"}, cost_usd: {sum: "<= 1"}}
cases:
"""


@pytest.fixture
def golden(tmp_path):
    def write(*cases: str, head: str = GOLDEN):
        path = tmp_path / "golden.yaml"
        path.write_text(head + "".join(f"  - {case}\n" for case in cases))
        return load_golden(path, root=tmp_path)

    return write


@pytest.fixture
def settings(tmp_path):
    def make(**changes) -> Settings:
        return Settings(root=tmp_path, **changes)

    return make


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


def client_of(server) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0)


def ask(client, question):
    reply = client.chat.completions.create(
        model="small", messages=[{"role": "user", "content": question}], temperature=0
    )
    return reply.choices[0].message.content


def test_calls_tokens_and_cost_are_counted_and_a_second_run_makes_none(golden, settings, server):
    client = client_of(server)
    file = golden("{id: a, input: hello, checks: {tokens: '> 0', cost_usd: '<= 0'}}", "{id: b, input: there}")
    first = run_golden(file, lambda question: ask(client, question), settings=settings())
    calls = len(server.requests)
    second = run_golden(file, lambda question: ask(client, question), settings=settings())
    assert (first.usage.calls, first.usage.replayed) == (2, 0)
    assert (second.usage.calls, second.usage.replayed) == (2, 2)
    assert len(server.requests) == calls == 2
    assert not [failure for result in second.results for failure in result.failures]
    assert [r.outputs[0].text for r in first.results] == [r.outputs[0].text for r in second.results]
    assert first.usage.prompt_tokens == second.usage.prompt_tokens > 0


def test_a_replayed_call_counts_with_the_time_it_once_took(golden, settings):
    with OpenAIServer(latency_s=0.3) as server:
        client = client_of(server)
        file = golden("{id: a, input: hello}")
        latencies = [
            run_golden(file, lambda question: ask(client, question), settings=settings())
            .results[0]
            .outputs[0]
            for _ in range(2)
        ]
    assert all(output.latency_s > 0.25 for output in latencies)


def test_a_metric_of_calls_without_a_call_is_an_error_and_no_zero(golden, settings):
    file = golden("{id: a, input: hello, checks: {tokens: '<= 100'}}")
    (result,) = run_golden(file, lambda _: "no model was asked", settings=settings()).results
    assert {failure.metric for failure in result.failures} == {"tokens", "cost_usd"}
    assert "tokens" not in {score.metric for score in result.scores}


@pytest.fixture
def waited(monkeypatch):
    """The pauses before a call is made again, which take no time."""
    seconds: list[float] = []

    async def wait(wait_s: float) -> None:
        seconds.append(wait_s)

    monkeypatch.setattr("pytest_llmops.runner.app.calls.sleep", wait)
    return seconds


def test_a_busy_endpoint_is_asked_again(golden, settings, waited):
    class BusyError(Exception):
        status_code = 429

    tries = []

    def app(question):
        tries.append(question)
        if len(tries) < 3:
            raise BusyError
        return "at last"

    (result,) = run_golden(
        golden("{id: a, input: hello}", head="version: 1\ncases:\n"), app, settings=settings()
    ).results
    assert result.outputs[0].text == "at last"
    assert len(tries) == 3
    assert waited == [1, 2]


def test_what_cannot_succeed_is_not_asked_again(golden, settings):
    tries = []

    def app(question):
        tries.append(question)
        raise ValueError(question)

    (result,) = run_golden(golden("{id: a, input: hello}"), app, settings=settings()).results
    assert len(tries) == 1
    (failure,) = result.failures
    assert failure.traceback.endswith("raise ValueError(question)\nValueError: hello")
    assert (failure.metric, failure.stage, failure.repeat) == ("", "app", 0)
    assert failure.error == "the app raised ValueError: hello"


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (futures.CancelledError("late"), "the app raised CancelledError: late"),
        (StopIteration("over"), "the app raised RuntimeError: StopIteration: over"),
        (SystemExit(3), "the app raised SystemExit: 3"),
    ],
)
def test_what_a_future_cannot_carry_is_what_the_app_raised(golden, settings, raised, error):
    def app(_):
        raise raised

    (result,) = run_golden(golden("{id: a, input: hello}"), app, settings=settings()).results
    assert [failure.error for failure in result.failures] == [error]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_questions_run_side_by_side_within_the_limit(golden, settings, kind):
    open_now, most = 0, 0
    lock = threading.Lock()

    def count(change):
        nonlocal open_now, most
        with lock:
            open_now += change
            most = max(most, open_now)

    def is_waiting():  # for as many as may be open, then a moment for one that may not
        return most < 4 and time.monotonic() < until

    def sync_app(question):
        count(1)
        while is_waiting():
            time.sleep(0.01)
        time.sleep(0.1)
        count(-1)
        return question

    async def async_app(question):
        count(1)
        while is_waiting():  # noqa: ASYNC110 - for calls that may be of other threads
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        count(-1)
        return question

    until = time.monotonic() + 30
    file = golden(*(f"{{id: c{number}, input: q{number}}}" for number in range(12)))
    run = run_golden(file, sync_app if kind == "sync" else async_app, settings=settings(concurrency=4))
    assert most == 4
    assert [result.outputs[0].text for result in run.results] == sorted(f"q{number}" for number in range(12))


def test_repeats_are_further_calls_and_each_is_recorded(golden, settings, server):
    client = client_of(server)
    file = golden("{id: a, input: hello, repeats: 3}")
    for calls in (3, 3):
        run = run_golden(file, lambda question: ask(client, question), settings=settings())
        assert [output.repeat for output in run.results[0].outputs] == [0, 1, 2]
        assert len(server.requests) == calls


def test_an_async_client_is_recorded_too(golden, settings, server):
    async def app(question):
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
            reply = await client.chat.completions.create(
                model="small", messages=[{"role": "user", "content": question}]
            )
        return Output(text=reply.choices[0].message.content or "", model="mine")

    file = golden("{id: a, input: hello}")
    runs = [run_golden(file, app, settings=settings()) for _ in range(2)]
    assert [run.usage.replayed for run in runs] == [0, 1]
    assert runs[1].results[0].outputs[0].model == "mine"


def test_many_runs_in_one_process_leave_nothing_behind(golden, settings):
    file = golden("{id: a, input: hello, checks: {keywords: {all: [hello]}}}", head="version: 1\ncases:\n")
    before = threading.active_count()
    for _ in range(50):
        run = run_golden(file, str, settings=settings())
        assert isinstance(run, Run)
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.mark.usefixtures("waited")
def test_a_busy_answer_makes_no_earlier_call_again(golden, settings, server):
    """Two calls, the second busy twice: four requests in all, and the first is paid once."""
    client = client_of(server)
    server.faults.extend([None, "500", "500"])

    def app(question):
        return ask(client, ask(client, question))

    (result,) = run_golden(golden("{id: a, input: hello}"), app, settings=settings()).results
    assert result.outputs[0].text == "Echo: Echo: hello"
    assert len(server.requests) == 4
    usage = result.outputs[0].usage
    assert (usage.calls, usage.failed, usage.replayed) == (4, 2, 0)


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_an_app_that_blocks_meets_the_time_limit(golden, settings, kind):
    async def async_app(question):
        time.sleep(1)  # noqa: ASYNC251 - the mistake that is tested
        return question

    def sync_app(question):
        time.sleep(1)
        return question

    file = golden("{id: a, input: x}", "{id: b, input: y}")
    app = async_app if kind == "async" else sync_app
    results = run_golden(file, app, settings=settings(timeout_s=0.1)).results
    assert {result.failures[0].error for result in results} == {"no answer within 0.1 s (timeout_s)"}


def test_calls_side_by_side_count_once_when_replayed(golden, settings):
    async def app(question):
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
            await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="small", messages=[{"role": "user", "content": f"{question} {number}"}]
                    )
                    for number in range(5)
                )
            )
        return question

    with OpenAIServer(latency_s=0.3) as server:
        file = golden("{id: a, input: hello}")
        live, again = (
            run_golden(file, app, settings=settings()).results[0].outputs[0].latency_s for _ in range(2)
        )
    assert again < live + 0.6  # one after the other would be 1.2 s more


def test_a_thread_without_context_belongs_to_the_only_case(golden, settings, server):
    client = client_of(server)

    def app(question):
        return run_bare(lambda: ask(client, question))

    file = golden("{id: a, input: hello}")
    runs = [run_golden(file, app, settings=settings(concurrency=1)) for _ in range(2)]
    assert [run.usage.replayed for run in runs] == [0, 1]


def test_a_call_of_nobody_is_told_and_never_made_in_silence(golden, settings, server):
    client = client_of(server)

    both_in_work = threading.Barrier(2)

    def app(question):
        both_in_work.wait(10)
        try:
            return run_bare(lambda: ask(client, question))
        finally:
            both_in_work.wait(10)

    file = golden("{id: a, input: x}", "{id: b, input: y}")
    problems: list[str] = []
    run = run_golden(file, app, settings=settings(), problems=problems)
    assert [problem.partition(": begun")[0] for problem in problems] == ["error: 2 unattributed calls"]
    assert [error.partition(": begun")[0] for error in run.errors] == ["error: 2 unattributed calls"]
    assert compare(run, run).outcome == "error"
    made = len(server.requests)
    results = run_golden(file, app, settings=settings(record="none")).results
    assert len(server.requests) == made
    assert any("--llm-record none" in failure.error for result in results for failure in result.failures)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            {"text": "x", "tool_calls": [{"name": "look", "result": object()}]},
            "'look' that JSON cannot hold",
        ),
        ({"text": "x", "model": 5}, "an Output whose 'model' is an int"),
        (Output(text=None), "an Output whose 'text' is None"),
        ({"text": "x", "usage": {"promt_tokens": 3}}, "Did you mean 'prompt_tokens'?"),
    ],
)
def test_what_no_run_file_can_hold_is_one_cases_error(golden, settings, answer, error):
    (result,) = run_golden(golden("{id: a, input: hello}"), lambda _: answer, settings=settings()).results
    assert error in result.failures[0].error


def test_an_app_may_count_its_own_tokens(golden, settings):
    file = golden("{id: a, input: hello, checks: {tokens: '<= 10'}}", head="version: 1\ncases:\n")
    answer = {"text": "x", "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    (result,) = run_golden(file, lambda _: answer, settings=settings()).results
    assert [(score.metric, score.value) for score in result.scores] == [("tokens", 7)]


def test_an_app_that_says_that_it_used_nothing_made_no_call(golden, settings, server):
    """Such as one whose guard answers: else a replayed run would tell of one call that was made anew."""
    client = client_of(server)
    nothing = {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0}

    def app(question):
        return {"text": "No.", "usage": nothing} if question == "guarded" else ask(client, question)

    cases = [f"{{id: {each}, input: {each}, checks: {{tokens: '<= 10'}}}}" for each in ("guarded", "asked")]
    file = golden(*cases, head="version: 1\ncases:\n")
    first, second = (run_golden(file, app, settings=settings()) for _ in range(2))
    assert [(run.usage.calls, run.usage.replayed) for run in (first, second)] == [(1, 0), (1, 1)]
    scores = {result.case.rpartition(":")[2]: result.scores[0].value for result in second.results}
    assert scores["guarded"] == 0
    assert scores["asked"] > 0


def test_an_app_that_says_nothing_of_its_tokens_has_none_to_check(golden, settings):
    file = golden("{id: a, input: hello, checks: {tokens: '<= 10'}}", head="version: 1\ncases:\n")
    (result,) = run_golden(file, str.upper, settings=settings()).results
    assert "no model call was seen" in result.failures[0].error


@pytest.mark.usefixtures("waited")
def test_an_answer_that_broke_off_is_an_error_and_no_answer(golden, settings, server):
    client = client_of(server)
    server.fault = "cut_stream"

    def app(question):
        stream = client.chat.completions.create(
            model="small", stream=True, messages=[{"role": "user", "content": question}]
        )
        pieces = []
        with contextlib.suppress(Exception):  # as an app does that goes on with what it has
            pieces.extend(chunk.choices[0].delta.content or "" for chunk in stream)
        return "".join(pieces)

    (result,) = run_golden(golden("{id: a, input: hello}"), app, settings=settings()).results
    assert "a model's answer could not be used and the app went on" in result.failures[0].error
    assert result.failures[0].attempts == 3


def test_tokens_are_unknown_once_a_call_was_nobodys(golden, settings, server):
    client = client_of(server)

    def app(question):
        time.sleep(0.1)
        run_bare(lambda: ask(client, question))
        return ask(client, question)

    file = golden("{id: a, input: x}", "{id: b, input: y}")
    results = run_golden(file, app, settings=settings()).results
    assert {failure.metric for result in results for failure in result.failures} == {"tokens", "cost_usd"}


def test_a_new_working_folder_is_not_for_git(golden, settings, tmp_path):
    file = golden("{id: a, input: x}")
    run_golden(file, str.upper, settings=settings(home="work/ours"))
    ignored = tmp_path / "work/ours/.gitignore"
    assert ignored.read_text() == "*\n"
    assert not (tmp_path / "work/.gitignore").exists()
    ignored.unlink()
    run_golden(file, str.upper, settings=settings(home="work/ours"))
    assert not ignored.exists()


def test_a_working_folder_that_cannot_be_made_ends_no_run(golden, settings, tmp_path):
    (tmp_path / "file").touch()
    assert run_golden(golden("{id: a, input: x}"), str.upper, settings=settings(home="file/ours")).results
