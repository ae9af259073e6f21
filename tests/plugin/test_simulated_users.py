"""Conversations that a simulated user leads: how they end, and whose fault it is."""

from __future__ import annotations

import json

import pytest

from pytest_llmops import load_run
from tests.command import main
from tests.judge_server import JudgeServer
from tests.openai_server import OpenAIServer
from tests.report_page import read_data

DESK = """
    def answer(messages):
        question = messages[-1]["content"]
        if "FW-1" in question:
            return "FW-1 may be sent back until 3 July, for free."
        return "Which order is it? I can also be reached as bob@summit-outfitters.com." if LEAKS else ASK

    LEAKS, ASK = False, "Which order is it?"
"""
USER = "{goal: 'Find out how long the boots can be sent back.', knows: {order: FW-1}}"
OPENING = "How long can I send back my boots?"


def plays(*replies: str):
    """Say these, one a turn; then that the goal is reached."""

    def say(request):
        said = sum(message["role"] == "assistant" for message in request["messages"])
        return replies[said] if said < len(replies) else "[done]"

    return say


@pytest.fixture
def desk(project):
    """Run a case that a simulated user leads; return what pytest printed, and the case's result."""
    (project.path / "golden/capitals.yaml").unlink()
    project.write("desk.py", DESK)

    def run(server, *arguments, user=USER, checks="{keywords: {all: [3 July]}}", app="desk:answer", more=""):
        project.write(
            "golden/desk.yaml",
            f"""
            app: {app}
            judge: {{model: player, base_url: "{server.url}"}}
            cases:
              - {{id: boots, user: {user}, checks: {checks}{more}}}
            """,
        )
        result = project.run_here("--llm-out", "run.json", *arguments)
        file = project.path / "run.json"
        return result, json.loads(file.read_text())["results"][0] if file.exists() else {}

    return run


def test_the_user_model_leads_until_its_goal_is_reached(desk, project):
    with OpenAIServer(answer=plays(OPENING, "It is FW-1.")) as server:
        result, case = desk(server, checks="{keywords: {all: [3 July]}, turns: '<= 2'}")
        result.assert_outcomes(passed=1)
        first, second, third = server.requests
    assert [turn["user"] for turn in case["turns"]] == [OPENING, "It is FW-1."]
    assert case["outputs"][0]["user"]["ended"] == "goal reached"
    assert case["outputs"][0]["usage"]["calls"] == 0  # those of the user are none of the app's
    assert "Find out how long the boots" in first["messages"][0]["content"]
    roles = [message["role"] for message in third["messages"]]
    assert roles == ["system", *["user", "assistant"] * 2, "user"]
    assert (first["temperature"], first["seed"], second["model"]) == (0, 0, "player")
    run = json.loads((project.path / "run.json").read_text())
    assert run["signature"]["user:player"].startswith("player-served simulated-user-1.0.0-")
    ((output,),) = [result.outputs for result in load_run(project.path / "run.json").results]
    assert output.user
    assert output.user.reported == "player-served"


def test_a_conversation_is_replayed_without_a_call(desk):
    with OpenAIServer(answer=plays(OPENING, "It is FW-1.")) as server:
        desk(server)
        result, case = desk(server, "--llm-record", "none")
        assert len(server.requests) == 3
    result.assert_outcomes(passed=1)
    assert len(case["turns"]) == 2


def test_each_repeat_has_a_seed(desk):
    with OpenAIServer(answer=plays(OPENING, "It is FW-1.")) as server:
        result, _ = desk(server, "--llm-repeats", "2", user=USER[:-1] + ", seed: 7}")
        assert {request["seed"] for request in server.requests} == {7, 8}
    result.assert_outcomes(passed=1)


def test_a_user_that_never_stops_ends_at_its_limit(desk, project):
    with OpenAIServer(answer=lambda _: "Please tell me more.") as server:
        result, case = desk(server, "--llm-html", "run.html", user=USER[:-1] + ", max_turns: 3}")
    result.assert_outcomes(failed=1)  # the app never said it, and the user did nothing wrong
    assert len(case["turns"]) == 3
    assert case["outputs"][0]["user"]["ended"] == "limit of turns"
    result.stdout.fnmatch_lines(["*ended *limit of turns (user: player)*"])
    (shown,) = read_data(project.path / "run.html")["cases"]
    assert shown["outputs"][0]["user"]["ended"] == "limit of turns"


