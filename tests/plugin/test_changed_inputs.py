"""An app that changes its input: equal verdicts for all, and one line for each golden file."""

from __future__ import annotations

import pytest

from tests.plugin.varying import outcomes_of

APP = """
    def answer(question):
        question["messages"].append({"role": "assistant", "content": "hello"})
        return str(len(question["messages"]))
"""
GOLDEN = """
    version: 1
    app: capitals:answer
    checks: {exact_match: true}
    cases:
      - {id: one, input: {messages: [{role: user, content: hi}]}, reference: "2", repeats: 3}
      - {id: two, input: {messages: [{role: user, content: you}]}, reference: "2", repeats: 3}
      - {id: six, input: {messages: [{role: user, content: all}]}, reference: "2", repeats: 3}
"""
NOTE = "warning: golden/capitals.yaml: the app changed its input in place, in 3 cases: one, six, two."


@pytest.fixture
def changing(project):
    project.app(APP)
    project.golden(GOLDEN)
    return project


def notes(lines) -> list[str]:
    return [line for line in lines if "changed its input" in line]


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one", "workers"])
def test_the_summary_says_it_once(changing, arguments):
    result = changing.run_here(*arguments)
    assert outcomes_of(result)["passed"] == 3
    (note,) = notes(result.outlines)
    assert note.startswith(NOTE)


def test_the_command_says_it_too(changing, monkeypatch, capsys):
    from tests.command import main

    monkeypatch.chdir(changing.path)
    assert main(["run"]) == 0
    (note,) = notes(capsys.readouterr().out.splitlines())
    assert note.startswith(NOTE)


def test_an_ordinary_test_is_warned(project):
    project.app(APP)
    project.write("pytest.ini", "[pytest]\nllm_app = capitals:answer\n")
    project.write("test_it.py", """
        def test_it(llm):
            messages = [{"role": "user", "content": "hi"}]
            assert [llm({"messages": messages}).text for _ in range(3)] == ["2", "2", "2"]
            assert len(messages) == 1
    """)  # fmt: skip
    result = project.pytester.runpytest_inprocess("test_it.py", "-p", "no:cacheprovider", "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*test_it.py: the app changed its input in place, in 1 case: test_it.*"])
