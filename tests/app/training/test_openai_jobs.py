"""The fine-tuning command against a real server that minds the protocol."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections import deque

import pytest

from reference_app.training.openai_jobs.__main__ import main
from tests.app.shop import environment
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


def state(tmp_path):
    return json.loads((tmp_path / "run" / "jobs.json").read_text())


def test_a_supervised_job_is_followed_by_dpo_on_its_model(train, server, tmp_path):
    code, output, errors = train("--yes", "--seed", "7", "--epochs", "2", "--beta", "0.2")

    assert (code, output) == (0, f"REFERENCE_APP_ADAPTER={MODEL}\n"), errors
    supervised, dpo = server.bodies
    assert supervised["model"] == "gpt-4.1-nano-2025-04-14"
    assert supervised["method"] == {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    assert dpo["model"] == "ft:gpt-4.1-nano-2025-04-14:shop:fellwind:supervised"
    assert dpo["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 1, "beta": 0.2}}}
    assert (supervised["seed"], dpo["seed"], dpo["suffix"]) == (7, 7, "fellwind")
    assert list(server.uploads.values()) == [
        (tmp_path / "sft.jsonl").read_bytes(), (tmp_path / "pairs.jsonl").read_bytes(),
    ]  # fmt: skip


def test_every_event_is_told_once_and_in_order(train):
    _, _, errors = train("--yes")

    told = [
        line for line in errors.splitlines() if " is " in line and line.startswith(("supervised:", "dpo:"))
    ]
    assert told == [
        f"{method}: {method} is {status}"
        for method in ("supervised", "dpo")
        for status in ("created", "queued", "running", "succeeded")
    ]


def test_without_yes_nothing_leaves_the_machine(train, server, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")

    code, output, errors = train("--price", "100", "--epochs", "3")

    assert (code, output, server.calls, (tmp_path / "run").exists()) == (0, "", {}, False)
    characters = sum(len(one["content"]) for number in range(12) for one in chat(number)["messages"])
    tokens = characters * 3 // 3
    assert f"supervised: 12 examples, about {tokens} tokens over all epochs, {tokens / 1e4:.2f} USD" in errors
    pairs = 10 * (2 * len("Question 0?") + len("Please visit your account.") + len("Yo.")) // 3
    assert f"dpo: 10 examples, about {pairs} tokens over all epochs, {pairs / 1e4:.2f} USD" in errors
    assert "No paid job was ever run" in errors
    assert "Nothing was uploaded." in errors


def test_the_settings_file_gets_the_model_and_keeps_its_lines(train, tmp_path):
    settings = tmp_path / "app.env"
    settings.write_text("OPENAI_API_KEY=kept\nREFERENCE_APP_ADAPTER=none\n# end\n")

    assert train("--yes", "--settings", str(settings))[0] == 0
    assert settings.read_text() == f"OPENAI_API_KEY=kept\n# end\nREFERENCE_APP_ADAPTER={MODEL}\n"


@pytest.mark.parametrize("fault", [429, 503, "cut", "lost"])
@pytest.mark.parametrize("where", [CREATE, UPLOAD, LOOK, "GET /fine_tuning/jobs", "GET /files"])
def test_a_passing_fault_makes_nothing_twice(train, server, where, fault):
    server.faults[where] = deque([fault, fault])

    code, output, errors = train("--yes")

    assert (code, output) == (0, f"REFERENCE_APP_ADAPTER={MODEL}\n"), errors
    assert (len(server.jobs), len(server.files)) == (2, 2)
    assert not server.faults[where]


def test_the_pause_of_a_429_is_the_server_s(train, server, monkeypatch):
    pauses = []
    monkeypatch.setattr("tenacity.nap.time.sleep", pauses.append)
    server.retry_after = "7"
    server.faults[CREATE] = deque([429])

    assert train("--yes")[0] == 0
    assert 7.0 in pauses


@pytest.mark.parametrize(
    ("where", "faults", "said"),
    [
        (CREATE, ["insufficient_quota"], "HTTP 429"),
        (CREATE, [403], "HTTP 403"),
        (LOOK, [500] * 8, "HTTP 500"),
        (UPLOAD, ["cut"] * 8, "The line to the endpoint failed"),
    ],
)
def test_a_lasting_fault_is_one_clear_line_and_the_next_run_goes_on(train, server, where, faults, said):
    server.faults[where] = deque(faults)

    code, output, errors = train("--yes")

    assert (code, output) == (1, "")
    assert said in errors.splitlines()[-1]
    assert not server.faults[where]
    assert train("--yes")[0] == 0
    assert (len(server.jobs), len(server.files)) == (2, 2)


@pytest.mark.parametrize("method", ["supervised", "dpo"])
@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_a_job_that_does_not_end_well_says_why(train, server, method, ending):
    server.ending[method] = ending

    code, output, errors = train("--yes")

    assert (code, output) == (1, "")
    last = errors.splitlines()[-1]
    assert f"The {method} job ftjob-{len(server.jobs) - 1}" in last
    why = {
        "failed": "has failed: Line 3 is \\x1b[2Junsafe. (invalid_training_file)",
        "cancelled": "was cancelled: the endpoint gave no reason",
    }
    assert why[ending] in last
    assert train("--yes")[0] == 1
    assert len(server.jobs) == ("supervised", "dpo").index(method) + 1


def test_cancel_ends_the_running_job(train, server):
    server.ending["dpo"] = "failed"
    assert train("--yes")[0] == 1
    server.jobs["ftjob-1"]["status"] = "running"

    code, _, errors = train("--cancel")

    assert (code, errors) == (0, "dpo: ftjob-1 is cancelled\n")
    assert server.jobs["ftjob-1"]["status"] == "cancelled"


def test_cancel_without_a_running_job_says_so(train, tmp_path):
    assert train("--cancel") == (1, "", f"openai_jobs: {tmp_path / 'run'} holds no run.\n")
    train("--yes")

    assert train("--cancel") == (1, "", f"openai_jobs: No job of {tmp_path / 'run'} runs.\n")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--seed", "1"), "another seed"),
        (("--model", "gpt-4.1-mini-2025-04-14"), "another model"),
        (("--epochs", "1"), "another supervised"),
    ],
)
def test_a_folder_holds_one_run(train, server, changed, said):
    assert train("--yes")[0] == 0

    code, _, errors = train("--yes", *changed)

    assert (code, len(server.jobs)) == (1, 2)
    assert said in errors.splitlines()[-1]


def test_two_runs_at_once_are_not_let_into_one_folder(train, server, tmp_path):
    from filelock import FileLock

    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run" / "lock"):
        code, _, errors = train("--yes")

    assert (code, server.calls) == (1, {})
    assert "Another run is at work" in errors


@pytest.mark.parametrize(
    "broken",
    ["", "[]", "{", '{"run": "a", "request": {}, "steps": {"dpo": {"job": "../../files"}}}', '{"run": "a"}'],
)
def test_a_broken_state_starts_nothing(train, server, tmp_path, broken):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "jobs.json").write_text(broken)

    code, _, errors = train("--yes")

    assert (code, server.calls) == (1, {})
    assert "jobs.json is broken" in errors


BAD_CHAT = [
    ("no JSON", "{", ":13: is no JSON"),
    ("empty line", "", ":13: is no JSON"),
    ("no object", "[]", ":13: expected an object"),
    (
        "another role",
        json.dumps({"messages": [turn("boss", "x"), turn("assistant", "x")]}),
        ":13: `messages[0]",
    ),
    ("no answer", json.dumps({"messages": [turn("user", "x")]}), ":13: the last of"),
    ("deep", "[" * 100_000, " has a line that is nested too deep"),
]


@pytest.mark.parametrize(("line", "said"), [one[1:] for one in BAD_CHAT], ids=[one[0] for one in BAD_CHAT])
def test_an_example_that_is_none_is_named(train, server, tmp_path, line, said):
    with (tmp_path / "sft.jsonl").open("a") as file:
        file.write(f"{line}\n")

    code, _, errors = train("--yes")

    assert (code, errors.count("\n"), server.calls) == (1, 1, {})
    assert f"sft.jsonl{said}" in errors


@pytest.mark.parametrize(
    "changed",
    [{"preferred_output": []}, {"non_preferred_output": [turn("user", "x")]}, {"input": {}}, {"more": 1}],
)
def test_a_pair_that_is_none_is_named(train, server, tmp_path, changed):
    write(tmp_path / "pairs.jsonl", [*map(pair, range(10)), {**pair(10), **changed}])

    code, _, errors = train("--yes")

    assert (code, server.calls) == (1, {})
    assert "pairs.jsonl:11: " in errors


def test_few_missing_or_other_bytes_are_one_clear_line(train, tmp_path):
    write(tmp_path / "sft.jsonl", map(chat, range(9)))
    assert "9 examples; the API takes 10" in train("--yes")[2]
    (tmp_path / "sft.jsonl").write_bytes(b"\xff\xfe")
    assert "cannot be read as UTF-8" in train("--yes")[2]
    (tmp_path / "sft.jsonl").unlink()
    assert "No such file" in train("--yes")[2]


def test_a_password_in_the_address_stays_out_of_the_files(train, server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url.replace("//", "//me:secret@"))
    server.faults[UPLOAD] = deque([403])

    assert train("--yes")[0] == 1
    assert "secret" not in (tmp_path / "run" / "jobs.json").read_text()


@pytest.mark.parametrize(
    ("key", "said"), [(None, "OPENAI_API_KEY is not set"), ("sk-other", "refused the key")]
)
def test_a_key_that_is_none_is_one_clear_line(train, server, monkeypatch, key, said):
    monkeypatch.delenv("OPENAI_API_KEY") if key is None else monkeypatch.setenv("OPENAI_API_KEY", key)

    code, _, errors = train("--yes")

    assert (code, server.files) == (1, {})
    assert said in errors.splitlines()[-1]
    assert "sk-" not in errors


def test_a_model_without_a_known_price_needs_one(train, server):
    code, _, errors = train("--yes", "--model", "other-model")

    assert (code, server.calls) == (1, {})
    assert "--price" in errors
    assert train("--yes", "--model", "other-model", "--price", "2")[0] == 0


def test_a_reply_of_another_kind_is_one_clear_line(train, monkeypatch):
    monkeypatch.setattr(FineTuningServer, "move", lambda _, job: job.update(status="succeeded\x1b[2J"))

    code, _, errors = train("--yes")

    assert code == 1
    assert errors.splitlines()[-1] == (
        "openai_jobs: The endpoint's reply has no usable 'status'; check OPENAI_BASE_URL."
    )


@pytest.fixture
def begin(arguments, server):
    """Start the command in a process of its own, with a terminal as its standard input."""
    started = []

    def start(*more):
        terminal, inside = pty.openpty()
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "reference_app.training.openai_jobs", *arguments, "--yes", *more],
            env=environment(OPENAI_BASE_URL=server.url, OPENAI_API_KEY=KEY),
            stdin=inside,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(inside)
        started.append((process, terminal))
        return process, terminal

    yield start
    for process, terminal in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        os.close(terminal)


def wait_for(happened):
    until = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("stays", ["validating_files", "running"])
def test_a_killed_run_is_taken_up_without_a_second_job(begin, train, server, stays):
    server.stays = stays
    process, _ = begin()
    wait_for(lambda: server.calls["GET /fine_tuning/jobs/ID/events"] >= 3)
    process.kill()
    process.wait()
    server.stays = ""

    code, output, errors = train("--yes")

    assert (code, output) == (0, f"REFERENCE_APP_ADAPTER={MODEL}\n"), errors
    assert (len(server.jobs), len(server.files)) == (2, 2)
    assert "supervised is created" not in errors  # told before the kill


def test_a_job_whose_id_was_never_heard_is_found_again(begin, train, server, tmp_path):
    """Killed between asking for the job and hearing of it: the ids on disk do not know the job."""
    server.faults[CREATE] = deque(["lost"])
    process, _ = begin("--poll", "60")  # so long it waits after the lost answer
    wait_for(lambda: server.jobs)
    process.kill()
    process.wait()

    assert state(tmp_path)["steps"] == {"supervised": {}}
    assert train("--yes")[0] == 0
    assert (len(server.jobs), len(server.files)) == (2, 2)


@pytest.mark.parametrize(("said", "status"), [(b"y\n", "cancelled"), (b"\n", "running")])
def test_ctrl_c_asks_whether_the_job_is_to_end(begin, server, said, status):
    server.stays = "running"
    process, terminal = begin()
    wait_for(lambda: server.jobs and server.jobs["ftjob-0"]["status"] == "running")

    process.send_signal(signal.SIGINT)
    os.write(terminal, said)
    output, errors = process.communicate(timeout=30)

    assert (process.returncode, output) == (130, "")
    assert "Cancel the supervised job ftjob-0? [y/N]" in errors
    assert server.jobs["ftjob-0"]["status"] == status
    assert "Traceback" not in errors


def test_the_help_says_that_no_paid_job_was_run(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])

    assert ended.value.code == 0
    assert "No paid job was ever run" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "wrong",
    [
        ("--suffix", "A b"),
        ("--model", "x y"),
        ("--poll", "0"),
        ("--beta", "nan"),
        ("--epochs", "0"),
        ("--price", "nan"),
    ],
)
def test_a_misused_option_is_refused(arguments, wrong):
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *wrong])

    assert ended.value.code == 2
