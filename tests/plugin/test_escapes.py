"""Ways in which personal data leaves an app unseen: each is found, and nothing writes the value itself."""

from __future__ import annotations

import json
import sys
import textwrap

import pytest

from tests.extras import needs_pii
from tests.openai_server import OpenAIServer
from tests.plugin.varying import outcomes_of

pytestmark = needs_pii

EMAIL = "nia.okafor@willowmail.org"
HEAD = f"""
    import base64
    import _thread
    import logging
    import sys
    import warnings
    from concurrent.futures import Future

    import openai
    from opentelemetry import baggage, context, trace
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    EMAIL = "{EMAIL}"
    ENCODED = base64.b64encode(EMAIL.encode()).decode()
    TRACER = trace.get_tracer("shop")
    REMOTE = trace.SpanContext(1, 2, is_remote=True, trace_state=trace.TraceState([("who", EMAIL)]))

    def chat(content="Hello", base_url=None, **options):
        client = openai.OpenAI(max_retries=0, base_url=base_url)
        messages = [dict(role="user", content=content)]
        answer = client.chat.completions.create(model="small", messages=messages, **options)
        if options.get("stream"):
            list(answer)

    def leave(tracer):
        tracer.start_span("look", attributes=dict(who=EMAIL)).end()

    def by_bare_thread():
        done = Future()
        _thread.start_new_thread(lambda: done.set_result(leave(TRACER)), ())
        done.result()

    def in_chained_exception():
        with TRACER.start_as_current_span("look"):
            try:
                raise ValueError(EMAIL)
            except ValueError as cause:
                error = KeyError("unknown")
                raise error from cause

    def in_swallowed_exception():
        try:
            in_chained_exception()
        except KeyError:
            pass

    def in_note():
        error = KeyError("unknown")
        error.add_note(EMAIL)
        raise error
"""

# What the app does meanwhile.
QUIET = {
    "bare thread": "by_bare_thread()",
    "second provider": "leave(TracerProvider().get_tracer('x'))",
    "sampler off": "leave(TracerProvider(ALWAYS_OFF).get_tracer('x'))",
    "event": "(span := TRACER.start_span('x')).add_event(EMAIL); span.end()",
    "log record": "LoggerProvider().get_logger('x').emit(body=dict(content=EMAIL))",
    "log attribute": "LoggerProvider().get_logger('x').emit(attributes=dict(who=EMAIL))",
    "resource": "TracerProvider(resource=Resource(dict(user=EMAIL))).get_tracer('x').start_span('x').end()",
    "scope": "TracerProvider().get_tracer('x', attributes=dict(user=EMAIL)).start_span('x').end()",
    "baggage": "TRACER.start_span('x', baggage.set_baggage('who', EMAIL)).end()",
    "link": "TRACER.start_span('x', links=[trace.Link(REMOTE, dict(who=EMAIL))]).end()",
    "swallowed exception": "in_swallowed_exception()",
    "stdout": "print('asked by', EMAIL)",
    "stderr": "print('asked by', EMAIL, file=sys.stderr)",
    "logging": "logging.getLogger('shop').warning('asked by %s', EMAIL)",
    "warning": "warnings.warn(f'asked by {EMAIL}')",
    "request": "chat(EMAIL)",
    "request header": "chat(extra_headers={'X-Customer': EMAIL})",
    "query": "chat(extra_query=dict(user=EMAIL))",
    "path": "chat(base_url=f'{openai.OpenAI().base_url}users/{EMAIL}/v1')",
    "embedding input": "openai.OpenAI().embeddings.create(model='small', input=[EMAIL])",
    "base64 part": "chat([dict(type='text', text='data:text/plain;base64,' + ENCODED)])",
    "second choice": "chat('second choice')",
    "tool arguments": "chat('tool arguments')",
    "streamed tool arguments": "chat('streamed tool arguments', stream=True)",
    "reasoning": "chat('reasoning')",
    "streamed reasoning": "chat('reasoning', stream=True)",
    "refusal": "chat('refusal')",
}
# What it answers.
ANSWERS = {
    "passage": "return dict(text='Hello', passages=[dict(id='p', text=EMAIL)])",
    "passage's id": "return dict(text='Hello', passages=[dict(id=EMAIL)])",
    "tool result": "return dict(text='Hello', tool_calls=[dict(name='look', result=dict(who=EMAIL))])",
    "exception": "raise ValueError(EMAIL)",
    "cause": "in_chained_exception()",
    "note": "in_note()",
}


