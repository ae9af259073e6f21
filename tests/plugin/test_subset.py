"""Some cases, or one golden file, of a project in which nothing has changed: nothing is told to have."""

from __future__ import annotations

import pytest

from tests.openai_server import OpenAIServer

APP = """
    import os

    import openai

    def answer(question):
        if "refused" in question:
            return {"text": "good", "model": "small"}
        if "quiet" in question:
            return "good"
        with openai.OpenAI(base_url=os.environ["MODEL_URL"], api_key="none", max_retries=0) as client:
            messages = [{"role": "user", "content": question}]
            reply = client.chat.completions.create(model="small", messages=messages)
        return reply.choices[0].message.content
"""
HEAD = "app: capitals:answer\nprompts: [prompts]\ndata: [docs]\ncases:\n"
FIRST = """
  - {id: asked, input: "asked", reference: good, checks: {rouge_l: true}}
  - {id: refused, input: "refused", reference: good, checks: {rouge_l: {stemmer: true}}}
"""
SECOND = """
  - {id: quiet, input: "quiet", checks: {keywords: {all: [good]}}}
"""
SUBSETS = [
    ("golden/first.yaml",),
    ("golden/second.yaml",),
    ("-k", "asked"),
    ("-k", "refused"),
    ("-k", "quiet"),
    ("golden/first.yaml", "-k", "refused"),
]


@pytest.fixture
def accepted(project):
    (project.path / "golden/capitals.yaml").unlink()
    project.app(APP)
    project.golden(HEAD + FIRST, "golden/first.yaml")
    project.golden(HEAD.replace("[prompts]", "[prompts/planner.md]") + SECOND, "golden/second.yaml")
    project.write("prompts/planner.md", "---\nname: planner\nversion: 1.0.0\nkind: planner\n---\nPlan.\n")
    project.write("prompts/writer.md", "---\nname: writer\nversion: 1.0.0\nkind: system\n---\nWrite.\n")
    project.write("docs/a.md", "Paris.\n")
    with OpenAIServer(answer=lambda _: "good") as server:
        project.environment.setenv("MODEL_URL", server.url)
        assert project.run_here("--llm-accept").ret == 0
        yield project


def told(project, *arguments):
    """What a run says of the baseline."""
    return [line for line in project.run_here(*arguments).outlines if line.startswith("since the baseline")]


def test_a_subset_of_an_unchanged_project_claims_no_change(accepted):
    assert [(subset, told(accepted, *subset)) for subset in SUBSETS] == [(subset, []) for subset in SUBSETS]
    assert told(accepted) == []


def test_a_subset_still_tells_what_did_change(accepted):
    accepted.write("prompts/planner.md", "---\nname: planner\nversion: 1.1.0\nkind: planner\n---\nPlan!\n")
    accepted.write("docs/a.md", "Rome.\n")

    lines = [
        "since the baseline: prompt prompts/planner.md: planner 1.0.0 → 1.1.0",
        "since the baseline: data docs changed",
    ]
    assert told(accepted, "golden/second.yaml") == lines
    accepted.app(APP.replace("small", "large"))
    assert told(accepted, "-k", "asked") == [
        lines[0],
        "since the baseline: model large: none → large-served fp_test",
        "since the baseline: code capitals.py changed",
        lines[1],
    ]
