"""A judge that is replaced behind its name is named as a cause, like the app's own model."""

from __future__ import annotations

import json

import pytest

from tests.judge_server import JudgeServer, fill, schema_of

BOT = """
    from pytest_llmops import Output, Passage

    def answer(question):
        return Output(text="Within 60 days.", passages=[Passage(id="a", text="Returns within 60 days.")])
"""


def answer(request):
    if "response_format" not in request:
        return "Yes"
    verdict = fill(schema_of(request))
    return {"claims": [{"claim": 1, "evidence": "60 days", "reason": "r", "label": "supported"}]} if (
        "claims" in verdict
    ) else verdict  # fmt: skip


def likely_yes(_text):
    return [{"token": "Yes", "logprob": -0.1, "top_logprobs": [{"token": "Yes", "logprob": -0.1}]}]


@pytest.mark.parametrize(
    ("check", "judge"),
    [
        ("judge: {rubric: support}", ""),
        ("judge: {panel: [small]}", ""),
        ("reference_grade: true", ""),
        ("reference_grade: '>= 0.5'", ", yes_no: true"),
        ("faithfulness: {by: judge, min: 0.5}", ""),
    ],
)
def test_a_judge_that_answers_as_another_model_is_a_cause(project, check, judge):
    with JudgeServer(verdict=answer, served="small-2026-01", tokens=likely_yes) as server:
        project.write("bot.py", BOT)
        (project.path / "golden/capitals.yaml").unlink(missing_ok=True)
        project.write(
            "golden/shop.yaml",
            f"""
            app: bot:answer
            judge: {{model: small, base_url: "{server.url}"{judge}}}
            cases:
              - {{id: boots, input: "How long?", reference: "60 days", checks: {{{check}}}}}
            """,
        )
        project.run_here("--llm-accept", "--llm-record", "all")
        same = project.run_here("--llm-record", "all")
        server.served = "small-2026-07"
        other = project.run_here("--llm-record", "all", "--llm-out", "run.json")

    same.stdout.no_fnmatch_line("*judge small*")
    other.stdout.fnmatch_lines(["*judge small: small-2026-01 fp_test → small-2026-07 fp_test*"])
    signature = json.loads((project.path / "run.json").read_text())["signature"]
    assert signature["judge:small"] == "small-2026-07 fp_test"