def reply(request):
    """What the model says beside its answer, by what it was asked."""
    asked = request["messages"][-1]["content"]
    tool = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "look", "arguments": json.dumps({"who": EMAIL})},
    }
    return {
        "second choice": {"content": "Hello", "others": [{"content": f"It is {EMAIL}."}]},
        "tool arguments": {"content": "", "tool_calls": [tool]},
        "streamed tool arguments": {"content": "", "tool_calls": [tool]},
        "reasoning": {"content": "Hello", "reasoning_content": f"It is {EMAIL} who asks."},
        "refusal": {"content": "", "refusal": f"I know nothing of {EMAIL}."},
    }.get(asked if isinstance(asked, str) else "", "Hello")


@pytest.fixture
def shop(project):
    with OpenAIServer(answer=reply) as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        project.golden("""
            app: capitals:answer
            checks: {pii_leak: none}
            cases: [{id: one, input: x}]
        """)

        def use(does: str):
            project.app(HEAD + f"\n    def answer(_):\n        {does}\n        return 'Hello'\n")

        yield use


def written(project) -> str:
    """All that a run left: its folder, JUnit, cassettes."""
    own = {"capitals.py", "capitals.yaml"}
    files = [path for path in project.path.rglob("*") if path.is_file() and path.name not in own]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files if path.suffix != ".pyc")


@pytest.mark.parametrize("place", [*QUIET, *ANSWERS])
def test_it_is_found_and_nothing_shows_it(project, shop, place):
    shop(QUIET.get(place) or ANSWERS[place])
    result = project.run_here("--junitxml=junit.xml", "--log-file=log.txt")
    counts = outcomes_of(result)
    assert result.ret == 1
    assert counts["failed"] + counts["error"] >= 1
    assert "EMAIL_ADDRESS" in result.stdout.str()
    assert EMAIL not in result.stdout.str()
    assert EMAIL not in result.stderr.str()
    assert EMAIL not in written(project)


def test_personal_data_in_an_id_is_refused_and_not_shown(project):
    project.golden(f"""
        app: capitals:answer
        checks: {{pii_leak: none}}
        cases: [{{id: "of {EMAIL}", input: x}}]
    """)
    result = project.run("--junitxml=junit.xml")
    assert result.ret == 4
    shown = result.stdout.str() + result.stderr.str()
    assert "the id holds personal data" in shown
    assert "of <EMAIL_ADDRESS>" in shown
    assert EMAIL not in shown
    assert project.asked() == []


def test_an_app_that_cannot_be_imported_shows_nothing(project):
    project.app(HEAD + "\n    raise RuntimeError(EMAIL)\n")
    result = project.run("--junitxml=junit.xml")
    assert result.ret != 0
    shown = result.stdout.str() + result.stderr.str()
    assert "RuntimeError: <EMAIL_ADDRESS>" in shown
    assert EMAIL not in shown + written(project)


def test_nothing_is_raw_without_a_check(project, shop):
    shop("return f'Ask {EMAIL} or use sk-proj-' + 'aB3dE6gH9j' * 4")
    project.golden("app: capitals:answer\nchecks: {keywords: {all: [Bob]}}\ncases: [{id: one, input: x}]\n")
    result = project.run_here("--junitxml=junit.xml", "--llm-out=run.json")
    assert outcomes_of(result)["failed"] == 1
    everything = result.stdout.str() + result.stderr.str() + written(project)
    assert "Ask <EMAIL_ADDRESS> or use <API_KEY>" in everything
    assert EMAIL not in everything
    assert "aB3dE6gH9j" not in everything


