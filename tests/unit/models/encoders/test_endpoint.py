from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.models.encoders import EncoderChoice, EncodingError, EndpointEncoder, RefusedTextsError
from tests import openai_server
from tests.openai_server import OpenAIServer

KEY = "sk-key-of-this-test-00000000"


class RefusingServer(OpenAIServer):
    """Refuses a call with a text that begins with `long`, as an endpoint does that has a limit."""

    async def _respond(self, path, content, writer):
        request = json.loads(content)
        if any(text.startswith("long") for text in request["input"]):
            self.requests.append(request)
            openai_server._send(writer, 400, {"error": {"message": "at most 8192 tokens"}})
            return True
        return await super()._respond(path, content, writer)


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


def encoder(server, **options):
    options = {"attempts": 1, "timeout_s": 10, "base_url": server.url, **options}
    return EndpointEncoder(EncoderChoice(model="openai:small", **options))


def spoil(monkeypatch, change):
    """Let the server's answer be changed before it is sent."""
    whole = openai_server._embeddings

    def spoiled(request):
        answer = whole({**request, "encoding_format": "float"})
        change(answer)
        return answer

    monkeypatch.setattr(openai_server, "_embeddings", spoiled)


def test_vectors_are_the_servers_at_length_one_in_the_order_of_the_texts(server):
    texts = [f"text {number}" for number in range(5)]

    vectors = encoder(server).encode(texts)

    answer = openai_server._embeddings({"input": texts})["data"]
    for vector, entry in zip(vectors, answer, strict=True):
        written = np.array(entry["embedding"])
        assert vector == pytest.approx(written / np.linalg.norm(written), abs=1e-6)
    assert vectors.dtype == np.float32
    assert server.requests[0]["model"] == "small"
    assert "dimensions" not in server.requests[0]


def test_many_texts_go_in_batches_bounded_by_count_and_characters(server):
    model = encoder(server)
    texts = [*(f"text {number}" for number in range(600)), *("w" * 90_000 for _ in range(5))]

    vectors = model.encode(texts)

    assert [len(request["input"]) for request in server.requests] == [256, 256, 90, 2, 1]
    assert len(vectors) == model.encoded == len(texts)


def test_dimensions_and_prompts_are_sent(server):
    model = encoder(server, dimensions=4, prompt="passage: ", query_prompt="query: ")

    model.encode(["a"])
    model.encode(["a"], query=True)

    assert [request["input"] for request in server.requests] == [["passage: a"], ["query: a"]]
    assert server.requests[0]["dimensions"] == 4
    assert model.asymmetric


def test_an_empty_text_is_sent_as_a_blank_which_openai_takes(server):
    encoder(server).encode([""])

    assert server.requests[0]["input"] == [" "]


def test_an_answer_in_another_order_is_put_back_by_its_index(server, monkeypatch):
    texts = ["a", "b", "c"]
    straight = encoder(server).encode(texts)
    spoil(monkeypatch, lambda answer: answer["data"].reverse())

    assert encoder(server).encode(texts) == pytest.approx(straight, abs=1e-6)


def set_vector(vector):
    return lambda answer: answer["data"][1].update(embedding=vector)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda answer: answer["data"].pop(), "answered 2 of 3 texts"),
        (lambda answer: answer["data"].append(dict(answer["data"][0])), "answered 4 of 3 texts"),
        (lambda answer: answer["data"][0].update(index=1), "not each of them once"),
        (lambda answer: answer["data"][0].update(index=None), "not each of them once"),
        (lambda answer: answer["data"].clear(), "gave no embeddings"),
        (lambda answer: answer.pop("data"), "gave no embeddings"),
        (set_vector([math.nan] * 8), "empty, zero or no numbers"),
        (set_vector([math.inf] * 8), "empty, zero or no numbers"),
        (set_vector([0.0] * 8), "empty, zero or no numbers"),
        (set_vector([]), "empty, zero or no numbers"),
        (set_vector(None), "empty, zero or no numbers"),
        (set_vector(["a", "b"]), "empty, zero or no numbers"),
        (set_vector([[1.0], [2.0]]), "empty, zero or no numbers"),
        (set_vector([1.0, 2.0]), "vectors of unlike length"),
        (set_vector("!!!"), "openai:small"),
    ],
)
def test_a_broken_answer_is_an_error_and_no_vector(server, monkeypatch, change, told):
    spoil(monkeypatch, change)

    with pytest.raises(EncodingError, match="openai:small") as error:
        encoder(server).encode(["a", "b", "c"])

    assert told in str(error.value)