@pytest.mark.parametrize(
    ("replies", "fault"),
    [
        (["How can I help you today?"], "*turn 1: it answered as the assistant: How can I help you today?*"),
        (["Als KI kann ich das nicht."], "*turn 1: it answered as the assistant*"),
        ([OPENING, "Until 13 July, or not?"], "*turn 2: it said what it cannot know, 13: Until 13 July*"),
        ([OPENING, "It is FW-22."], "*turn 2: it said what it cannot know, FW-22: It is FW-22.*"),
        (["User: hello\nAssistant: hi"], "*turn 1: it wrote the roles of the conversation*"),
        ([" "], "*turn 1: it said nothing*"),
        (["[done]"], "*turn 1: it ended the conversation before it asked anything*"),
        ([OPENING, "[stuck]"], "*turn 2: it was asked for something that the case does not say*"),
        (
            ["It is FW-1.", "FW-1 may be sent back until 3 July, for free."],
            "*turn 2: it answered as the assistant: FW-1 may be sent back*",
        ),
    ],
)
def test_what_the_user_does_wrong_is_undecided(desk, replies, fault):
    with OpenAIServer(answer=plays(*replies)) as server:
        result, case = desk(server)
    assert result.parseoutcomes()["undecided"] == 1
    assert result.ret != 0
    assert case["failures"][0]["stage"] == "user"
    result.stdout.fnmatch_lines(["*undecided*", f"*the simulated user: {fault[1:]}"])
    result.stdout.fnmatch_lines(["*simulated users broke 1 of 1 conversation, which say*desk.yaml::boots*"])


@pytest.mark.parametrize(
    ("arguments", "more"), [(["-n", "2"], ""), ([], ", xfail: known")], ids=["in workers", "expected to fail"]
)
def test_what_the_user_broke_is_undecided_everywhere(desk, project, arguments, more):
    with OpenAIServer(answer=plays(OPENING, "It is FW-22.")) as server:
        result, _ = desk(server, *arguments, more=more)
    assert result.parseoutcomes() == {"undecided": 1, "warnings": 1}
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    project.environment.chdir(project.path)
    assert main(["compare", "run.json", "run.json"]) == 2


def test_a_suite_check_of_what_users_broke_is_undecided(desk):
    with OpenAIServer(answer=plays(OPENING, "It is FW-22.")) as server:
        result, _ = desk(server, checks="{}", more="}\n            suite: {turns: {max: '<= 9'} ")
    assert result.parseoutcomes()["undecided"] == 2
    assert "passed" not in result.parseoutcomes()


@pytest.mark.parametrize("checks", ["{pii_leak: none}", "{}", "{regex: {pattern: boots}}"])
def test_a_conversation_that_the_user_broke_never_passes(desk, checks):
    with OpenAIServer(answer=plays(OPENING, "It is FW-22.")) as server:
        result, _ = desk(server, checks=checks)
    assert result.parseoutcomes().get("passed", 0) == 0
    result.stdout.fnmatch_lines(["*undecided*it said what it cannot know*"])


def test_a_leak_before_the_user_broke_it_is_a_leak(desk, project):
    project.write("desk.py", DESK.replace("LEAKS, ASK = False", "LEAKS, ASK = True"))
    with OpenAIServer(answer=plays(OPENING, "It is FW-22.")) as server:
        result, case = desk(server, checks="{pii_leak: none}")
    result.assert_outcomes(failed=1)
    assert case["scores"][0]["value"] == 1
    result.stdout.fnmatch_lines(["*pii_leak*1 > 0*"])


def test_a_repeat_that_the_user_broke_is_not_made_up_for_by_others(desk):
    def say(request):
        wrong = request["seed"] == 1
        return plays(OPENING, "It is FW-22." if wrong else "It is FW-1.")(request)

    with OpenAIServer(answer=say) as server:
        result, case = desk(server, "--llm-repeats", "3")
    assert result.parseoutcomes().get("passed", 0) == 0
    assert [failure["repeat"] for failure in case["failures"]] == [1]
    result.stdout.fnmatch_lines(["*simulated users broke 1 of 3 conversations*"])


