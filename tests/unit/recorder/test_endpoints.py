"""Endpoints of providers other than chat: recorded, and replayed without a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import openai
import pytest

from tests.provider_server import ProviderServer
from tests.unit.recorder.asking import CASE
from tests.unit.recorder.client_shapes import KEY

Ask = Callable[[openai.OpenAI, str], object]
OPENAI: dict[str, tuple[str, Ask]] = {
    "completions": ("/v1/completions", lambda ai, _: ai.completions.create(model="m", prompt="hi")),
    "responses": ("/v1/responses", lambda ai, _: ai.responses.create(model="m", input="hi")),
    "embeddings": (
        "/v1/embeddings",
        lambda ai, _: ai.embeddings.create(model="m", input="hi", encoding_format="float"),
    ),
    "moderations": ("/v1/moderations", lambda ai, _: ai.moderations.create(input="hi")),
    "images": ("/v1/images/generations", lambda ai, _: ai.images.generate(model="m", prompt="hi")),
    "edited images": (
        "/v1/images/edits",
        lambda ai, _: ai.images.edit(model="m", prompt="hi", image=("a.png", b"\x89PNG")),
    ),
    "audio": (
        "/v1/audio/transcriptions",
        lambda ai, _: ai.audio.transcriptions.create(model="m", file=("a.wav", b"RIFF")),
    ),
    "files": ("/v1/files", lambda ai, _: ai.files.create(file=("a.txt", b"text"), purpose="assistants")),
}
BY_HTTPX = {
    "Mistral's completions": ("/v1/fim/completions", {"model": "m", "prompt": "def f(", "suffix": "x"}),
    "a reranker by query and documents": ("/v1/rerank", {"model": "m", "query": "q", "documents": ["a"]}),
    "a reranker by query and texts": ("/rerank", {"query": "q", "texts": ["a"]}),
}


def _post(path: str, body: object) -> Ask:
    return lambda _, url: httpx.post(url + path, json=body).json()


ENDPOINTS = {
    **OPENAI,
    **{name: (path, _post(path, body)) for name, (path, body) in BY_HTTPX.items()},
}


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.mark.parametrize("name", ENDPOINTS)
def test_it_is_a_model_call(recorder, provider: ProviderServer, name: str):
    path, ask = ENDPOINTS[name]
    outcomes = []
    for mode in ("new", "none"):
        with (
            recorder(mode).recording(CASE, 0) as log,
            openai.OpenAI(base_url=f"{provider.url}/v1", api_key=KEY, max_retries=0) as client,
        ):
            ask(client, provider.url)
        outcomes += [call.outcome for call in log.calls]

    assert outcomes == ["made", "replayed"]
    assert provider.asked == [path]
