"""`--llm-repeats auto`: who is asked how often, what is said of whom, and the same with workers."""

from __future__ import annotations

import json

import pytest

from tests.openai_server import OpenAIServer, last_user_text
from tests.plugin.varying import APP, STEADY, Varying, golden_text, outcomes_of, scores_in

AUTO = ("--llm-repeats", "auto")
EACH = range(12)


@pytest.fixture
def varying(project):
    project.write("pytest.ini", "[pytest]\nllm_max_repeats = 16\n")
    project.app(APP)
    project.golden(golden_text())
    return Varying(project)


@pytest.fixture
def steady(varying):
    varying.project.app(STEADY)
    return varying


def test_a_steady_app_with_a_baseline_is_asked_once(steady):
    first = steady.ask(*AUTO, "--llm-accept")
    assert first.ret == 0
    assert steady.asked() == dict.fromkeys(EACH, 2)
    again = steady.ask(*AUTO)
    assert again.ret == 0
    assert steady.asked() == dict.fromkeys(EACH, 1)
    assert outcomes_of(again)["passed"] == 13


def test_a_steady_app_that_dropped_is_regressed_by_two_further_repeats_of_what_dropped(steady):
    steady.ask(*AUTO, "--llm-accept")
    steady.break_case(4, 7)
    result = steady.ask(*AUTO, "-k", "case")
    assert result.ret == 1
    assert steady.asked() == {**dict.fromkeys(EACH, 1), 4: 3, 7: 3}
    assert outcomes_of(result)["regressed"] == 2
    result.stdout.fnmatch_lines(
        [
            "*case-4*",
            "*regressed *keywords >= 1: 0, baseline 1*",
            "*no repeat differs: the app changed here, or its model*",
        ]
    )


def test_a_varying_app_takes_looks_and_holds(varying):
    first = varying.ask(*AUTO, "--llm-accept", "--llm-out", "base.json")
    assert varying.asked() == dict.fromkeys(EACH, 10)
    assert outcomes_of(first)["error"] == 0
    again = varying.ask(*AUTO)
    assert varying.asked() == {**dict.fromkeys(EACH, 1), 3: 2}  # which missed its first answer
    assert again.ret == 0
    assert outcomes_of(again)["passed"] == 13


