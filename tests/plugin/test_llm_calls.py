"""`llm()` and `await llm()` in ordinary tests: as a string, on the test's own loop, by the rules of cases."""

from __future__ import annotations

import sys

import pytest

from tests.openai_server import OpenAIServer
from tests.plugin.asserted import CONFTEST
from tests.plugin.test_failed_calls import ASYNC, app_text

ASYNC_PLUGIN = ("-p", "anyio.pytest_plugin")


@pytest.fixture
def run(project):
    project.write("pytest.ini", "[pytest]\nllm_app = capitals:answer\n")

    def run(test: str, *arguments: str) -> pytest.RunResult:
        project.write("test_it.py", test)
        own = ("test_it.py", "-p", "no:cacheprovider", "-W", "default", *arguments)
        return project.pytester.runpytest_inprocess(*own)

    return run


@pytest.fixture
def server(project):
    with OpenAIServer(answer=lambda _: "Paris or Madrid") as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        yield server


def errors_in(result) -> list[str]:
    return [line for line in result.outlines if line.startswith("E ")]


# What one types first.


def test_an_answer_is_compared_as_a_string(project, run):
    project.write("conftest.py", CONFTEST)
    run("""
        def test_it(llm):
            assert "60 days" in llm("How long?")
            assert "90 days" not in llm("How long?")
            assert llm("How long?") == "You have 60 days to send boots back."
            assert llm("How long?")[:8] == "You have"
            assert len(llm("How long?")) == 36
            assert llm("How long?").tool_calls[0].name == "find_order"
    """).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("compared", "lines"),
    [
        ("'Paris' in llm('capital of France?')", ["E *assert 'Paris' in 'Lyon is it'*"]),
        ("llm('capital of France?') == 'Paris'", ["E *assert 'Lyon is it' == 'Paris'*", "E *+ Lyon*"]),
        ("'Paris' == llm('capital of France?')", ["E *assert 'Paris' == 'Lyon is it'*"]),
        ("'Lyon' not in llm('capital of France?')", ["E *assert 'Lyon' not in 'Lyon is it'*"]),
    ],
)  # fmt: skip
def test_a_failed_assert_shows_the_text(project, run, compared, lines):
    project.app("def answer(question): return {'text': 'Lyon is it', 'model': 'small'}\n")
    result = run(f"def test_it(llm):\n    assert {compared}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(lines)


# On the test's own loop.

BOUND = """
    import asyncio
    import contextvars
    import time

    USER = contextvars.ContextVar("user", default="nobody")

    class Bot:
        lock = None

        async def __call__(self, question):
            if self.lock is None:
                self.lock = asyncio.Event()
                self.loop = asyncio.get_running_loop()
            if asyncio.get_running_loop() is not self.loop:
                raise RuntimeError("bound to a different event loop")
            if question == "wait":
                await self.lock.wait()
            if question == "sleep":
                await asyncio.sleep(60)
            return f"{USER.get()}: {question}"

    bot = Bot()

    def blocking(question):
        time.sleep(0.2)
        return question
"""


@pytest.fixture
def asynchronous(project, run):
    project.write("bots.py", BOUND)
    project.write("conftest.py", """
        import pytest
        import bots

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.fixture
        def llm_app():
            return bots.Bot()
    """)  # fmt: skip

    def run_async(test: str, *arguments: str) -> pytest.RunResult:
        head = "import asyncio, contextvars, pytest, bots\npytestmark = pytest.mark.anyio\n"
        return run(head + test, *ASYNC_PLUGIN, *arguments)

    return run_async


def test_an_awaited_call_runs_on_the_loop_of_the_test(asynchronous):
    asynchronous("""
async def test_it(llm, llm_app):
    bots.USER.set("ann")
    assert "ann: hello" == await llm("hello")
    assert llm_app.loop is asyncio.get_running_loop()
    waiting = asyncio.ensure_future(llm("wait"))
    await asyncio.sleep(0.05)
    llm_app.lock.set()  # of this loop, while the call is under way
    assert "wait" in await waiting
    one, two = await asyncio.gather(llm("one"), llm("one"))
    assert (one.repeat, two.repeat) == (0, 1)
    assert (await llm("one")).repeat == 2

@pytest.fixture
async def answer(llm):
    return await llm("from a fixture")

async def test_in_a_fixture(answer, lexical, llm):
    assert "from a fixture" in answer
    assert lexical(await llm("hello"), "nobody: hello") == 1
""").assert_outcomes(passed=2)


def test_the_loop_of_the_test_goes_on_while_an_app_blocks(asynchronous):
    asynchronous("""
@pytest.fixture
def llm_app():
    return bots.blocking

async def test_it(llm):
    ticks = 0
    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1
    ticking = asyncio.ensure_future(tick())
    assert await llm("hello") == "hello"
    ticking.cancel()
    assert ticks > 3
""").assert_outcomes(passed=1)


def test_a_call_that_hangs_ends_at_the_time_limit_and_a_test_may_end_it_before(asynchronous):
    result = asynchronous("""
async def test_limit(llm):
    await llm("sleep")

async def test_own_limit(llm, llm_app):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(llm("sleep"), 0.1)
    await asyncio.sleep(0.1)
    left = [task for task in asyncio.all_tasks() if "Bot" in repr(task) or "_awaited" in repr(task)]
    assert not left
""", "--llm-timeout-s", "0.5")  # fmt: skip
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["E *NotScoredError: no answer within 0.5 s (timeout_s)"])


