"""Cases and hosts whose model calls are made in every run: the system under test answers them."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from tests.openai_server import OpenAIServer
from tests.plugin.varying import outcomes_of

APP = """
    import os

    import openai

    def answer(question):
        said = []
        for name in ("SHOP_URL", "MODEL_URL"):
            with openai.OpenAI(base_url=os.environ[name], max_retries=0) as client:
                messages = [{"role": "user", "content": question}]
                reply = client.chat.completions.create(model="small", messages=messages)
            said += [reply.choices[0].message.content]
        return " ".join(said)
"""
GOLDEN = """
    app: capitals:answer
    HEAD
    cases:
      - {id: france, input: "capital of France?", EXTRA checks: {keywords: {all: [today]}}}
      - {id: spain, input: "capital of Spain?", checks: {keywords: {all: [Paris]}}}
"""


@pytest.fixture
def servers(project):
    """The shop's service, which answers better every day, and a model's."""
    project.app(APP)
    with OpenAIServer() as shop, OpenAIServer(answer=lambda _: "Paris") as model:
        project.environment.setenv("SHOP_URL", shop.url)
        project.environment.setenv("MODEL_URL", model.url)
        project.environment.setenv("OPENAI_API_KEY", "none")
        shop.answer = lambda _: "yesterday"
        yield shop, model


def write(project, head: str = "", extra: str = "") -> None:
    project.golden(GOLDEN.replace("HEAD", head).replace("EXTRA", extra))


def never(server: OpenAIServer) -> str:
    return f"record: {{never: ['{urlsplit(server.url).netloc}']}}"


def usage_in(project) -> tuple[int, int]:
    usage = json.loads((project.path / ".llmops/runs/last.json").read_text())["usage"]
    return usage["calls"], usage["replayed"]


def test_without_either_yesterdays_service_is_tested(project, servers):
    shop, _ = servers
    write(project)
    project.run_here()
    shop.answer = lambda _: "today"
    result = project.run_here()
    assert outcomes_of(result)["failed"] == 1
    warned = [line for line in result.outlines if "was replayed and never called, so no change of it" in line]
    assert len(warned) == 2


@pytest.mark.parametrize("rule", ["also: ['POST {}/*']", "never: ['{}']"])
def test_a_service_of_which_the_file_says_what_it_is_needs_no_warning(project, servers, rule):
    rules = [rule.format(urlsplit(server.url).netloc) for server in servers]
    key, listed = (
        rules[0].partition(": ")[0],
        ", ".join(each.partition(": ")[2].strip("[]") for each in rules),
    )
    write(project, head=f"record: {{{key}: [{listed}]}}")
    for _ in range(2):
        project.run_here().stdout.no_fnmatch_line("*replayed and never called*")


@pytest.mark.usefixtures("servers")
def test_a_service_that_another_worker_called_needs_no_warning(project):
    write(project)
    project.run_here("-k", "france")
    result = project.run_here("-n", "2")
    assert usage_in(project) == (4, 2)  # of which two were made
    result.stdout.no_fnmatch_line("*replayed and never called*")
    printed = project.run_here("-n", "2").stdout.str()
    assert printed.count("replayed and never called") == 2


def test_a_host_is_never_recorded_and_others_are(project, servers):
    shop, model = servers
    write(project, head=never(shop))
    assert outcomes_of(project.run_here())["failed"] == 1
    shop.answer = lambda _: "today"
    assert outcomes_of(project.run_here())["passed"] == 2
    assert usage_in(project) == (4, 2)
    assert (len(shop.requests), len(model.requests)) == (4, 2)
    assert not any("today" in path.read_text() for path in project.path.rglob("cassettes/**/*.yaml"))


@pytest.mark.parametrize("mode", ["new", "once", "all"])
def test_a_live_case_is_asked_in_every_run(project, servers, mode):
    shop, model = servers
    write(project, extra="live: true,")
    project.run_here()
    shop.answer = lambda _: "today"
    assert outcomes_of(project.run_here("--llm-record", mode))["passed"] == 2
    assert usage_in(project) == (4, 0 if mode == "all" else 2)
    assert len(model.requests) == (4 if mode == "all" else 3)


@pytest.mark.parametrize("by", ["case", "host"])
def test_none_makes_no_call_and_names_the_conflict(project, servers, by):
    shop, _ = servers
    write(project, **({"extra": "live: true,"} if by == "case" else {"head": never(shop)}))
    project.run_here()
    made = len(shop.requests)
    result = project.run_here("--llm-record", "none")
    assert outcomes_of(result)["error"] == (1 if by == "case" else 2)
    assert len(shop.requests) == made
    why = "live: true of the case" if by == "case" else never(shop).replace("'", "")
    message = f"is never replayed, and --llm-record none makes no calls: the golden file says {why}. Run with"
    assert any(message in line for line in result.outlines)


def test_a_budget_counts_live_calls(project, servers):
    shop, model = servers
    write(project, head=never(shop))
    project.run_here()
    result = project.run_here("--llm-budget", "1 calls", "--llm-concurrency", "1")
    assert outcomes_of(result)["error"] == 1
    assert (len(shop.requests), len(model.requests)) == (3, 2)


def test_explain_says_why_it_was_made(project, servers, monkeypatch, capsys):
    from tests.command import main

    shop, _ = servers
    write(project, head=never(shop))
    project.run_here()
    monkeypatch.chdir(project.path)
    assert main(["explain", "france"]) == 0
    assert f"because the golden file says {never(shop).replace(chr(39), '')}" in capsys.readouterr().out
