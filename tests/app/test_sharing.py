"""One endpoint for all processes of a user, whoever comes and goes."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from reference_app.sharing import _private_folder, _read_address

STARTED = "serving the embedded model"
# Answers each line of standard input and says in which process the endpoint was started, if in this one.
ASK = """
import json, sys
import reference_app
for line in sys.stdin:
    print(json.dumps(reference_app.answer(line)["text"]), flush=True)
"""
# Prints a line once the model has begun to write, and then waits for the end of a long answer.
WRITE = """
import sys
from reference_app.graph import open_app

pytestmark = pytest.mark.usefixtures("weights")  # skipped where they are missing

models = open_app().models
stream = models.chat.chat.completions.create(
    model=models.chat_model, messages=[{"role": "user", "content": "Tell a long story."}],
    max_tokens=1900, stream=True, extra_body={"ignore_eos": True})
for number, chunk in enumerate(stream):
    if number == 3:
        print("writing", flush=True)
        if "leave" in sys.argv:
            break
"""
QUESTION = "How heavy is the Kestrel tent?\n"


@pytest.fixture
def talk(launch, shop):
    def start(code=ASK, *arguments):
        return launch("-c", code, *arguments, **shop)

    return start


def ask(process, question=QUESTION):
    process.stdin.write(question)
    process.stdin.flush()
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return json.loads(line)


def end(process):
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    return errors


def test_two_processes_share_one_endpoint_and_the_second_takes_over(talk):
    first, second = talk(), talk()

    answers = [ask(first), ask(second)]
    first.send_signal(signal.SIGKILL)
    answers.append(ask(second))

    assert answers == [answers[0]] * 3
    assert "3.4 kg" in answers[0]
    assert STARTED not in first.stderr.read() or first.returncode is None
    assert end(second).count(STARTED) == 1


def test_processes_that_start_at_once_start_one_endpoint(talk):
    processes = [talk() for _ in range(3)]
    for process in processes:
        process.stdin.write(QUESTION)
        process.stdin.flush()

    answers = {process.stdout.readline() for process in processes}

    # All of them still run here, so none can have taken over from another.
    assert len(answers) == 1
    for process in processes:
        process.stdin.close()
    errors = [process.stderr.read() for process in processes]
    assert sum(text.count(STARTED) for text in errors) >= 1


def test_a_request_outlives_the_owner_of_its_endpoint(talk):
    owner, guest = talk(), talk()
    assert ask(owner) == ask(guest)
    answers = []

    def ask_on():
        answers.extend(ask(guest) for _ in range(6))

    asking = threading.Thread(target=ask_on)
    asking.start()
    time.sleep(0.3)
    end(owner)
    asking.join()

    assert len(answers) == 6
    assert len(set(answers)) == 1
    assert STARTED in end(guest)


@pytest.mark.parametrize("how", ["leave", "interrupt"])
def test_a_process_ends_at_once_in_the_middle_of_an_answer(talk, how):
    process = talk(WRITE, how)
    assert process.stdout.readline() == "writing\n"

    if how == "interrupt":
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=5)

    assert process.returncode == (0 if how == "leave" else -signal.SIGINT), errors
    assert ("KeyboardInterrupt" in errors) == (how == "interrupt")


def test_the_address_is_for_this_user_s_eyes_alone(talk, shop):
    process = talk()
    ask(process)

    (path,) = Path(shop["XDG_RUNTIME_DIR"]).glob("reference-app/*/endpoint.json")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert _read_address(path) == json.loads(path.read_text())["url"]
    end(process)
    assert not path.exists()


def test_a_stranger_at_the_old_port_is_not_believed(tmp_path):
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ok", "token": "another"}')

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        path = tmp_path / "endpoint.json"
        url = f"http://127.0.0.1:{server.server_address[1]}"
        path.write_text(json.dumps({"url": url, "token": "ours"}))
        believed = _read_address(path)
        path.write_text(json.dumps({"url": url, "token": "another"}))
        control = _read_address(path)
        server.shutdown()

    assert (believed, control) == (None, url)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"url": "http://127.0.0.1:1", "token": "x"}', '{"url": 1, "token": 2}']
)
def test_a_broken_address_is_no_address(tmp_path, content):
    (tmp_path / "endpoint.json").write_text(content)

    assert _read_address(tmp_path / "endpoint.json") is None


def test_a_folder_that_others_can_read_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run" / "reference-app").mkdir(parents=True)
    (tmp_path / "run" / "reference-app").chmod(0o755)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    assert _private_folder() == tmp_path / f"reference-app-{os.getuid()}"
