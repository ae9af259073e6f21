"""The scoring service of a session with workers: strangers, and its end."""

import socket
import subprocess
import sys
import threading
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import pytest

from pytest_llmops.runner.scoring import ScoringService

STOPPED_AND_CONTINUED = """
import os, signal, sys, time
from multiprocessing.connection import Client
from pytest_llmops.runner.scoring import ScoringService

for _ in range(3):
    ScoringService().close()
service = ScoringService()
time.sleep(0.2)  # until its thread waits
child = os.fork()
if child == 0:
    os.kill(os.getppid(), signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(os.getppid(), signal.SIGCONT)
    os._exit(0)
os.waitpid(child, 0)
for _ in range(4):
    Client(service.address, authkey=service.key.encode()).close()
"""


@pytest.fixture
def service():
    service = ScoringService()
    yield service
    service.close()


def accepting() -> int:
    return sum(thread.name == "llmops-service" for thread in threading.enumerate())


def test_nothing_accepts_once_a_service_is_closed():
    before = accepting()
    for _ in range(3):
        ScoringService().close()
    assert accepting() <= before


def test_a_stopped_and_continued_process_serves_its_workers():
    """As in a paused container: a call to `accept` is begun anew by the number of its socket."""
    done = subprocess.run(  # noqa: S603 - the text above
        [sys.executable, "-c", STOPPED_AND_CONTINUED], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_wrong_key_is_refused_and_the_next_worker_served(service):
    with pytest.raises(AuthenticationError):
        Client(service.address, authkey=b"wrong")
    Client(service.address, authkey=service.key.encode()).close()


def test_a_stranger_who_says_nothing_keeps_nobody_waiting(service):
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(service.address)
        Client(service.address, authkey=service.key.encode()).close()


@pytest.mark.parametrize("said", [b"", b"\x00\x00\x00\x05hello", b"\x7f\xff\xff\xff", bytes(range(200))])
def test_whatever_a_stranger_says_ends_nothing(service, said):
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(service.address)
        stranger.sendall(said)
    Client(service.address, authkey=service.key.encode()).close()


def test_it_is_closed_once_and_closed_even_if_nothing_can_be_opened(monkeypatch):
    def refuse(*_, **__):
        raise OSError("too many open files")

    service = ScoringService()
    monkeypatch.setattr("pytest_llmops.runner.scoring.Client", refuse)
    monkeypatch.setattr("pytest_llmops.runner.scoring._PATIENCE_S", 0.1)
    service.close()
    service.close()
