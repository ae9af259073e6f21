"""One endpoint for all processes of a user, whoever comes and goes."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from reference_app.models.sharing import Meeting, _private_folder, _read_address

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("weights")]  # skipped where they are missing

STARTED = "serving the embedded model"
OPEN = """
import json, sys
from reference_app.models.client import open_models
from reference_app.settings import read_settings
from reference_app.models.weights import find_weights
settings = read_settings()
models = open_models(settings, find_weights(settings.weights))
def chat(text, **options):
    return models.chat.chat.completions.create(
        model=models.chat_model, messages=[{"role": "user", "content": text}], temperature=0, **options)
"""
# Answers each line of standard input.
ASK = f"""{OPEN}
for line in sys.stdin:
    print(json.dumps(chat(line, max_tokens=24).choices[0].message.content), flush=True)
"""
# Prints a line in the middle of a long answer, and then leaves or waits for its end.
WRITE = f"""{OPEN}
import threading, time
long = dict(max_tokens=1900, extra_body={{"ignore_eos": True}})
chat("Say a word.", max_tokens=1)
if "leave" in sys.argv:
    threading.Thread(target=chat, args=("Tell a long story.",), kwargs=long, daemon=True).start()
    time.sleep(0.5)
    print("writing", flush=True)
else:
    threading.Timer(0.5, print, ("writing",), {{"flush": True}}).start()
    chat("Tell a long story.", **long)
"""
QUESTION = "Name three rivers.\n"


@pytest.fixture
def talk(launch, tmp_path):
    """Start a process that meets none but those of this test."""

    def start(code=ASK, *arguments):
        variables = {"XDG_RUNTIME_DIR": str(tmp_path), "REFERENCE_APP_PROFILE": "base"}
        return launch("-c", code, *arguments, **variables)

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
    assert answers[0]
    assert first.stderr.read().count(STARTED) == 1
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
    assert sum(text.count(STARTED) for text in errors) == 1


def test_a_request_outlives_the_owner_of_its_endpoint(talk):
    owner, guest = talk(), talk()
    assert ask(owner) == ask(guest)
    answers = []

    def ask_on():
        answers.extend(ask(guest) for _ in range(4))

    asking = threading.Thread(target=ask_on)
    asking.start()
    time.sleep(0.3)
    end(owner)
    asking.join()

    assert len(answers) == 4
    assert len(set(answers)) == 1
    assert STARTED in end(guest)


@pytest.mark.parametrize("how", ["leave", "interrupt"])
def test_a_process_ends_at_once_in_the_middle_of_an_answer(talk, how):
    process = talk(WRITE, how)
    assert process.stdout.readline() == "writing\n"

    if how == "interrupt":
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)

    assert process.returncode == (0 if how == "leave" else -signal.SIGINT), errors
    assert ("KeyboardInterrupt" in errors) == (how == "interrupt")


def test_the_address_is_for_this_user_s_eyes_alone(weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    meeting, guest = Meeting(weights), Meeting(weights)
    url = meeting.address()
    (path,) = tmp_path.glob("reference-app/*/endpoint.json")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert guest.address() == _read_address(path) == url
    assert capsys.readouterr().err.count(STARTED) == 1

    meeting.close()

    assert not path.exists()
    assert guest.address(failed=url) != url
    guest.close()


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