def test_without_an_option_cases_of_the_baseline_are_run_as_with_auto_and_new_ones_once(varying):
    varying.ask(*AUTO, "--llm-accept")
    varying.break_case(5)
    varying.project.golden(golden_text(13))
    result = varying.ask()
    asked = varying.asked()
    assert (asked[5], asked[12]) == (16, 1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REGRESSED golden/capitals.yaml::case-5*"])


def test_one_broken_case_of_a_varying_app_is_found_and_nobody_else_pays(varying):
    varying.ask(*AUTO, "--llm-accept")
    varying.break_case(5)
    result = varying.ask(*AUTO)
    asked = varying.asked()
    assert asked.pop(5) == 16
    assert max(asked.values()) <= 10
    assert result.ret == 1
    assert outcomes_of(result)["regressed"] == 1
    result.stdout.fnmatch_lines(
        [
            "*case-5*",
            "*regressed *0 of 16 repeats hold it, 9 of 10 in the baseline*",
            "*repeats rule out chance",
        ]
    )
    result.stdout.fnmatch_lines(["REGRESSED golden/capitals.yaml::case-5*"])
    assert "golden/capitals.yaml::case-6 - " not in result.stdout.str()


def test_auto_of_one_case_in_the_golden_file(varying):
    varying.project.golden(golden_text(case_2=", repeats: auto", case_3=", repeats: 3"))
    varying.ask()
    assert varying.asked() == {**dict.fromkeys(EACH, 1), 2: 10, 3: 3}


def test_only_the_cases_that_were_selected_are_asked(varying):
    varying.ask(*AUTO, "-k", "case-1 or case-3")
    assert varying.asked() == {1: 10, 3: 10, 10: 10, 11: 10}


@pytest.mark.parametrize(
    ("ini", "arguments", "told"),
    [
        ("", ("--llm-repeats", "automatic"), "repeats must be a whole number above 0, not 'automatic'"),
        ("llm_repeats = 0", (), "repeats must be a whole number above 0, not '0'"),
        ("llm_max_repeats = none", AUTO, "max_repeats must be a whole number above 0, not 'none'"),
    ],
)
def test_a_number_that_is_none_is_one_line(varying, ini, arguments, told):
    varying.project.write("pytest.ini", f"[pytest]\n{ini}\n")
    result = varying.ask(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{told}"])
    assert not (varying.path / "asked").exists()


@pytest.mark.parametrize(("app", "regressed"), [(STEADY, 2), (APP, 1)], ids=["steady", "varying"])
def test_workers_accept_the_same_bytes_and_give_the_same_verdicts(varying, app, regressed):
    """The case and, where the app does not vary, the mean that dropped beyond its `max_drop`."""
    varying.project.app(app)
    varying.ask(*AUTO, "--llm-accept")
    alone, asked = varying.baseline.read_bytes(), varying.asked()
    varying.baseline.unlink()
    varying.ask(*AUTO, "--llm-accept", workers=2)
    assert varying.baseline.read_bytes() == alone
    assert varying.asked() == asked

    varying.break_case(5)
    one = varying.ask(*AUTO, "--llm-out", "one.json")
    asked = varying.asked()
    two = varying.ask(*AUTO, "--llm-out", "two.json", workers=2)
    assert varying.asked() == asked
    assert scores_in(varying.path / "one.json") == scores_in(varying.path / "two.json")
    assert outcomes_of(one) == outcomes_of(two)
    assert outcomes_of(two)["regressed"] == regressed
    assert one.ret == two.ret == 1
    assert one.parseoutcomes() == two.parseoutcomes()


def test_a_worker_that_dies_in_a_later_round_loses_nothing(varying):
    varying.ask(*AUTO, "--llm-accept")
    lines = len(varying.baseline.read_bytes().splitlines())
    varying.baseline.unlink()
    for number, nth in ((3, 4), (8, 1)):
        (varying.path / f"deadly-{number}-{nth}").touch()
    result = varying.ask(*AUTO, "--llm-accept", workers=2)
    result.stdout.fnmatch_lines(["*replacing crashed worker*"])
    assert outcomes_of(result).total() == 13
    assert outcomes_of(result)["error"] == 0
    assert not list(varying.path.glob("deadly-*"))
    repeats = {len(scores) for scores in scores_in(varying.path / ".llmops/runs/last.json").values()}
    assert repeats == {10}
    assert {asked for number, asked in varying.asked().items() if number not in {3, 8}} == {10}
    assert len(varying.baseline.read_bytes().splitlines()) == lines


def test_a_case_that_kills_its_worker_in_a_later_round_is_an_error(varying):
    for nth in range(2, 30):
        (varying.path / f"deadly-8-{nth}").touch()
    result = varying.ask(*AUTO, "--llm-accept", workers=2)
    assert outcomes_of(result)["error"] == 2  # the case, and the suite that it belongs to
    result.stdout.fnmatch_lines(["*ended the process*", "*1 refused: golden/capitals.yaml::case-8: *"])
    assert result.ret == 1


def test_recorded_repeats_are_replayed_alike_by_one_process_and_by_two(project):
    project.app("""
        import openai

        client = openai.OpenAI(max_retries=0)

        def answer(question):
            messages = [{"role": "user", "content": question}]
            reply = client.chat.completions.create(model="small", messages=messages)
            return reply.choices[0].message.content
    """)
    project.golden(golden_text(4))
    varying = Varying(project)
    seen = dict.fromkeys((f"question {number}" for number in range(4)), 0)

    def vary(request) -> str:
        text = last_user_text(request)
        seen[text] += 1
        return "bad" if (int(text.split()[1]) + seen[text]) % 10 == 3 else "good"

    with OpenAIServer(answer=vary) as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        written = []
        for arguments in (
            ("--llm-record", "new"),
            ("--llm-record", "none"),
            ("--llm-record", "none", "-n", "2"),
        ):
            result = project.run_here(*AUTO, "--llm-accept", *arguments)
            assert outcomes_of(result)["error"] == 0
            written.append(varying.baseline.read_bytes())
            varying.baseline.unlink()
        assert set(seen.values()) == {10}
        assert len(server.requests) == 40
    assert written[0] == written[1] == written[2]
    scores = [case["scores"]["keywords"] for case in json.loads(written[0])["cases"]]
    assert all(set(score) == {0, 1} for score in scores)
