"""`llmops cassettes prune`: takes out what no run uses, and nothing that one needs."""

from __future__ import annotations

import itertools

import pytest

from pytest_llmops.recorder.cassettes import load_calls
from tests.command import main
from tests.openai_server import OpenAIServer

APP = """
    import os
    import httpx

    STYLE = os.environ.get("STYLE", "")

    def ask(text):
        messages = [{{"role": "user", "content": text}}]
        reply = httpx.post("{url}/chat/completions", json={{"model": "m", "messages": messages}})
        return reply.json()["choices"][0]["message"]["content"]

    def answer(question):
        said = ask("{prompt}: " + STYLE + question)
        if "broken" in os.environ:
            raise ValueError("broken")
        return ask("again, after " + said)

    def silent(question):
        return "Paris and Madrid"
"""


@pytest.fixture
def recorded(project):
    """A function that runs the golden set with a prompt, by a model that answers."""
    project.golden()
    project.environment.delenv("PYTEST_LLMOPS_RUN", raising=False)  # each run is a command

    def run(prompt: str, *arguments: str):
        project.app(APP.format(prompt=prompt, url=server.url))
        return project.run(*(() if "--llm-repeats" in arguments else ("--llm-repeats", "2")), *arguments)

    numbers = itertools.count()
    with OpenAIServer(answer=lambda _: f"Paris and Madrid {next(numbers)}") as server:
        yield run


def held(project) -> dict[str, int]:
    """Number of recorded calls by the name of their cassette."""
    return {path.stem: len(load_calls(path)) for path in project.path.glob(".llmops/cassettes/*/*.yaml")}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_calls_of_an_earlier_prompt_go(project, recorded, capsys, workers):
    recorded("one", *workers)
    recorded("two", *workers)
    assert held(project) == {"france": 8, "spain": 8}
    capsys.readouterr()
    assert main(["cassettes", "prune", "--dry-run"]) == 0
    assert "capitals/france.yaml: would take out 4 of 8 calls\n" in capsys.readouterr().out
    assert held(project) == {"france": 8, "spain": 8}
    assert main(["cassettes", "prune"]) == 0
    assert capsys.readouterr().out.endswith("took out 8 recorded calls\n")
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
    project.environment.delenv("broken")
    capsys.readouterr()
    main(["cassettes", "prune"])
    assert held(project) == {"france": 4, "spain": 4}
    assert "left 2 cassettes alone: the case broke" in capsys.readouterr().out


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
    assert "left 2 cassettes alone: the case did not run" in capsys.readouterr().out


def test_repeats_that_a_run_did_not_ask_for_are_kept(project, recorded):
    recorded("one", "--llm-repeats", "3")
    recorded("one", "--llm-repeats", "1")
    main(["cassettes", "prune"])
    assert held(project) == {"france": 6, "spain": 6}
    assert recorded("one", "--llm-repeats", "3", "--llm-record", "none").ret == 0


def test_a_run_with_an_app_that_calls_no_model_takes_nothing_away(project, recorded, capsys):
    recorded("one")
    recorded("one", "--llm-app", "capitals:silent")
    capsys.readouterr()
    main(["cassettes", "prune"])
    assert held(project) == {"france": 4, "spain": 4}
    assert "the case made no call" in capsys.readouterr().out


def test_all_candidates_of_one_command_count(project, recorded):
    recorded("one", "--llm-repeats", "1", "-k", "nothing")  # writes the app
    choose = ["choose", "STYLE=a", "STYLE=b", "--golden", "golden/capitals.yaml", "--repeats", "1"]
    main(choose)
    assert held(project) == {"france": 4, "spain": 4}
    main(["cassettes", "prune"])
    assert held(project) == {"france": 4, "spain": 4}


def test_calls_of_ordinary_tests_are_left(project, recorded, capsys):
    recorded("one", "-k", "nothing")
    project.path.joinpath("test_it.py").write_text(
        "import capitals, pytest\n@pytest.fixture\ndef llm_app(): return capitals.answer\n"
        "def test_it(llm):\n    llm('a')\n    llm('b')\n"
    )
    for test in ("test_it", "test_it"):
        project.pytester.runpytest_subprocess("-k", test)
    project.path.joinpath("test_it.py").write_text(
        project.path.joinpath("test_it.py").read_text().replace("    llm('b')", "    assert False")
    )
    project.pytester.runpytest_subprocess()
    capsys.readouterr()
    main(["cassettes", "prune"])
    assert "left 1 cassette alone: the case is of no golden file" in capsys.readouterr().out


def test_a_case_that_was_given_up_is_left(project, recorded):
    recorded("one")
    app = project.path / "capitals.py"
    app.write_text(
        app.read_text().replace("    return ask(", "    import time; time.sleep(30)\n    return ask(")
    )
    project.run("--llm-repeats", "2", "--llm-timeout-s", "1")
    main(["cassettes", "prune"])
    assert held(project) == {"france": 4, "spain": 4}
