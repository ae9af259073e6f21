from __future__ import annotations

import socket
from contextvars import ContextVar

import httpx
import pytest
from starlette.responses import PlainTextResponse

from reference_app.http_server import LoopbackServer, listen

ASKED = ContextVar("ASKED", default="nothing")


async def app(scope, receive, send):
    await PlainTextResponse(ASKED.get())(scope, receive, send)


def test_what_is_served_belongs_to_no_question():
    """The question that starts a server is not the one that its later requests are of."""
    token = ASKED.set("the first question")
    server = LoopbackServer(app)
    ASKED.reset(token)

    assert httpx.get(server.url).text == "nothing"
    assert server.runs
    server.close()
    assert not server.runs
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_connection_sends_at_once():
    with listen(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