TEST = f"""
    import logging, warnings, pytest

    EMAIL = "{EMAIL}"

    @pytest.fixture
    def llm_app():
        def answer(question):
            print("asked by", EMAIL)
            logging.getLogger("shop").warning("asked by %s", EMAIL)
            warnings.warn(f"asked by {{EMAIL}}")
            return "Hello"
        return answer
"""


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.pii_leak()\n    def test_it(llm):\n        llm('x')",
        "def test_it(llm, llm_traces, pii_leak):\n        assert pii_leak(llm('x'), llm_traces) == 0",
        "def test_it(llm):\n        mine = EMAIL\n        assert llm('x').text == mine",
    ],
    ids=["marker", "fixture", "assert"],
)
def test_an_ordinary_test_finds_and_shows_nothing(project, test):
    project.write("test_it.py", f"{TEST}\n    {test}\n")
    result = project.pytester.runpytest_inprocess(
        "test_it.py", "-p", "no:cacheprovider", "-W", "default", "--showlocals", "-vv",
        "--junitxml=junit.xml", "--log-file=log.txt", "--log-cli-level=WARNING", "-o", "junit_logging=all",
    )  # fmt: skip
    result.assert_outcomes(failed=1, warnings=1)
    own = project.path / "test_it.py"
    own.unlink()
    everything = result.stdout.str() + result.stderr.str() + written(project)
    assert "<EMAIL_ADDRESS" in everything
    assert EMAIL not in everything


@pytest.mark.parametrize(
    ("required", "left", "outcome"),
    [("true", 0, "error"), ("true", 1, "passed"), (3, 2, "error"), (3, 3, "passed"), ("false", 0, "passed")],
)
def test_an_app_must_leave_the_spans_that_are_required(project, shop, required, left, outcome):
    shop(f"[TRACER.start_span('x').end() for _ in range({left})]")
    path = project.path / "golden/capitals.yaml"
    path.write_text(f"require_spans: {required}\n{path.read_text()}")
    result = project.run_here()
    assert outcomes_of(result)[outcome] == 1
    if outcome == "error":
        result.stdout.fnmatch_lines(
            [f"*the app left {left} span*requires {int(required == 'true') or required}*"]
        )


def test_what_ends_after_its_case_is_found_at_the_end(project, shop):
    shop("late() if _ == 'x' else time.sleep(1)")
    path = project.path / "capitals.py"
    path.write_text(f"{path.read_text()}\n" + textwrap.dedent("""
        import threading, time

        def late():
            span = TRACER.start_span("late", attributes=dict(who=EMAIL))
            threading.Timer(0.3, span.end).start()
    """))  # fmt: skip
    project.golden("""
        app: capitals:answer
        checks: {pii_leak: none}
        cases: [{id: one, input: x}, {id: two, input: y}]
    """)
    result = project.run_here()
    assert result.ret == 1
    assert outcomes_of(result) == {"passed": 2, "failed": 0, "regressed": 0, "undecided": 0, "error": 1}
    found = "error: pii_leak found 1 in 1 span, log record or stream outside of cases: <EMAIL_ADDRESS *"
    result.stdout.fnmatch_lines([found])
    assert EMAIL not in result.stdout.str()


OUTSIDE = {
    "print on a thread of its own": "print('asked by', EMAIL)",
    "log on a thread of its own": "logging.getLogger('shop').warning(EMAIL)",
    "warning on a thread of its own": "warnings.warn(EMAIL)",
}


