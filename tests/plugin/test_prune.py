"""`llmops cassettes prune`: takes out what no run uses, and nothing that one needs."""

from __future__ import annotations

import pytest

from pytest_llmops.recorder.cassettes import load_calls
from tests.command import main
from tests.openai_server import OpenAIServer

APP = """
    import os
    import httpx

    def answer(question):
        texts = ["{prompt}: " + question, *([] if "broken" in os.environ else ["again"])]
        for text in texts:
            messages = [{{"role": "user", "content": text}}]
            reply = httpx.post("{url}/chat/completions", json={{"model": "m", "messages": messages}})
        if "broken" in os.environ:
            raise ValueError("broken")
        return reply.json()["choices"][0]["message"]["content"]
"""


@pytest.fixture
def recorded(project):
    """A function that runs the golden set with a prompt, by a model that answers."""
    project.golden()

    def run(prompt: str, *arguments: str):
        project.app(APP.format(prompt=prompt, url=server.url))
        return project.run_here("--llm-repeats", "2", *arguments)

    with OpenAIServer(answer=lambda _: "Paris and Madrid") as server:
        yield run


def held(project) -> dict[str, int]:
    """Number of recorded calls by the name of their cassette."""
    return {path.stem: len(load_calls(path)) for path in project.path.glob(".llmops/cassettes/*/*.yaml")}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_calls_of_an_earlier_prompt_go(project, recorded, capsys, workers):
    recorded("one", *workers)
    recorded("two", *workers)
    assert held(project) == {"france": 6, "spain": 6}
    capsys.readouterr()
    assert main(["cassettes", "prune", "--dry-run"]) == 0
    assert "capitals/france.yaml: would take out 2 of 6 calls\n" in capsys.readouterr().out
    assert held(project) == {"france": 6, "spain": 6}
    assert main(["cassettes", "prune"]) == 0
    assert capsys.readouterr().out.endswith("took out 4 recorded calls\n")
    assert held(project) == {"france": 4, "spain": 4}
    assert recorded("two", "--llm-record", "none", *workers).ret == 0


def test_a_case_that_did_not_run_keeps_what_its_last_run_used(project, recorded):
    recorded("one")
    recorded("two", "-k", "spain")
    main(["cassettes", "prune"])
    assert held(project) == {"france": 4, "spain": 4}
    assert recorded("one", "-k", "france", "--llm-record", "none").ret == 0
    assert recorded("two", "-k", "spain", "--llm-record", "none").ret == 0


def test_a_case_whose_run_broke_is_left(project, recorded, capsys):
    recorded("one")
    project.environment.setenv("broken", "1")
    recorded("one")
    capsys.readouterr()
    main(["cassettes", "prune"])
    assert held(project) == {"france": 4, "spain": 4}
    assert "left 2 cassettes, whose cases broke; run the golden set and" in capsys.readouterr().out


def test_the_cassette_of_a_case_that_is_gone_goes(project, recorded):
    recorded("one")
    project.golden(project.path.joinpath("golden/capitals.yaml").read_text().partition("  - id: spain")[0])
    main(["cassettes", "prune"])
    assert held(project) == {"france": 4}


def test_without_a_log_nothing_goes(project, recorded, capsys):
    recorded("one")
    for log in project.path.glob(".llmops/explain/*"):
        log.unlink()
    capsys.readouterr()
    assert main(["cassettes", "prune"]) == 0
    assert held(project) == {"france": 4, "spain": 4}
    assert "left 2 cassettes, whose cases did not run" in capsys.readouterr().out