def test_a_call_that_is_not_awaited_is_made_as_in_a_test_without_a_loop(asynchronous):
    result = asynchronous("""
@pytest.fixture
def llm_app():
    async def answer(question):
        if question == "break":
            raise ValueError("no order")
        return question
    return answer

@pytest.mark.lexical(min=0.5, reference="hello")
async def test_statement(llm):
    llm("hello")

@pytest.mark.lexical(min=0.5, reference="hello")
async def test_of_another_answer(llm):
    llm("good bye")

async def test_used(llm, lexical):
    pending = llm("hello")
    assert repr(pending) == "<llm() call, not awaited>"
    assert pending.text == "hello" == pending
    assert (await pending) is (await pending)
    assert lexical(llm("hello"), "hello") == 1
    assert "hell" in llm("hello")

async def test_breaks(llm):
    llm("break")
""")  # fmt: skip
    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*the app raised ValueError: no order*"])


def test_markers_check_awaited_answers(asynchronous):
    result = asynchronous("""
@pytest.mark.lexical(min=0.9, reference="nobody: hello")
@pytest.mark.parametrize("question", ["hello", "other"])
async def test_it(llm, question):
    await llm(question)
""")  # fmt: skip
    result.assert_outcomes(passed=1, failed=1)


def test_awaited_calls_are_recorded_budgeted_and_traced(project, server, asynchronous):
    project.app(app_text(ASYNC))
    test = """
from capitals import answer

@pytest.fixture
def llm_app():
    return answer

@pytest.mark.parametrize("number", [1, 2, 3])
async def test_it(llm, llm_traces, number):
    assert "Paris" in await llm(f"capital {number}?")
    assert [(span.kind, span.origin) for span in llm_traces] == [("llm", "recorder")]
"""
    assert asynchronous(test, "--llm-budget", "2 calls").parseoutcomes() == {"passed": 2, "failed": 1}
    assert len(server.requests) == 2
    result = asynchronous(test, "--llm-record", "none")
    assert result.parseoutcomes() == {"passed": 2, "failed": 1}
    assert len(server.requests) == 2


def test_trio_is_named(asynchronous, project):
    project.write("trio_stand_in.py", """
        import sys, types

        class Lowlevel:
            @staticmethod
            def in_trio_run():
                return True

        sys.modules["trio"] = types.SimpleNamespace(lowlevel=Lowlevel)
    """)  # fmt: skip
    had = sys.modules.pop("trio", None)
    try:
        result = asynchronous("import trio_stand_in\n\nasync def test_it(llm):\n    await llm('hello')\n")
    finally:
        sys.modules.pop("trio", None)
        if had is not None:
            sys.modules["trio"] = had
    result.assert_outcomes(failed=1, errors=0)
    result.stdout.fnmatch_lines(["E *llm() can be awaited on asyncio, and not on trio: *anyio_backend*"])


# By the rules of golden cases.


@pytest.mark.parametrize("fault", ["429", "500", "cut"])
def test_an_outage_behind_a_fallback_fails_the_test(project, server, run, fault):
    server.fault = fault
    project.app(app_text())
    project.environment.setenv("PYTEST_ADDOPTS", "--llm-timeout-s 5")
    result = run("def test_it(llm):\n    assert 'Paris' in llm('capital of France?')\n")
    result.assert_outcomes(failed=1)
    (error,) = errors_in(result)
    assert "no model call was answered: 1 failed, so the answer says nothing of the model" in error
    assert '(`model_errors="allow" in llm() lets it pass)'.replace("`", "") in error.replace("`", "")


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [("None", "failed"), ("'fail'", "failed"), ("'warn'", "failed"), ("'allow'", "passed")],
)
def test_a_time_limit_of_the_client_is_an_outage_too(project, server, run, errors, outcome):
    server.latency_s = 2
    project.app(app_text(timeout_s=0.2))
    result = run(f"def test_it(llm):\n    assert 'Paris' in llm('capital?', model_errors={errors})\n")
    result.assert_outcomes(**{outcome: 1}, warnings=0)


TWICE = """
    import openai

    def ask(client, question):
        messages = [{"role": "user", "content": question}]
        return client.chat.completions.create(model="small", messages=messages).choices[0].message.content

    def answer(question):
        with openai.OpenAI(max_retries=0) as client:
            try:
                ask(client, "rewrite " + question)
            except openai.OpenAIError:
                pass
            return ask(client, question)
"""


