"""Cases of several turns: asked in order with what was said, scored by turn and as a whole, never mixed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pytest_llmops import load_run
from tests.command import main
from tests.judge_server import JudgeServer
from tests.openai_server import OpenAIServer
from tests.readme import run_page
from tests.report_page import read_data

MESSAGES = """
    import json
    from pathlib import Path

    def answer(messages):
        with Path("asked.log").open("a") as log:
            log.write(json.dumps(messages) + "\\n")
        last = messages[-1]["content"]
        messages.append({"role": "assistant", "content": "a lie of the app"})  # its own copy
        return f"You said {last}."
"""
SESSION = """
    import threading

    SAID = {}
    LOCK = threading.Lock()

    def answer(message, session):
        with LOCK:
            SAID.setdefault(session, []).append(message)
        with open("asked.log", "a") as log:
            log.write(session + " " + " ".join(SAID[session]) + "\\n")
        if message == "raise":
            raise ValueError("the lamp fell")
        if message == "hush":
            return ""
        return {
            "text": " then ".join(SAID[session]),
            "passages": [{"id": f"doc#{message}", "text": message}],
            "tool_calls": [{"name": "look", "arguments": {"for": message}}],
            "usage": {"calls": 1, "prompt_tokens": 3, "completion_tokens": 2},
        }
"""
MODEL = """
    import os, openai

    def answer(message, session):
        with openai.OpenAI(max_retries=0) as client:
            reply = client.chat.completions.create(
                model="small", user=session, messages=[{"role": "user", "content": message}]
            )
        return reply.choices[0].message.content
"""


def conversation(turns: str, *, checks: str = "{}", more: str = "") -> str:
    return f"app: capitals:answer\ncases:\n  - {{id: talk, turns: {turns}, checks: {checks}{more}}}\n"


@pytest.fixture
def talk(project):
    """Run a golden file against an app; return the outcomes of its items, and its results by case."""
    (project.path / "golden/capitals.yaml").unlink()

    def talk(golden: str, *arguments: str, app: str = SESSION):
        project.app(app)
        project.write("golden/talks.yaml", golden)
        result = project.run_here("--llm-out", "run.json", *arguments)
        run = json.loads((project.path / "run.json").read_text())
        return result, {found["case"].partition("::")[2]: found for found in run["results"]}

    return talk


@pytest.fixture
def server(project):
    with OpenAIServer() as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        yield server


def scores_of(found, repeat: int = 0) -> dict[str, float]:
    return {score["metric"]: score["value"] for score in found["scores"] if score["repeat"] == repeat}


def errors_of(found) -> list[str]:
    return [failure["error"] for failure in found["failures"]]


# What the app is asked.


def test_each_turn_is_asked_in_order_with_all_that_was_said(project, talk):
    history = ", history: [{role: system, content: be kind}, {role: user, content: hi}]"
    result, _ = talk(conversation("[{user: one}, {user: two}, {user: three}]", more=history), app=MESSAGES)

    result.assert_outcomes(passed=1)
    before = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    exchange = [
        {"role": role, "content": content}
        for word in ("one", "two", "three")
        for role, content in (("user", word), ("assistant", f"You said {word}."))
    ]
    assert [json.loads(line) for line in project.asked()] == [
        before + exchange[:1],
        before + exchange[:3],
        before + exchange[:5],
    ]


def test_every_case_and_repeat_has_a_session_of_its_own(project, talk):
    golden = """
        app: capitals:answer
        cases:
          - {id: a, repeats: 3, turns: [{user: a1}, {user: a2}]}
          - {id: b, repeats: 3, turns: [{user: b1}, {user: b2}]}
    """
    result, found = talk(golden)

    result.assert_outcomes(passed=2)
    lines = [line.split(" ", 1) for line in project.asked()]
    assert len({session for session, _ in lines}) == 6
    assert sorted(said for _, said in lines) == sorted(["a1", "a1 a2", "b1", "b1 b2"] * 3)
    assert {output["text"] for output in found["a"]["outputs"]} == {"a1\n\na1 then a2"}


def test_a_session_is_new_in_each_run(project, talk):
    for _ in range(2):
        talk(conversation("[{user: one}]"))

    sessions = [line.split()[0] for line in project.asked()]
    assert len(set(sessions)) == 2


def test_conversations_run_beside_each_other_and_each_in_order(talk):
    """Each waits in its first turn for the other, and would for ever if one had to end first."""
    app = """
        import threading

        BOTH = threading.Barrier(2)

        def answer(messages):
            if len(messages) == 1:
                BOTH.wait(20)
            return f"{len(messages)} {messages[-1]['content']} {messages[0]['content']}"
    """
    golden = """
        app: capitals:answer
        cases:
          - {id: a, turns: [{user: a1}, {user: a2}]}
          - {id: b, turns: [{user: b1}, {user: b2}]}
    """
    result, found = talk(golden, app=app)

    result.assert_outcomes(passed=2)
    assert [turn["text"] for turn in found["a"]["turns"]] == ["1 a1 a1", "3 a2 a1"]
    assert [turn["text"] for turn in found["b"]["turns"]] == ["1 b1 b1", "3 b2 b1"]


ASYNC = """
    SAID = {}

    async def answer(message, *, thread_id=None):
        SAID.setdefault(thread_id, []).append(message)
        return " then ".join(SAID[thread_id])