@pytest.fixture
def waited(monkeypatch):
    """The pauses of the client before it asks again, which take no time."""
    seconds = []
    monkeypatch.setattr("openai._base_client.time.sleep", seconds.append)
    return seconds


@pytest.mark.usefixtures("waited")
@pytest.mark.parametrize("fault", ["429", "500", "cut"])
def test_what_passes_is_asked_again(server, fault):
    server.faults.extend([fault, fault])

    vectors = encoder(server, attempts=3).encode(["a"])

    assert vectors.shape == (1, 8)
    assert server.calls["/v1/embeddings"] == 3


def test_retry_after_is_waited_for(server, waited):
    server.retry_after_s = 7
    server.faults.append("429")

    encoder(server, attempts=2).encode(["a"])

    assert waited == [7]


@pytest.mark.usefixtures("waited")
@pytest.mark.parametrize(
    ("fault", "told"),
    [("401", "status 401"), ("500", "status 500"), ("cut", "onnection"), ("malformed", "gave no")],
)
def test_what_stays_broken_is_told_in_one_line_without_the_key(server, fault, told):
    server.fault = fault

    with pytest.raises(EncodingError) as error:
        encoder(server, attempts=2).encode(["a"])

    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert "sk-" not in str(error.value)
    assert server.calls["/v1/embeddings"] == (1 if fault in {"401", "malformed"} else 2)


def test_a_slow_endpoint_is_given_up(server):
    server.latency_s = 30

    with pytest.raises(EncodingError, match="timed out"):
        encoder(server, timeout_s=0.05).encode(["a"])


def test_a_refused_text_costs_no_other_its_vector():
    texts = [*(f"text {number}" for number in range(20)), "long one", "long two"]
    with RefusingServer() as server:
        with pytest.raises(RefusedTextsError) as error:
            encoder(server).encode(texts)
        whole = encoder(server).encode(texts[:20])

    assert set(error.value.refused) == {"long one", "long two"}
    assert "status 400: at most 8192 tokens" in error.value.refused["long one"]
    assert error.value.vectors[:20] == pytest.approx(whole, abs=1e-6)


def test_an_endpoint_that_refuses_any_text_is_not_asked_for_each(monkeypatch):
    monkeypatch.setattr("pytest_llmops.models.encoders._PROBE", "long")
    with RefusingServer() as server:
        with pytest.raises(EncodingError, match="at most 8192") as error:
            encoder(server).encode([f"long {number}" for number in range(100)])

        assert len(server.requests) == 2
    assert not isinstance(error.value, RefusedTextsError)


def test_openai_itself_needs_a_key_and_another_endpoint_none(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")

    with pytest.raises(EncodingError, match="set the environment variable OPENAI_API_KEY"):
        encoder(server, base_url=None).encode(["a"])
    assert encoder(server).encode(["a"]).shape == (1, 8)


def test_the_address_of_the_environment_is_used(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)

    assert encoder(server, base_url=None).encode(["a"]).shape == (1, 8)


def test_the_identity_names_what_moves_a_vector(server):
    plain = EndpointEncoder(EncoderChoice(model="openai:small")).identity
    others = {
        encoder(server).identity,
        encoder(server, dimensions=4).identity,
        encoder(server, prompt="p: ").identity,
        encoder(server, query_prompt="p: ").identity,
    }

    assert plain == "openai:small"
    assert len(others | {plain}) == 5
    assert encoder(server, timeout_s=3, attempts=9, api_key_env="OTHER").identity == encoder(server).identity


def test_a_missing_client_names_its_extra(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)

    with pytest.raises(MissingExtraError, match=r"pytest-llmops\[openai\]"):
        encoder(server).encode(["a"])
