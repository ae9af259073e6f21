"""The fine-tuning command against a real server that minds the protocol."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque

import pytest

from reference_app.training.openai_jobs import main
from tests.app.training.fine_tuning_server import KEY, FineTuningServer

CREATE, UPLOAD, LOOK = "POST /fine_tuning/jobs", "POST /files", "GET /fine_tuning/jobs/ID"
MODEL = "ft:gpt-4.1-nano-2025-04-14:shop:fellwind:dpo"


def turn(role, content):
    return {"role": role, "content": content}


def chat(number):
    return {"messages": [turn("user", f"Question {number}?"), turn("assistant", f"Answer {number}, £5.")]}


def pair(number):
    return {
        "input": {"messages": [turn("user", f"Question {number}?")]},
        "preferred_output": [turn("assistant", "Please visit your account.")],
        "non_preferred_output": [turn("assistant", "Yo.")],
    }


def write(path, examples):
    path.write_text("".join(f"{json.dumps(example, ensure_ascii=False)}\n" for example in examples))


@pytest.fixture
def server():
    with FineTuningServer() as server:
        yield server
    assert server.violations == []


@pytest.fixture
def arguments(tmp_path):
    write(tmp_path / "sft.jsonl", map(chat, range(12)))
    write(tmp_path / "pairs.jsonl", map(pair, range(10)))
    return [
        "--sft", str(tmp_path / "sft.jsonl"), "--preferences", str(tmp_path / "pairs.jsonl"),
        "--folder", str(tmp_path / "run"), "--poll", "0.001",
    ]  # fmt: skip


@pytest.fixture
def train(arguments, server, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def run(*more):
        code = main([*arguments, *more])
        return code, *capsys.readouterr()

    return run


def test_a_supervised_job_is_followed_by_dpo_on_its_model(train, server, tmp_path):
    code, output, errors = train("--yes", "--seed", "7", "--epochs", "2", "--beta", "0.2")

    assert (code, output) == (0, f"REFERENCE_APP_ADAPTER={MODEL}\n"), errors
    supervised, dpo = server.bodies
    assert supervised["method"] == {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    assert dpo["model"] == "ft:gpt-4.1-nano-2025-04-14:shop:fellwind:supervised"
    assert dpo["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1, "beta": 0.2}}}
    assert (supervised["seed"], dpo["seed"], dpo["suffix"]) == (7, 7, "fellwind")
    assert list(server.uploads.values()) == [
        (tmp_path / "sft.jsonl").read_bytes(), (tmp_path / "pairs.jsonl").read_bytes(),
    ]  # fmt: skip


def test_without_yes_nothing_leaves_the_machine(train, server, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")

    code, output, errors = train("--price", "100", "--epochs", "3")

    assert (code, output, server.calls, (tmp_path / "run").exists()) == (0, "", {}, False)
    tokens = sum(len(one["content"]) for number in range(12) for one in chat(number)["messages"])
    assert f"supervised: 12 examples, about {tokens} tokens, {tokens / 1e4:.2f} USD" in errors
    assert "Nothing was uploaded." in errors


@pytest.mark.parametrize("fault", [429, 503, "cut"])
@pytest.mark.parametrize("where", [UPLOAD, LOOK, "GET /fine_tuning/jobs"])
def test_a_passing_fault_makes_no_job_twice(train, server, where, fault):
    server.faults[where] = deque([fault])

    code, output, errors = train("--yes")

    assert (code, output) == (0, f"REFERENCE_APP_ADAPTER={MODEL}\n"), errors
    assert len(server.jobs) == 2


@pytest.mark.parametrize(
    ("fault", "said"), [(503, "Not now."), (403, "Not now."), ("lost", "Connection error.")]
)
def test_a_job_is_asked_for_once_and_found_by_the_next_run(train, server, fault, said):
    server.faults[CREATE] = deque([fault])

    code, output, errors = train("--yes")

    assert (code, output, server.calls[CREATE]) == (1, "", 1)
    assert said in errors
    assert train("--yes")[0] == 0
    assert len(server.jobs) == 2


@pytest.mark.parametrize("method", ["supervised", "dpo"])
@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_a_job_that_does_not_end_well_says_why(train, server, method, ending):
    server.ending[method] = ending

    code, output, errors = train("--yes")

    assert (code, output) == (1, "")
    why = "failed: Line 3 is \\x1b[2Junsafe." if ending == "failed" else "cancelled: no reason given"
    assert f"The {method} job ftjob-{len(server.jobs) - 1} is {why}" in errors.splitlines()[-1]


@pytest.mark.parametrize("changed", [("--seed", "1"), ("--epochs", "1")])
def test_a_folder_holds_one_run(train, server, changed):
    assert train("--yes")[0] == 0

    code, _, errors = train("--yes", *changed)

    assert (code, len(server.jobs)) == (1, 2)
    assert "holds another run" in errors


@pytest.mark.parametrize("broken", ["", "[]", "{", '{"run": "a"}'])
def test_a_broken_state_starts_nothing(train, server, tmp_path, broken):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "jobs.json").write_text(broken)

    code, _, errors = train("--yes")

    assert (code, server.calls) == (1, {})
    assert "jobs.json is broken" in errors


BAD = {
    "no JSON": "{",
    "empty": "",
    "no object": "[]",
    "another role": json.dumps({"messages": [turn("boss", "x"), turn("assistant", "x")]}),
    "no answer": json.dumps({"messages": [turn("user", "x")]}),
    "no text": json.dumps({"messages": [turn("user", " "), turn("assistant", "x")]}),
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD)
def test_an_example_that_is_none_is_named_with_its_line(train, server, tmp_path, line):
    with (tmp_path / "sft.jsonl").open("a") as file:
        file.write(f"{line}\n")

    code, _, errors = train("--yes")

    assert (code, server.calls) == (1, {})
    assert "sft.jsonl:13: is no example of supervised training" in errors


def test_a_pair_with_equal_answers_few_examples_or_no_file_is_one_clear_line(train, tmp_path):
    same = {**pair(11), "non_preferred_output": pair(11)["preferred_output"]}
    write(tmp_path / "pairs.jsonl", [*map(pair, range(10)), same])
    assert "pairs.jsonl:11: is no example of dpo training" in train()[2]
    write(tmp_path / "pairs.jsonl", map(pair, range(3)))
    assert "has 3 examples; the API takes 10 or more" in train()[2]
    (tmp_path / "pairs.jsonl").unlink()
    assert "cannot be read" in train()[2]


def test_a_key_that_is_none_is_one_clear_line_without_the_key(train, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    code, _, errors = train("--yes")
    assert code == 1
    assert errors.splitlines()[-1] == "openai_jobs: The endpoint refused the key; check OPENAI_API_KEY."
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "OPENAI_API_KEY is not set" in train("--yes")[2]


def test_a_model_without_a_known_price_needs_one(train):
    assert "give it with --price" in train("--model", "another")[2]


def test_a_killed_run_is_taken_up_without_a_second_job(arguments, train, server):
    server.stays = "running"
    command = [sys.executable, "-m", "reference_app.training.openai_jobs", *arguments, "--yes"]
    environment = {**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    try:
        deadline = time.monotonic() + 60
        while server.calls[LOOK] < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    server.stays = ""

    assert train("--yes")[0] == 0
    assert len(server.jobs) == 2