"""
CALLABLE = """
    class App:
        def __call__(self, messages, session=""):
            assert session
            return " then ".join(message["content"] for message in messages if message["role"] == "user")

    answer = App()
"""


ASYNC_CALLABLE = """
    SAID = {}

    class App:
        async def __call__(self, message, session_id):
            SAID.setdefault(session_id, []).append(message)
            return " then ".join(SAID[session_id])

    answer = App()
"""
STREAM = """
    from functools import wraps

    def traced(function):
        @wraps(function)
        def call(*arguments, **named):
            return function(*arguments, **named)
        return call

    SAID = {}

    @traced
    def answer(message, thread="main"):
        assert thread != "main"
        SAID.setdefault(thread, []).append(message)
        yield from (f"{word} " for word in " then ".join(SAID[thread]).split())
"""


@pytest.mark.parametrize("app", [ASYNC, CALLABLE, ASYNC_CALLABLE, STREAM])
@pytest.mark.parametrize("runs_on", ["threads", "main_thread", "test_loop"])
def test_apps_of_every_form_hold_conversations(talk, app, runs_on):
    turns = "[{user: one}, {user: two, checks: {keywords: {all: [one then two]}}}]"
    result, _ = talk(conversation(turns), "--llm-runs-on", runs_on, app=app)

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("runs_on", ["threads", "main_thread"])
def test_a_turn_that_hangs_is_an_error(talk, runs_on):
    app = """
        import time

        def answer(messages):
            if messages[-1]["content"] == "two":
                time.sleep(60)
            return "fine"
    """
    golden = conversation("[{user: one}, {user: two}, {user: three}]", checks="{keywords: {all: [fine]}}")
    result, found = talk(golden, "--llm-timeout-s", "1", "--llm-runs-on", runs_on, app=app)

    result.assert_outcomes(errors=1)
    assert errors_of(found["talk"]) == ["no answer within 1 s (timeout_s) (turn 2: 'two')"]


def test_the_main_thread_is_taken_back_from_a_later_turn_that_hangs(project, talk):
    app = """
        import time
        from pathlib import Path

        def answer(messages):
            try:
                time.sleep(60 if len(messages) > 1 else 0)
            except BaseException as error:
                Path("asked.log").write_text(type(error).__name__)
                raise
            return "fine"
    """
    golden = conversation("[{user: one}, {user: two}]")
    result, _ = talk(golden, "--llm-timeout-s", "1", "--llm-runs-on", "main_thread", app=app)

    result.assert_outcomes(errors=1)
    assert project.asked() == ["StopAppError"]


# What breaks, and what counts.


def test_a_turn_that_broke_is_an_error_and_the_later_ones_are_not_asked(project, talk):
    golden = conversation("[{user: one}, {user: raise}, {user: three}]", checks="{keywords: {all: [one]}}")
    result, found = talk(golden)

    result.assert_outcomes(errors=1)
    assert errors_of(found["talk"]) == ["the app raised ValueError: the lamp fell (turn 2: 'raise')"]
    assert [turn["user"] for turn in found["talk"]["turns"]] == ["one"]
    assert not found["talk"]["scores"]
    assert len(project.asked()) == 2
    result.stdout.fnmatch_lines(["*turn 1 *user: one*", "*answer: one*", "*the lamp fell (turn 2: 'raise')*"])


def test_a_turn_without_an_answer_is_an_error_and_the_later_ones_are_not_asked(talk):
    app = "def answer(messages): return 5 if len(messages) == 3 else 'fine'"
    golden = conversation("[{user: one}, {user: two}, {user: three}]", checks="{keywords: {all: [fine]}}")
    result, found = talk(golden, app=app)

    result.assert_outcomes(errors=1)
    (error,) = errors_of(found["talk"])
    assert error.startswith("the app returned an int")
    assert error.endswith(" (turn 2: 'two')")
    assert not found["talk"]["outputs"]


@pytest.mark.parametrize("leak", ["print({})", "tracer.start_span('look', attributes={{'of': {}}}).end()"])
def test_what_a_turn_prints_and_traces_is_checked_in_that_turn_alone(talk, leak):
    app = f"""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        tracer = TracerProvider().get_tracer("desk")

        def answer(messages):
            {leak.format("messages[-1]['content']")}
            return "fine"
    """
    turns = ", ".join(
        f"{{user: {user}, checks: {{pii_leak: {{max: 0, record_only: true}}}}}}"
        for user in ("one", "ann.lee@example.com", "three")
    )
    _, found = talk(conversation(f"[{turns}]", checks="{pii_leak: {max: 0, record_only: true}}"), app=app)

    scores = scores_of(found["talk"])
    assert [scores[f"turn {turn}: pii_leak"] > 0 for turn in (1, 2, 3)] == [False, True, False]
    assert scores["pii_leak"] == scores["turn 2: pii_leak"]


@pytest.mark.parametrize(
    ("turns", "checks", "outcome"),
    [
        ("[{user: one, checks: {keywords: {all: [two]}}}, {user: two}]", "{}", "failed"),
        ("[{user: one}, {user: two, checks: {keywords: {none: [one]}}}]", "{}", "failed"),
        ("[{user: one, checks: {keywords: {all: [one]}}}]", "{keywords: {all: [six]}}", "failed"),
        ("[{user: one}, {user: two}]", "{keywords: {none: [one then two]}}", "failed"),
        ("[{user: one}, {user: two}]", "{turns: '<= 1'}", "failed"),
        ("[{user: one}, {user: two}]", "{turns: '<= 2'}", "passed"),
        ("[{user: one, reference: one, checks: {exact_match: true}}, {user: two}]", "{}", "passed"),
        ("[{user: one, reference: two, checks: {exact_match: true}}, {user: two}]", "{}", "failed"),
        ("[{user: one}, {user: two}]", "{tokens: '<= 9'}", "failed"),
        ("[{user: one, checks: {tokens: '<= 5'}}, {user: two}]", "{tokens: '<= 10'}", "passed"),
        ("[{user: one, checks: {tokens: '<= 4'}}, {user: two}]", "{}", "failed"),
        ("[{user: a, checks: {tool_calls: [{name: look, arguments: {for: b}}]}}, {user: b}]", "{}", "failed"),
        ("[{user: one}, {user: two}]", "{tool_calls: [{name: look, arguments: {for: one}}]}", "passed"),
        ("[{user: ann.lee@example.com}, {user: two}]", "{pii_leak: none}", "failed"),
        ("[{user: two}, {user: ann.lee@example.com, checks: {pii_leak: none}}]", "{}", "failed"),
        ("[{user: one, checks: {'recall@1': '>= 1'}, relevant: ['doc#one']}, {user: two}]", "{}", "passed"),
        ("[{user: one, checks: {'recall@1': '>= 1'}, relevant: ['doc#two']}, {user: two}]", "{}", "failed"),
    ],
)  # fmt: skip
def test_checks_of_turns_and_of_the_whole_count(talk, turns, checks, outcome):
    result, _ = talk(conversation(turns, checks=checks))

    result.assert_outcomes(**{outcome: 1})


def test_metrics_with_a_reference_read_the_last_answer_and_retrieval_reads_all_passages(talk):
    more = ", reference: one then two, relevant: ['doc#one', 'doc#two']"
    checks = "{exact_match: true, 'recall@2': '>= 1', keywords: {all: [one then two], none: [three]}}"
    result, found = talk(conversation("[{user: one}, {user: two}]", checks=checks, more=more))

    result.assert_outcomes(passed=1)
    assert [passage["id"] for passage in found["talk"]["outputs"][0]["passages"]] == ["doc#one", "doc#two"]


def test_a_judge_reads_the_transcript_and_of_a_turn_the_messages_before_it(talk):
    with JudgeServer() as judge:
        golden = f"""
            app: capitals:answer
            judge: {{model: small, base_url: "{judge.url}"}}
            cases:
              - id: talk
                turns:
                  - {{user: one}}
                  - {{user: two, checks: {{judge: {{rubric: support, min: 1, record_only: true}}}}}}
                checks: {{judge: {{rubric: support, min: 1, record_only: true}}}}
        """
        _, found = talk(golden)

    prompts = {request["messages"][-1]["content"] for request in judge.requests}
    transcript = (
        '[{"role": "user", "content": "one"}, {"role": "assistant", "content": "one"}, '
        '{"role": "user", "content": "two"}, {"role": "assistant", "content": "one then two"}]'
    )
    so_far = transcript.rpartition(", {")[0] + "]"
    assert {"judge", "turn 2: judge"} <= scores_of(found["talk"]).keys()
    assert any(transcript in prompt for prompt in prompts)
    assert any(
        so_far in prompt and transcript not in prompt and "one then two" in prompt for prompt in prompts
    )


def test_a_custom_metric_sees_the_turns(project, talk):
    project.write(
        "conftest.py",
        """
        from pytest_llmops import metric

        @metric("short_turns")
        def short_turns(output, sample):
            return float(all(len(turn.output.text) < 9 for turn in sample.turns)), sample.turns[-1].asked.user
        """,
    )
    result, found = talk(conversation("[{user: one}, {user: two}]", checks="{short_turns: true}"))

    result.assert_outcomes(failed=1)
    assert scores_of(found["talk"]) == {"short_turns": 0.0}


def test_an_empty_answer_of_an_earlier_turn_is_seen(talk):
    result, _ = talk(conversation("[{user: hush}, {user: two}]"))

    result.stdout.fnmatch_lines(["*warning: 1 of 2 answers is empty*"])


def test_a_case_in_which_one_of_several_repeats_broke_is_an_error(talk):
    app = """
        from itertools import count

        CONVERSATIONS = count()
        BROKEN = {}

        def answer(message, session):
            if session not in BROKEN:
                BROKEN[session] = next(CONVERSATIONS) == 1
            if BROKEN[session] and message == "two":
                raise ValueError("now and then")
            return "fine"
    """
    more = ", repeats: 3"
    result, found = talk(
        conversation("[{user: one}, {user: two}]", more=more), "--llm-concurrency", "1", app=app
    )

    result.assert_outcomes(errors=1)
    assert len(found["talk"]["outputs"]) == 2


def test_a_rival_holds_the_same_conversation_in_sessions_of_its_own(project, talk):
    project.write("rival.py", SESSION.replace('"raise"', '"two"'))
    golden = "rival: rival:answer\n" + conversation(
        "[{user: one}, {user: two}]", checks="{keywords: {all: [one]}}"
    )
    result, _ = talk(golden)

    run = json.loads((project.path / "run.json").read_text())
    (failure,) = run["results"][0]["rival"]["failures"]
    assert failure["error"] == "the rival raised ValueError: the lamp fell (turn 2: 'two')"
    assert len({line.split()[0] for line in project.asked()}) == 2
    result.assert_outcomes(passed=1)


def test_two_systems_are_compared_by_their_transcripts(project, talk):
    project.write("rival.py", SESSION.replace("then", "and"))
    with JudgeServer() as judge:
        golden = f"""
            app: capitals:answer
            rival: rival:answer
            judge: {{model: small, base_url: "{judge.url}"}}
            cases:
              - id: talk
                turns: [{{user: one}}, {{user: two}}]
                checks: {{pairwise: {{record_only: true}}}}
        """
        talk(golden)

    prompts = [request["messages"][-1]["content"] for request in judge.requests]
    assert prompts
    for answer in ("one then two", "one and two"):
        assert all(f'{{"role": "assistant", "content": "{answer}"}}]' in prompt for prompt in prompts)


# Model calls.


def test_a_conversation_of_six_turns_replays_without_a_call(talk, server):
    """Its session is in each request, and two turns ask the same and are answered unlike."""
    answers = iter(range(100))
    server.answer = lambda request: f"{request['messages'][-1]['content']} {next(answers)}"
    turns = "[{user: a}, {user: again}, {user: b}, {user: again}, {user: c}, {user: d}]"
    golden = conversation(turns, checks="{model_calls: '<= 6', tokens: '<= 1000'}")
    first, made = talk(golden, "--llm-record", "once", app=MODEL)
    second, replayed = talk(golden, "--llm-record", "none", app=MODEL)

    for result in (first, second):
        result.assert_outcomes(passed=1)
    assert len(server.requests) == 6
    assert made["talk"]["calls"]["made"] == replayed["talk"]["calls"]["replayed"] == 6
    texts = [turn["text"] for turn in made["talk"]["turns"]]
    assert texts == ["a 0", "again 1", "b 2", "again 3", "c 4", "d 5"]
    assert [turn["text"] for turn in replayed["talk"]["turns"]] == texts


def test_a_conversation_begins_anew_where_a_provider_failed(talk, server):
    server.faults.extend([None, "500"])
    result, found = talk(conversation("[{user: a}, {user: b}, {user: c}]"), "--llm-record", "once", app=MODEL)

    result.assert_outcomes(passed=1)
    (output,) = found["talk"]["outputs"]
    assert output["attempts"] == 2
    assert [request["messages"][-1]["content"] for request in server.requests] == ["a", "b", "b", "c"]
    sessions = [request["user"] for request in server.requests]
    assert sessions[0] == sessions[1] != sessions[2] == sessions[3]


def test_a_failed_call_that_breaks_a_conversation_is_of_its_turn(talk, server):
    app = (
        MODEL.replace("def answer", "def ask")
        + """
    def answer(message, session):
        try:
            return ask(message, session)
        except openai.OpenAIError:
            return "later"