@pytest.mark.parametrize("does", OUTSIDE.values(), ids=OUTSIDE)
def test_what_a_thread_without_a_case_prints_is_found_at_the_end(project, shop, does):
    shop("QUEUE.put(EMAIL); QUEUE.join()")
    path = project.path / "capitals.py"
    path.write_text(f"{path.read_text()}\n" + textwrap.dedent(f"""
        import queue, threading

        QUEUE = queue.Queue()

        def serve():
            while True:
                QUEUE.get()
                {does}
                QUEUE.task_done()

        threading.Thread(target=serve, daemon=True).start()
    """))  # fmt: skip
    result = project.run_here("--junitxml=junit.xml", "--log-file=log.txt")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["error: pii_leak found 1 in 1 span, log record or stream outside of cases: *"]
    )
    assert EMAIL not in result.stdout.str() + result.stderr.str() + written(project)


def test_what_an_app_prints_while_it_is_imported_is_found_at_the_end(project, shop):
    shop("pass")
    path = project.path / "capitals.py"
    path.write_text(f"{path.read_text()}\nprint('loaded for', EMAIL)\n")
    result = project.run_here()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["error: pii_leak found 1 in 1 span, log record or stream outside of cases: *"]
    )
    assert EMAIL not in result.stdout.str() + result.stderr.str()


LOGGED = {
    "a logger of its own": "own.warning('asked by %s', EMAIL)",
    "an extra field": "logging.getLogger('shop').warning('asked', extra=dict(customer=EMAIL))",
    "a thread that raises": "(t := threading.Thread(target=fail)).start(); t.join()",
}


@pytest.mark.parametrize("does", LOGGED.values(), ids=LOGGED)
@pytest.mark.parametrize("run", ["pytest", "llmops run"])
def test_what_goes_by_other_loggers_and_hooks_is_found(project, shop, does, run):
    shop(does)
    path = project.path / "capitals.py"
    path.write_text(f"{path.read_text()}\n" + textwrap.dedent("""
        import threading

        own = logging.getLogger("own")
        own.propagate = False
        own.addHandler(logging.NullHandler())

        def fail():
            raise ValueError(EMAIL)
    """))  # fmt: skip
    command = [
        sys.executable,
        "-c",
        "import sys; from pytest_llmops.cli import main; sys.exit(main(['run']))",
    ]
    result = project.run() if run == "pytest" else project.pytester.run(*command)
    assert result.ret == 1
    result.stdout.fnmatch_lines_random(["*pii_leak <= 0: *<EMAIL_ADDRESS*"])
    assert EMAIL not in result.stdout.str() + result.stderr.str() + written(project)


def test_a_warning_of_the_app_is_found_in_an_ordinary_test(project):
    project.write("test_it.py", f"""
        import warnings, pytest

        @pytest.fixture
        def llm_app():
            def answer(question):
                warnings.warn("asked by {{}}@{{}}".format(*{EMAIL.split("@")}))
                return "Hello"
            return answer

        @pytest.mark.pii_leak
        def test_it(llm):
            llm("x")
    """)  # fmt: skip
    result = project.pytester.runpytest_inprocess("test_it.py", "-W", "default")
    result.assert_outcomes(failed=1, warnings=1)
    result.stdout.fnmatch_lines(["*pii_leak <= 0: 1; <EMAIL_ADDRESS * in span 'stderr'*"])
    (project.path / "test_it.py").unlink()
    assert EMAIL not in result.stdout.str() + written(project)


def test_what_an_attempt_left_that_was_repeated_is_found(project, shop):
    """The endpoint was busy, the app is called again, and the second time it is silent."""
    shop("pass")
    path = project.path / "capitals.py"
    path.write_text(f"{path.read_text()}\n" + textwrap.dedent("""
        class Busy(Exception):
            status_code = 503

        tries = []

        def answer(_):
            tries.append(1)
            if len(tries) == 1:
                leave(TRACER)
                raise Busy("busy")
            return "Hello"
    """))  # fmt: skip
    result = project.run_here()
    assert outcomes_of(result)["failed"] == 1
    result.stdout.fnmatch_lines(["*pii_leak <= 0: 1; <EMAIL_ADDRESS * in span 'look' /attributes/who*"])
    assert EMAIL not in result.stdout.str() + written(project)
