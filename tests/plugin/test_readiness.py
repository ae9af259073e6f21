"""What a run cannot do without is looked at before the app is called: one message, exit code 4, no call."""

from __future__ import annotations

import sys

import pytest

from tests.command import main
from tests.extras import needs_chat
from tests.openai_server import OpenAIServer

JUDGED = """
    version: 1
    app: capitals:answer
    judge: {model: gpt-4o-mini, base_url: "https://judge.example/v1", api_key_env: JUDGE_KEY}
    cases:
      - {id: france, input: capital of France?, checks: {keywords: {all: [Paris]}}}
      - {id: spain, input: capital of Spain?, reference: Madrid, checks: {judge: true}}
"""


@pytest.fixture
def keyless(project, monkeypatch):
    for name in ("JUDGE_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return project


def is_refused(project, message: str, *arguments: str) -> None:
    result = project.run_here(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    shown = result.stdout.str() + result.stderr.str()
    assert shown.count(message.strip("*").split("*")[0]) == 1
    assert "Traceback" not in shown
    assert project.asked() == []


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_judge_without_its_key(keyless, arguments):
    keyless.golden(JUDGED)
    message = (
        "golden/capitals.yaml:7: spain: judge: gpt-4o-mini at judge.example needs a key, and JUDGE_KEY *"
    )
    is_refused(keyless, message, *arguments)


def test_a_judge_that_no_selected_case_asks_needs_no_key(keyless):
    keyless.golden(JUDGED)
    assert keyless.run_here("-k", "france").ret == 0


def test_a_judge_whose_answers_are_recorded_needs_no_key(keyless):
    keyless.golden(JUDGED)
    keyless.write(
        "golden/cassettes/capitals/spain.yaml",
        """
        version: 1
        case: golden/capitals.yaml::spain
        calls:
        - provider: judge.example
          path: /v1/chat/completions
          request: {model: gpt-4o-mini}
          key: abc
          repeat: 0
          nth: 0
          offset_s: 0.1
          duration_s: 0.1
          response: {content_type: application/json, body: {}, status: 200}
    """,
    )
    result = keyless.run_here("--llm-record", "once")
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # the app was called, and the call is in no cassette
    assert len(keyless.asked()) == 2


def test_a_judge_on_this_machine_needs_no_key(keyless):
    with OpenAIServer() as server:
        keyless.golden(JUDGED.replace("https://judge.example/v1", server.url))
        keyless.run_here()
    assert len(keyless.asked()) == 2


@pytest.mark.parametrize(
    ("check", "name"),
    [
        ("{semantic: true}", "minilm"),
        ("{bertscore: true}", "minilm"),
        ('{faithfulness: ">= 0.5"}', "minilm"),
        pytest.param("{judge: {judge: embedded, rubric: support}}", "smollm2", marks=needs_chat),
    ],
)
def test_weights_that_are_not_there(keyless, monkeypatch, check, name):
    monkeypatch.setenv("LLMOPS_WEIGHTS", str(keyless.path / "weights"))
    keyless.golden(f"""
        version: 1
        app: capitals:answer
        cases:
          - {{id: a, input: capital of France?, reference: Paris, checks: {check}}}
    """)
    metric = check[1:].partition(":")[0]
    message = f"golden/capitals.yaml:5: a: {metric}: the weights '{name}' (*; run: llmops models pull {name}"
    is_refused(keyless, message)


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_rival_that_cannot_be_imported(keyless, arguments):
    keyless.golden(JUDGED.replace("judge: {m", "rival: capitals:anwser\n    judge: {m"))
    message = (
        "golden/capitals.yaml: the rival 'capitals:anwser': capitals has no 'anwser'. Did you mean 'answer'?"
    )
    is_refused(keyless, message, *arguments)


def test_all_files_are_looked_at_before_the_first_is_begun(keyless):
    keyless.golden(name="golden/a.yaml")
    keyless.golden("version: 1\napp: nowhere:x\ncases: [{id: a, input: a}]\n", name="golden/b.yaml")
    (keyless.path / "golden/capitals.yaml").unlink()
    is_refused(keyless, "the app 'nowhere:x' cannot be imported: no module is named 'nowhere'*")


def test_the_command_looks_first_too(keyless, capsys, monkeypatch):
    keyless.golden(JUDGED)
    monkeypatch.chdir(keyless.path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "capitals", raising=False)
    assert main(["run"]) == 4
    assert "spain: judge: gpt-4o-mini at judge.example needs a key" in capsys.readouterr().err
    assert keyless.asked() == []


SLOW = """
    import time
    from pathlib import Path

    def answer(question):
        with Path("asked.log").open("a") as log:
            log.write(f"{question}\\n")
        time.sleep(0 if question == "0" else 1)  # which leaves a busy machine three seconds to stop
        return "no" if question == "0" else "yes"
"""


@pytest.mark.parametrize("flag", ["-x", "--maxfail=1"])
def test_exitfirst_begins_no_further_case(project, flag):
    project.app(SLOW)
    cases = "".join(
        f"  - {{id: c{at:02}, input: '{at}', checks: {{keywords: {{all: ['yes']}}}}}}\n" for at in range(30)
    )
    project.golden(f"version: 1\napp: capitals:answer\ncases:\n{cases}")
    project.write("conftest.py", """
        import time

        def pytest_sessionfinish(session):
            time.sleep(1)  # a long report
    """)  # fmt: skip
    result = project.run_here("--llm-concurrency", "1", flag)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "0" in project.asked()
    assert len(project.asked()) <= 4