"""
    )
    server.faults.extend([None, "401"])
    result, found = talk(conversation("[{user: a}, {user: b}, {user: c}]"), "--llm-record", "once", app=app)

    result.assert_outcomes(errors=1)
    (error,) = errors_of(found["talk"])
    assert "401" in error
    assert error.endswith(" (turn 2: 'b')")
    assert [turn["text"] for turn in found["talk"]["turns"]] == ["Echo: a", "later", "Echo: c"]


@pytest.mark.usefixtures("server")
def test_a_call_that_is_not_recorded_is_an_error_of_its_turn(talk):
    golden = conversation("[{user: a}, {user: b}]")
    talk(golden, "--llm-record", "once", app=MODEL)
    result, found = talk(golden.replace("user: b", "user: new"), "--llm-record", "none", app=MODEL)

    result.assert_outcomes(errors=1)
    assert errors_of(found["talk"])[0].endswith("(turn 2: 'new')")


# One case for the gate.


def test_a_run_file_has_the_turns_and_is_read_again(project, talk):
    _, found = talk(conversation("[{user: one}, {user: ann.lee@example.com}]", more=", repeats: 2"))

    turns = found["talk"]["turns"]
    assert [(turn["repeat"], turn["turn"]) for turn in turns] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert (turns[0]["user"], turns[0]["text"], turns[0]["tool_calls"][0]["name"]) == ("one", "one", "look")
    assert "ann.lee@example.com" not in (project.path / "run.json").read_text()
    (result,) = load_run(project.path / "run.json").results
    assert [turn.user for turn in result.turns] == [turn["user"] for turn in turns]


def test_what_a_leak_check_found_is_masked_in_the_turns_too(project, talk):
    result, found = talk(
        conversation("[{user: one}, {user: ann.lee@example.com}]", checks="{pii_leak: none}")
    )

    result.assert_outcomes(failed=1)
    assert "ann.lee" not in (project.path / "run.json").read_text() + result.stdout.str()
    assert found["talk"]["turns"][1]["text"].startswith("one then ")


def test_a_leak_check_of_one_turn_unmasks_no_other(project, talk):
    turns = (
        "[{user: sk-proj-abcdefghijklmnopqrstuvwxyz0123456789abcd}, {user: hush, checks: {pii_leak: none}}]"
    )
    talk(conversation(turns))

    assert "abcdefghijklmnopqrstuvwxyz" not in (project.path / "run.json").read_text()


def test_a_drop_of_a_turn_is_a_regression(talk):
    cases = [
        f"  - {{id: c{at}, checks: {{keywords: {{none: [x]}}}}, turns: "
        f"[{{user: one, reference: one {at}, checks: {{rouge_1: '>= 0.1'}}}}, {{user: two}}]}}"
        for at in range(4)
    ]
    golden = "\n".join(["app: capitals:answer", "cases:", *cases])
    result, _ = talk(golden, "--llm-repeats", "5", "--llm-accept")
    result.assert_outcomes(passed=4)
    worse = SESSION.replace('"text": ', '"text": "one of these or so, who knows" if message == "one" else ')
    result, _ = talk(golden, "--llm-repeats", "5", app=worse)

    assert result.parseoutcomes() == {"passed": 5, "regressed": 1}
    result.stdout.fnmatch_lines(["*regressed *turn 1: rouge_1 mean: 0.2222, baseline 0.6667*"])


def test_a_suite_check_of_a_turn_is_over_the_cases_that_check_it(talk):
    golden = """
        app: capitals:answer
        suite: {"turn 2: keywords": {mean: ">= 0.9"}, "turn 2: tokens": {mean: "<= 5"}}
        cases:
          - {id: a, turns: [{user: a}, {user: two, checks: {keywords: {all: [a then two]}, tokens: "<= 5"}}]}
          - {id: b, turns: [{user: b}, {user: two, checks: {keywords: {all: [four]}}}]}
          - {id: c, turns: [{user: c}, {user: two}]}
          - {id: d, turns: [{user: d}]}
    """
    result, _ = talk(golden)

    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(
        ["turn 2: keywords mean >= 0.9 *0.5 *failed", "turn 2: tokens mean <= 5 *5 *passed"]
    )


def test_workers_share_conversations(talk):
    golden = "app: capitals:answer\ncases:\n" + "".join(
        f"  - {{id: c{at}, turns: [{{user: u{at}}}, {{user: v}}], "
        f"checks: {{keywords: {{all: [u{at} then v]}}}}}}\n"
        for at in range(4)
    )
    result, found = talk(golden, "-n", "2")

    result.assert_outcomes(passed=4)
    assert all(len(case["turns"]) == 2 for case in found.values())


# What cannot be.


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (
            "def answer(question: str): return question",
            "takes one text at a time (question: str) and no session",
        ),
        ("def answer(): return ''", "takes no message"),
        ("def answer(messages, customer): return ''", "needs customer too"),
        (
            "def answer(message, session, thread): return ''",
            "several parameters for the session, session and thread",
        ),
    ],
)
def test_an_app_that_can_hold_no_conversation_is_never_called(project, app, message):
    project.app(app)
    project.write("golden/talks.yaml", conversation("[{user: one}]"))
    result = project.run_here()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*talks.yaml:3: talk: capitals:answer can hold no conversation: it *{message}*"]
    )


def test_a_history_needs_an_app_that_takes_messages(project):
    project.app(SESSION)
    project.write(
        "golden/talks.yaml", conversation("[{user: one}]", more=", history: [{role: user, content: x}]")
    )
    result = project.run_here()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*capitals:answer cannot be given a history*Write the history as turns*"])
    assert not project.asked()


# Reports.


def test_every_report_shows_the_turn_with_its_question_and_answer(project, talk, capsys):
    turns = "[{user: one}, {user: two, checks: {keywords: {all: [six]}}}, {user: three}]"
    page, file = project.path / "report.html", project.path / "run.json"
    result, _ = talk(conversation(turns), "--llm-html", str(page), "--junitxml", "own.xml")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*turn 2 *user: two", "*answer: one then two", "*failed *turn 2: keywords >= 1: 0; missing: 'six'*"]
    )
    assert "user: two" in (project.path / "own.xml").read_text()
    (case,) = read_data(page)["cases"]
    assert [turn["missed"] for turn in case["turns"]] == [[], ["turn 2: keywords"], []]
    assert case["turns"][1]["text"] == "one then two"
    project.environment.chdir(project.path)
    main(["report", str(file), "-o", "junit.xml"])
    failure = ET.parse(project.path / "junit.xml").find(".//failure")  # noqa: S314 - our own
    assert "turn 2\nuser: two\nanswer: one then two" in (failure.text or "")
    capsys.readouterr()
    main(["comment", str(file), "--format", "github"])
    assert "turn 2     user: two" in capsys.readouterr().out


# Ordinary tests.


@pytest.fixture
def run(project):
    project.app(SESSION)
    project.write("pytest.ini", "[pytest]\nllm_app = capitals:answer\n")

    def run(test: str, *arguments: str):
        project.write("test_it.py", test)
        own = ("test_it.py", "-p", "no:cacheprovider", "-W", "default", *arguments)
        return project.pytester.runpytest_inprocess(*own)

    return run


def test_a_test_holds_a_conversation(run):
    run("""
        import pytest

        def test_it(llm):
            talk = llm.turns(["one", "two"])
            assert [turn.text for turn in talk.turns] == ["one", "one then two"]
            assert "one" in talk and talk.usage.prompt_tokens == 6
            assert talk.turns[1] == "one then two"
            again = llm.turns(iter(["three"]))
            assert again.turns[0] == "three" and again == "three"

        @pytest.mark.lexical(metric="exact_match", reference="one then two")
        def test_of_the_last(llm):
            llm.turns(["one", "two"])

        @pytest.mark.lexical(metric="exact_match", reference="one")
        def test_not_of_the_first(llm):
            llm.turns(["one", "two"])
    """).assert_outcomes(passed=2, failed=1)


def test_an_async_test_awaits_a_conversation(run):
    result = run(
        """
        import pytest

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        @pytest.mark.anyio
        async def test_it(llm):
            talk = await llm.turns(["one", "two"])
            assert talk.turns[1] == "one then two"
            assert llm.turns(["three"]).turns[0] == "three"
        """,
        "-p",
        "anyio.pytest_plugin",
    )
    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("llm.turns('one')", "turns must be a list, not the text 'one'"),
        ("llm.turns([])", "turns is empty; write what the user says"),
        ("llm.turns(['one', 2])", "item 2 of turns must be text, not the number 2"),
        ("llm.turns(['one'], history=[{'role': 'bot', 'content': 'x'}])", "role must be one of system"),
        (
            "llm.turns(['one'], history=[{'role': 'user', 'content': 'x'}])",
            "the app cannot be given a history",
        ),
        ("llm.turns(['one', 'raise', 'two'])", "the lamp fell (turn 2: 'raise')"),
        ("llm.turns(['one'], model_errors='ok')", "model_errors must be one of"),
    ],
)
def test_what_is_wrong_with_a_conversation_of_a_test_is_said(run, call, message):
    result = run(f"def test_it(llm):\n    {call}\n")

    result.assert_outcomes(failed=1)
    assert message in "".join(line for line in result.outlines if line.startswith("E "))


# The page.


@pytest.mark.usefixtures("warm")
def test_the_blocks_of_the_page_work_in_their_order(tmp_path):
    page = Path(__file__).parents[2] / "docs/conversations.md"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with OpenAIServer(answer=_play_a_hiker) as server:
        environment |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        wrong = run_page(page.read_text(encoding="utf-8"), tmp_path, environment)

    assert not wrong, "\n\n".join(wrong)


def _play_a_hiker(request):
    said = sum(message["role"] == "assistant" for message in request["messages"])
    return ("My boots leak. Refund, please.", "FW-10490.", "[done]")[said]


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_app_with_a_session_answers_single_questions_too(talk, kind):
    app = f"""
    {kind} answer(message, session):
        return f"{{message}} in {{len(session)}}"
    """
    golden = """app: capitals:answer
cases:
  - {id: one, input: rope, checks: {keywords: {all: [rope]}}}
  - {id: two, turns: [{user: tent}], checks: {keywords: {all: [tent]}}}
"""
    result, _ = talk(golden, app=app)
    result.assert_outcomes(passed=2)
