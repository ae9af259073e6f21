from __future__ import annotations

import threading

import httpx
import pytest

from reference_app.http_server import make_server
from reference_app.serving.routes import build
from reference_app.serving.server import bind
from tests.app.serving.stand_in import SECTIONS, StandIn


@pytest.fixture(scope="module")
def served():
    """The stand-in, and the address of a real server in front of it."""
    app = StandIn()
    with bind("127.0.0.1", 0) as listener:
        server = make_server(build(app, "127.0.0.1", SECTIONS), grace_s=3)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield app, f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def app(served):
    served[0].forget()
    return served[0]


@pytest.fixture
def client(app, served):  # noqa: ARG001 - the app forgets earlier tests first
    with httpx.Client(base_url=served[1], timeout=10) as client:
        yield client
