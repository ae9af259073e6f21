"""What leaves by ways that clients take now and then: redirects, compressed bodies, apps inside a client."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from http.client import HTTPConnection

import httpx
import pytest
import requests
import urllib3

from pytest_llmops.recorder.bodies import encode_body, parse_body
from pytest_llmops.recorder.egress import Egress
from pytest_llmops.recorder.identity import find_kind, may_be_call
from pytest_llmops.recorder.reply import read_answer
from pytest_llmops.recorder.seams import answers
from tests.provider_server import TEXT, ProviderServer
from tests.unit.recorder.asking import CASE
from tests.unit.recorder.client_shapes import (
    aiohttp_async,
    http_client,
    httpx_stream,
    httpx_sync,
    requests_stream,
    requests_sync,
    urllib3_sync,
)

AMAZON = "application/vnd.amazon.eventstream"
CHAT = {"model": "small", "messages": [{"role": "user", "content": "How long?"}]}


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


def test_calls_of_an_app_inside_a_test_client_are_seen(recorder, provider: ProviderServer):
    """The request to the app leaves nothing; the model call of its handler does."""

    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=requests_sync(provider.url, "How long?"))

    with recorder().recording(CASE, 0) as log, httpx.Client(transport=httpx.MockTransport(handle)) as client:
        assert client.get("http://testserver/ask").text == TEXT

    assert [call.kind for call in log.calls] == ["chat"]
    assert log.elsewhere == []


def test_a_compressed_request_is_known_by_what_it_says(recorder, provider: ProviderServer):
    for mode, at in (("new", 1), ("none", 2)):
        with recorder(mode).recording(CASE, 0) as log:
            content = gzip.compress(json.dumps(CHAT).encode(), mtime=at)
            headers = {"content-encoding": "gzip", "content-type": "application/json"}
            httpx.post(f"{provider.url}/v1/chat/completions", content=content, headers=headers)
        assert [(call.model, call.outcome != "refused") for call in log.calls] == [("small", True)]
    assert len(provider.asked) == 1


@pytest.mark.parametrize("ask", [http_client, httpx_stream, requests_stream, aiohttp_async])
def test_an_answer_that_is_too_long_is_passed_on_and_not_kept(
    recorder, provider: ProviderServer, monkeypatch, ask
):
    monkeypatch.setattr(answers, "MOST_ANSWERED", 20)
    with recorder().recording(CASE, 0) as log:
        assert ask(provider.url, "How long?") == TEXT

    ((outcome, reason),) = [(call.outcome, call.reason) for call in log.calls]
    assert (outcome, reason.partition(" more ")[0]) == ("failed", "the answer has")


def test_a_body_with_the_heads_of_two_codings_is_sent_as_it_is(recorder, provider: ProviderServer):
    """The server does not understand it, and that is its error."""
    head = {"content-length": "5"}
    with recorder().recording(CASE, 0) as log, pytest.raises(requests.RequestException):
        requests.post(f"{provider.url}/collect", data=iter([b"hello"]), headers=head, timeout=0.5)
    assert log.calls == []


def test_who_asks_for_the_socket_gets_it(recorder, provider: ProviderServer):
    connection = HTTPConnection(f"127.0.0.1:{provider.port}", timeout=5)
    with recorder().recording(CASE, 0) as log:
        connection.putrequest("POST", "/v1/chat/completions")
        assert connection.sock.getpeername()[1] == provider.port
        body = json.dumps(CHAT).encode()
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        assert TEXT in connection.getresponse().read().decode()
        connection.close()
    assert [call.outcome for call in log.calls] == ["made"]


def test_a_request_that_waits_for_leave_to_send_its_body_is_made(recorder, provider: ProviderServer):
    with recorder().recording(CASE, 0):
        connection = HTTPConnection(f"127.0.0.1:{provider.port}", timeout=5)
        connection.request("POST", "/upload", b"x" * 10, {"Expect": "100-continue"})
        assert connection.getresponse().status == 200
        connection.close()


def _pieces(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield bytes(1 << 20)


def _by_httpx(url: str) -> int:
    return httpx.post(url, content=_pieces(40), timeout=20).status_code


def _by_async_httpx(url: str) -> int:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in _pieces(40):
            yield piece

    async def post() -> int:
        async with httpx.AsyncClient(timeout=20) as client:
            return (await client.post(url, content=pieces())).status_code

    return asyncio.run(post())


def _by_requests(url: str) -> int:
    return requests.post(url, data=_pieces(40), timeout=20).status_code


@pytest.mark.parametrize("post", [_by_httpx, _by_async_httpx, _by_requests])
def test_a_body_that_is_too_long_to_be_kept_is_sent_and_to_a_model_it_is_not(
    recorder, provider: ProviderServer, post
):
    with recorder("none").recording(CASE, 0) as log:
        assert post(f"{provider.url}/upload") == 200
    assert len(provider.bodies[0]) == 40 << 20
    assert log.error is None

    with recorder().recording(CASE, 0) as log, suppress(Exception):
        post(f"{provider.url}/v1/chat/completions")
    assert provider.asked == ["/upload"]
    assert "has more than 32 MiB" in str(log.error)


@pytest.mark.parametrize(
    "content",
    [
        bytes(32),
        b"\x00\x00\x00\x10\x00\x00\x00\xff" + bytes(8),
        encode_body('{"headers": {}, "": {}}', AMAZON)[:-3],
    ],
)
def test_a_damaged_stream_of_amazon_is_no_answer(content: bytes):
    with pytest.raises(ValueError, match=r"stream|frame"):
        parse_body(content, AMAZON)


@pytest.mark.parametrize(
    ("path", "body", "is_model"),
    [
        ("/api/deployments/42/files", {"x": 1}, False),
        ("/surveys/7/responses", {"prompt": "How was it?"}, False),
        ("/threads/1/messages", {"model": "iphone"}, False),
        ("/openai/deployments/gpt/chat/completions", {"messages": []}, True),
        ("/v1/responses", {"model": "m", "input": "Hi"}, True),
        ("/api/embeddings", {"model": "m", "prompt": "Hi"}, True),
        ("/v1/chat/completions/", {"model": "m"}, True),
        ("/model/arn:aws:bedrock:us-east-1:1:inference-profile/x/converse", {}, True),
    ],
)
def test_paths_of_apps_and_of_models(path, body, is_model):
    assert bool(find_kind("POST", path, json.dumps(body).encode())) is is_model


def test_a_request_whose_answer_nobody_asks_for_is_sent_and_seen(recorder, provider: ProviderServer):
    with recorder().recording(CASE, 0) as log:
        connection = HTTPConnection(f"127.0.0.1:{provider.port}", timeout=5)
        connection.request("POST", "/v1/chat/completions", json.dumps(CHAT).encode())
        connection.close()
        httpx.get(provider.url)  # until the server has read the first one
    assert "/v1/chat/completions" in provider.asked
    assert [call.outcome for call in log.calls] == ["failed"]


def test_an_error_beside_a_message_is_no_answer():
    quota = {"error": {"code": "quota"}, "message": "Quota exceeded."}
    _, _, fault = read_answer(200, "application/json", json.dumps(quota).encode(), whole=True)
    assert "error" in fault


def test_a_cookie_is_read():
    sent = Egress(
        method="GET", host="a.test", port=None, path="/", query="", headers=[("Cookie", "a=1")], content=b""
    )
    assert sent.describe()["headers"] == {"cookie": "a=1"}


OWN = {
    "httpx": (httpx.Client, "send", httpx_sync),
    "http.client": (HTTPConnection, "request", http_client),
    "requests": (requests.Session, "send", requests_sync),
    "urllib3": (urllib3.HTTPConnectionPool, "urlopen", urllib3_sync),
}


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("library", OWN)
def test_a_method_that_the_app_itself_replaced_is_called_and_the_call_is_seen(
    recorder, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch, library: str, when: str
):
    kind, name, ask = OWN[library]
    passed: list[object] = []

    def wrap() -> None:
        original = getattr(kind, name)

        def own(*args: object, **options: object) -> object:
            passed.append(name)
            return original(*args, **options)

        monkeypatch.setattr(kind, name, own)

    if when == "before":
        wrap()
    with recorder().recording(CASE, 0) as log:
        if when == "meanwhile":
            wrap()
        assert ask(provider.url, "How long?") == TEXT
        if when == "meanwhile":
            monkeypatch.undo()
    assert [call.outcome for call in log.calls] == ["made"]
    assert passed == [name]


def test_a_long_body_is_sent_again_after_a_redirect(recorder, provider: ProviderServer):
    files = {"file": ("a.bin", bytes(40 << 20))}
    with recorder().recording(CASE, 0), httpx.Client(follow_redirects=True, timeout=20) as client:
        client.post(f"{provider.url}/moved-upload", files=files)
    assert provider.asked == ["/moved-upload", "/upload"]
    assert len(provider.bodies[0]) == len(provider.bodies[1]) > 40 << 20


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        ("card".encode("utf-16-le") * 4, "", "card"),
        ("card".encode("utf-16-be") * 4, "", "card"),
        ("card".encode("utf-16"), "", "card"),
        ("card".encode("utf-32"), "", "card"),
        ("Grüße".encode("latin-1"), "text/plain; charset=latin-1", "Grüße"),
        (b"card", "text/plain; charset=idna", "card"),
        (bytes(400) + b"jane@shop.example" + bytes(95), "", "jane@shop.example"),
    ],
)
def test_a_body_is_read_in_its_encoding(content: bytes, kind: str, text: str):
    request = Egress(
        method="POST",
        host="h",
        port=None,
        path="/",
        query="",
        headers=[("Content-Type", kind)],
        content=content,
    )
    assert text in request.read_text()


@pytest.mark.parametrize("beginning", [b"", b'{"messages": [', b'name="messages"'])
def test_what_may_be_a_call_is_told_by_its_beginning(beginning: bytes):
    assert may_be_call("POST", "/v1/messages", beginning)
    assert may_be_call("POST", "/v1/chat/completions", b"any")
    assert not may_be_call("POST", "/tickets/7/messages", b'{"text": "')
    assert not may_be_call("GET", "/v1/chat/completions", beginning)
