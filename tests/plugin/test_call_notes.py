"""What the summary says of calls that were answered: how they ended, what was logged, equal answers."""

from __future__ import annotations

import json

import pytest

from tests.openai_server import OpenAIServer
from tests.plugin.varying import outcomes_of

APP = """
    import json
    import logging
    import httpx
    import os

    def answer(question):
        body = {"model": "small", "messages": [{"role": "user", "content": question}]}
        reply = httpx.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json=body).json()
        choice = reply["choices"][0]["message"]
        return choice.get("content") or choice.get("refusal")
"""
GOLDEN = """
    app: capitals:answer
    checks: {finish: stop}
    cases:
      - {id: france, input: "capital of France?"}
      - {id: spain, input: "capital of Spain?"}
"""


@pytest.fixture
def server(project, monkeypatch):
    def completion(request, answer):
        message = dict(answer) if isinstance(answer, dict) else {"content": answer}
        reason = message.pop("finish_reason", "stop")
        choices = [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}]
        return {
            "model": request["model"],
            "choices": choices,
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }

    monkeypatch.setattr("tests.openai_server._completion", completion)
    project.app(APP)
    project.golden(GOLDEN)
    with OpenAIServer(answer=lambda _: "Paris") as server:
        project.environment.setenv("OPENAI_BASE_URL", server.url)
        yield server


def results_in(project) -> list[dict]:
    return json.loads((project.path / ".llmops/runs/last.json").read_text())["results"]


@pytest.mark.parametrize(
    ("message", "finish", "note"),
    [
        ({"content": "Par", "finish_reason": "length"}, "length", "length (cut at the limit of tokens)"),
        ({"content": None, "refusal": "I cannot"}, "refusal", "refusal (the model refused)"),
        ({"content": "..", "finish_reason": "content_filter"}, "content_filter", "content_filter (stopped"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["one", "worker"])
def test_an_end_that_is_not_normal_is_counted_kept_and_checked(  # noqa: PLR0913, PLR0917 - a table
    project, server, arguments, message, finish, note
):
    server.answer = lambda request: message if "France" in str(request) else "Madrid"
    result = project.run_here(*arguments)
    assert (outcomes_of(result)["passed"], outcomes_of(result)["failed"]) == (1, 1)
    result.stdout.fnmatch_lines([f"*finish >= 1: 0; of 1 model call ended 1 by {finish}*"])
    (line,) = (line for line in result.outlines if "ended by" in line)
    assert line.startswith(f"warning: 1 model call ended by {note}")
    assert line.endswith(": golden/capitals.yaml::france")
    ends = [call["finish"] for case in results_in(project) for call in case["outputs"][0]["model_calls"]]
    assert ends == [finish, "stop"]
    again = project.run_here("--llm-record", "none")
    assert line in again.outlines


def test_an_end_behind_an_app_that_broke_is_counted_too(project, server):
    server.answer = lambda _: {"content": None, "finish_reason": "content_filter"}
    result = project.run_here()
    assert outcomes_of(result)["error"] == 2
    result.stdout.fnmatch_lines(
        ["warning: 2 model calls ended by content_filter (stopped by the provider): *"]
    )
    ends = [call["finish"] for case in results_in(project) for call in case["failures"][0]["model_calls"]]
    assert ends == ["content_filter"] * 2


@pytest.mark.usefixtures("server")
def test_a_normal_run_says_nothing_of_it(project):
    project.app(APP.replace("return choice", "logging.getLogger('app').warning('slow'); return choice"))
    result = project.run_here()
    assert outcomes_of(result)["passed"] == 2
    assert not [line for line in result.outlines if line.startswith("warning: ")]
    assert [case["error_logs"] for case in results_in(project)] == [0, 0]


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one", "workers"])
def test_error_logs_are_counted_by_case(project, arguments):
    project.app("""
        import logging

        def answer(question):
            for _ in range(2 if "France" in question else 0):
                logging.getLogger("shop.search").error("index is gone")
            try:
                {}[question]
            except KeyError:
                logging.getLogger("shop").exception("no rule")
            return f"{question} Paris, Madrid"
    """)
    result = project.run_here(*arguments, "-p", "no:logging")
    assert outcomes_of(result)["passed"] == 2
    named = "golden/capitals.yaml::france (3), golden/capitals.yaml::spain (1)"
    assert f"warning: the app wrote 4 ERROR logs in 2 cases: {named}" in result.outlines
    assert [case["error_logs"] for case in results_in(project)] == [3, 1]


EQUAL = """
    app: capitals:answer
    cases:
      - {id: france, input: "capital of France?", reference: REFERENCE}
      - {id: spain, input: "capital of Spain?", reference: "yes"}
      - {id: italy, input: "capital of Italy?", reference: "yes"}
    checks: {keywords: {none: [never]}}
"""


@pytest.mark.parametrize(
    ("answer", "reference", "count"),
    [
        ("'It is a capital'", "Paris", 1), ("question", "Paris", 0),
        ("'yes'", "'yes'", 0),  # as it should be
    ],
)  # fmt: skip
def test_equal_answers_to_different_questions_are_a_warning(project, answer, reference, count):
    project.app(f"def answer(question):\n    return {answer}\n")
    project.golden(EQUAL.replace("REFERENCE", reference))
    result = project.run_here()
    assert outcomes_of(result)["passed"] == 3
    lines = [line for line in result.outlines if "same answer" in line]
    assert len(lines) == count
    assert all("golden/capitals.yaml: all 3 cases have the same answer" in line for line in lines)


TIMES = """
    import httpx
    import os

    def answer(question):
        for number in range(TIMES):
            body = {"model": "small", "messages": [{"role": "user", "content": f"{number} {question}"}]}
            reply = httpx.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json=body).json()
        return reply["choices"][0]["message"]["content"]
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one", "workers"])
@pytest.mark.usefixtures("server")
def test_six_times_the_model_calls_are_named_against_the_baseline(project, monkeypatch, capsys, arguments):
    from tests.command import main

    project.write("pyproject.toml", "[tool.pytest-llmops]\nprices = {small = [1000.0, 10000.0]}\n")
    project.app(TIMES.replace("TIMES", "1"))
    project.run_here("--llm-accept", "--llm-repeats", "2", "--llm-out", "base.json", *arguments)
    same = project.run_here("--llm-repeats", "1", *arguments)
    assert not [line for line in same.outlines if "per case" in line]

    project.app(TIMES.replace("TIMES", "6"))
    result = project.run_here("--llm-repeats", "1", "--llm-out", "run.json", *arguments)

    assert result.ret == 0
    lines = [line for line in result.outlines if "per case" in line]
    assert lines == [
        "since the baseline: model calls per case: 1 → 6",
        "since the baseline: tokens per case: 2 → 12",
        "since the baseline: cost per case: $0.011 → $0.066",
    ]
    monkeypatch.chdir(project.path)
    main(["compare", "base.json", "run.json"])
    assert "model calls per case: 1 → 6" in capsys.readouterr().out
    main(["compare", "golden/baseline.json", "run.json"])
    assert "model calls per case: 1 → 6" in capsys.readouterr().out


@pytest.mark.usefixtures("server")
def test_a_suite_may_bound_the_model_calls(project):
    project.app(TIMES.replace("TIMES", "6"))
    project.golden(GOLDEN + "    suite: {model_calls: {mean: '<= 5'}}\n")
    result = project.run_here()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*model_calls mean <= 5*6*failed*"])
