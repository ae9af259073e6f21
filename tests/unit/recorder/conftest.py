"""A server on this machine, clients that reach it as themselves and as somebody far away, recorders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import openai
import pytest

from pytest_llmops.recorder import Recorder
from tests.openai_server import OpenAIServer
from tests.unit.recorder.asking import KEY

FAR_URL = "http://api.example.test/v1"


class Detour(httpx2.HTTPTransport):
    """Brings requests for a host that does not exist to the server on this machine."""

    def __init__(self, server: OpenAIServer) -> None:
        super().__init__()
        self._server = server

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        near = request.url.copy_with(host="127.0.0.1", port=self._server.port)
        request = httpx2.Request(request.method, near, headers=request.headers, stream=request.stream)
        return super().handle_request(request)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def client(server: OpenAIServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0) as near:
        yield near


@pytest.fixture
def far_client(server: OpenAIServer) -> Iterator[openai.OpenAI]:
    http_client = httpx2.Client(transport=Detour(server))
    with openai.OpenAI(base_url=FAR_URL, api_key=KEY, max_retries=2, http_client=http_client) as far:
        yield far


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Makes installed recorders over the same folders, each as a new run would."""
    made: list[Recorder] = []

    def make(mode: str = "new", **options) -> Recorder:
        committed, local = tmp_path / "golden/cassettes", tmp_path / ".llmops/cassettes"
        new = Recorder(committed=committed, local=local, mode=mode, **options)
        new.install()
        made.append(new)
        return new

    yield make
    for each in made:
        each.uninstall()