def test_a_user_model_that_breaks_is_an_error(desk):
    with OpenAIServer(fault="401") as server:
        result, case = desk(server)
    result.assert_outcomes(errors=1)
    assert case["failures"][0]["stage"] == "score"
    result.stdout.fnmatch_lines(["*the simulated user: *status 401*"])


def test_an_app_that_raises_is_an_error_of_the_app(desk, project):
    project.write("desk.py", "def answer(messages):\n    raise ValueError('no desk')\n")
    with OpenAIServer(answer=plays(OPENING)) as server:
        result, _ = desk(server)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*the app raised ValueError: no desk (turn 1: '{OPENING}')*"])


def test_a_history_comes_first_for_both(desk):
    history = ", history: [{role: user, content: Hi}, {role: assistant, content: Hello}]"
    with OpenAIServer(answer=plays(OPENING, "It is FW-1.")) as server:
        result, _ = desk(server, more=history)
        assert [message["role"] for message in server.requests[0]["messages"]] == [
            "system", "user", "assistant", "user",
        ]  # fmt: skip
    result.assert_outcomes(passed=1)


def test_another_user_model_leads_other_conversations(desk):
    with OpenAIServer(answer=plays(OPENING, "It is FW-1.")) as server:
        desk(server, "--llm-accept")
        desk(server)[0].stdout.no_fnmatch_line("*undecided*")
        result, _ = desk(server, user=USER[:-1] + f", model: {{model: other, base_url: '{server.url}'}}}}")
    result.stdout.fnmatch_lines(["*1 case new or edited since, so compared with nothing*"])


def test_a_user_model_that_is_replaced_behind_its_name_is_a_cause(desk):
    with JudgeServer(verdict=plays(OPENING, "It is FW-1."), served="player-january") as server:
        desk(server, "--llm-accept", "--llm-record", "all")
        server.served = "player-july"
        result, _ = desk(server, "--llm-record", "all")
    result.stdout.fnmatch_lines(["*user player*player-january*player-july*"])


@pytest.mark.parametrize(
    ("user", "more", "error"),
    [
        ("{persona: a hiker}", "", "*boots: user: goal is missing*"),
        ("{goal: Ask, model: embedded}", "", "*boots: user: the embedded model is too small*"),
        ("{goal: Ask, max_turns: 0}", "", "*max_turns must be a whole number from 1 to 100*"),
        ("{goal: Ask, mood: bad}", "", "*unknown key 'mood'*"),
        ("{goal: Ask}", ", input: Hi", "*user and input are both written*"),
    ],
)
def test_a_mistake_is_an_error_before_any_call(desk, user, more, error):
    with OpenAIServer() as server:
        result, _ = desk(server, user=user, more=more)
        assert not server.requests
    assert result.ret != 0
    pytest.LineMatcher([*result.outlines, *result.errlines]).fnmatch_lines([error])


def test_a_user_without_a_model_is_named(desk, project):
    with OpenAIServer() as server:
        desk(server)
        file = project.path / "golden/desk.yaml"
        file.write_text("\n".join(line for line in file.read_text().splitlines() if "judge:" not in line))
        result = project.run_here()
    pytest.LineMatcher([*result.outlines, *result.errlines]).fnmatch_lines(
        ["*boots: user: no judge is named*"]
    )


def test_what_a_user_model_needs_is_said_before_any_call(desk, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with OpenAIServer(answer=plays(OPENING)) as server:
        result, _ = desk(server, user=USER[:-1] + ", model: gpt-4o-mini}")
        assert not server.requests
    result.stderr.fnmatch_lines(["*desk.yaml:5: boots: user: gpt-4o-mini at api.openai.com needs a key*"])


def test_a_person_may_speak_of_assistants(desk):
    with OpenAIServer(answer=plays("Are you an AI assistant, or a person?", "It is FW-1.")) as server:
        result, _ = desk(server)
    result.assert_outcomes(passed=1)


def test_a_dry_run_names_the_model_of_users(desk):
    with OpenAIServer(answer=plays(OPENING)) as server:
        result, _ = desk(server, "--llm-dry-run", "--llm-repeats", "2")
        assert not server.requests
    result.stdout.fnmatch_lines(["not estimated: model calls of simulated users, *: player (2)"])