@pytest.fixture
def broken_once(project, server, monkeypatch):
    """The first of two model calls fails, in each attempt."""

    async def wait(_):
        return None

    monkeypatch.setattr("pytest_llmops.runner.app.calls.sleep", wait)
    project.app(TWICE)
    return lambda fault: server.faults.extend([fault, None, fault, fault])  # no answered call is made again


@pytest.mark.parametrize(
    ("errors", "fault", "remedy"),
    [("None", "404", 'model_errors="warn" in llm() lets it pass'), ("'fail'", "500", "model_errors")],
)
def test_a_failed_call_before_an_answer_fails_as_in_a_golden_file(run, broken_once, errors, fault, remedy):
    broken_once(fault)
    result = run(f"def test_it(llm):\n    assert 'Paris' in llm('capital?', model_errors={errors})\n")
    result.assert_outcomes(failed=1, warnings=0)
    assert remedy in errors_in(result)[0].replace("`", "")


@pytest.mark.parametrize(("errors", "fault"), [("None", "500"), ("'warn'", "404"), ("'allow'", "404")])
def test_a_failed_call_before_an_answer_warns_as_in_a_golden_file(run, broken_once, errors, fault):
    broken_once(fault)
    result = run(f"def test_it(llm):\n    assert 'Paris' in llm('capital?', model_errors={errors})\n")
    result.assert_outcomes(passed=1, warnings=int(errors != "'allow'"))
    if errors != "'allow'":
        result.stdout.fnmatch_lines([f"*GoldenWarning: 1 model call failed: status {fault} at loopback: *"])


def test_a_wrong_rule_is_one_line(run):
    result = run("def test_it(llm):\n    llm('capital of France?', model_errors='alow')\n")
    (error,) = errors_in(result)
    assert "model_errors must be one of allow, warn, fail, not 'alow'. Did you mean 'allow'?" in error


def test_an_app_that_must_leave_spans_and_does_not_fails(run, monkeypatch):
    monkeypatch.setattr("pytest_llmops.traces.capture._LATE_S", 0.1)
    result = run("def test_it(llm):\n    llm('capital of France?', require_spans=True)\n")
    result.assert_outcomes(failed=1)
    assert "the app left 0 spans, and the test requires 1 (require_spans)" in errors_in(result)[0]


def test_a_live_call_is_not_replayed(project, server, run):
    project.app(app_text())
    test = "def test_it(llm):\n    assert llm('capital?', live={}) == 'Paris or Madrid'\n"
    for live, calls in (("False", 1), ("False", 1), ("True", 2)):
        run(test.format(live)).assert_outcomes(passed=1)
        assert len(server.requests) == calls


UNATTRIBUTED = """
    import _thread
    import asyncio
    from concurrent.futures import Future

    import openai

    def ask(question):
        with openai.OpenAI(max_retries=0) as client:
            messages = [{"role": "user", "content": question}]
            return client.chat.completions.create(model="small", messages=messages).choices[0].message.content

    def bare(question):
        done = Future()
        _thread.start_new_thread(lambda: done.set_result(ask(question)), ())
        return done.result()

    async def answer(question):
        return await asyncio.get_running_loop().run_in_executor(None, bare, question)
"""


def test_a_call_that_no_test_can_be_told_of_fails_its_test(project, server, run):
    server.latency_s = 0.3
    project.app(UNATTRIBUTED)
    result = run("""
        import asyncio

        def test_it(llm):
            async def both():
                return await asyncio.gather(llm("one"), llm("two"))
            asyncio.run(both())

        def test_after_it(llm):
            assert "Paris" in llm("three")
    """)  # fmt: skip
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_it*", "*unattributed calls: begun on a thread*"])


@pytest.mark.usefixtures("server")
def test_a_call_after_the_answer_is_an_error(project, run):
    project.app("""
        import threading, time
        import httpx, os

        def ask():
            time.sleep(0.2)
            body = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
            httpx.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json=body)

        def answer(question):
            from concurrent.futures import ThreadPoolExecutor
            ThreadPoolExecutor(1).submit(ask)
            return question
    """)  # fmt: skip
    result = run("import time\ndef test_it(llm):\n    llm('hello')\n    time.sleep(0.6)\n")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*sent after the case that began it had ended: 1 to *, so no check saw it*"])


def test_rules_hold_under_workers(project, server, run):
    server.fault = "500"
    project.app(app_text())
    result = run("def test_it(llm):\n    assert 'Paris' in llm('capital of France?')\n", "-n", "1")
    result.assert_outcomes(failed=1)


def test_what_is_asked_is_kept_as_it_was_asked(project, run):
    """A conversation grows in the test, and each turn is scored with what it was asked."""
    project.app("def answer(messages): return str(len(messages))\n")
    run("""
        def test_it(llm):
            messages = []
            for number in (1, 2, 3):
                messages.append({"role": "user", "content": "more"})
                assert llm(messages) == str(number)
            assert [len(sample.input) for sample in llm.samples] == [1, 2, 3]
    """).assert_outcomes(passed=1)
