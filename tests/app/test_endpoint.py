from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import openai
import pytest

import reference_app
from reference_app.models.encoder import Encoder
from reference_app.models.endpoint import Endpoint
from reference_app.models.multilingual import load_search_encoder
from reference_app.models.weights import find_weights

pytestmark = pytest.mark.live

PACKAGED = Path(reference_app.__file__).parent / "adapter" / "adapter.gguf"


@pytest.fixture(scope="module")
def endpoint(weights):
    endpoint = Endpoint(weights, "a token")
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def tuned_endpoint(weights):
    endpoint = Endpoint(find_weights(weights.chat.parents[1], PACKAGED), "a token")
    yield endpoint
    endpoint.close()


@pytest.fixture(scope="module")
def client(endpoint):
    with openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def say(client, endpoint, text, **options):
    return client.chat.completions.create(
        model=endpoint.weights.chat_name,
        messages=[{"role": "user", "content": text}],
        temperature=0,
        max_tokens=options.pop("max_tokens", 12),
        **options,
    )


def post(endpoint, path, body, headers=(), timeout=30):
    line = HTTPConnection(endpoint.url.removeprefix("http://"), timeout=timeout)
    line.request("POST", path, body, dict(headers))
    response = line.getresponse()
    answer = response.status, json.loads(response.read())
    line.close()
    return answer


def test_an_answer_does_not_depend_on_what_came_before_or_beside_it(client, endpoint):
    """Long prompts that begin alike: with a cached beginning they would be computed in other batches."""
    text = "The Kestrel tent weighs 3.4 kg, sleeps two people and is pitched in ten minutes. " * 8
    endings = ("Praise it.", "Describe a night in it.", "Compare it with a house.", "Write a letter on it.")

    def ask(ending):
        return say(client, endpoint, text + ending, max_tokens=48).choices[0].message.content

    alone = [ask(ending) for ending in endings]
    with ThreadPoolExecutor(4) as threads:
        beside = list(threads.map(ask, endings[::-1]))

    assert beside[::-1] == alone
    assert len(set(alone)) == len(endings)


@pytest.mark.parametrize("streamed", [False, True])
def test_who_answered_is_named_with_the_adapter_and_without(tuned_endpoint, streamed):
    """An engine names its base in both cases."""
    weights = tuned_endpoint.weights
    text = f'Repeat: "model":"{weights.chat_name}"'
    with openai.OpenAI(base_url=f"{tuned_endpoint.url}/v1", api_key="any", max_retries=0) as client:
        for name in (weights.tuned_name, weights.chat_name):
            asked = [{"role": "user", "content": text}]
            reply = client.chat.completions.create(
                model=name, messages=asked, temperature=0, max_tokens=4, stream=streamed
            )
            assert {part.model for part in (reply if streamed else [reply])} == {name}


def test_a_stream_holds_the_same_answer_and_its_usage(client, endpoint):
    whole = say(client, endpoint, "Name a river.")
    pieces = []
    with say(
        client, endpoint, "Name a river.", stream=True, stream_options={"include_usage": True}
    ) as stream:
        for chunk in stream:
            pieces += [choice.delta.content or "" for choice in chunk.choices]
            usage = chunk.usage

    assert "".join(pieces) == whole.choices[0].message.content
    assert len(pieces) > 2
    assert (usage.prompt_tokens, usage.completion_tokens) == (
        whole.usage.prompt_tokens, whole.usage.completion_tokens,
    )  # fmt: skip
    assert whole.model == endpoint.weights.chat_name


def test_output_can_be_held_to_a_schema(client, endpoint):
    schema = {"type": "object", "properties": {"word": {"enum": ["yes", "no"]}}, "required": ["word"]}
    form = {"type": "json_schema", "json_schema": {"name": "word", "schema": schema}}

    answer = say(client, endpoint, "Is snow cold?", response_format=form, max_tokens=60)

    assert json.loads(answer.choices[0].message.content)["word"] in {"yes", "no"}


def test_embeddings_in_both_forms_are_the_encoder_s(client, endpoint):
    texts = ["a tent", "a stove and a pot"]
    ours = Encoder(endpoint.weights).encode(texts)
    name = endpoint.weights.encoder_name

    packed = client.embeddings.create(model=name, input=texts)
    plain = client.embeddings.create(model=name, input=texts, encoding_format="float")

    for reply in (packed, plain):
        assert np.array_equal(np.array([row.embedding for row in reply.data], dtype=np.float32), ours)
        assert reply.usage.prompt_tokens == 11
    assert np.allclose(np.linalg.norm(ours, axis=1), 1)
    assert not np.allclose(ours[0], ours[1])


@pytest.mark.parametrize("role", ["query", "passage"])
def test_questions_and_passages_are_encoded_each_in_their_way(client, endpoint, role):
    search = load_search_encoder(endpoint.weights)
    if search.name != endpoint.weights.search_name:
        pytest.skip("no engine for this platform")

    reply = client.embeddings.create(
        model=search.name, input=["a tent", "a stove"], extra_body={"input_type": role}
    )

    vectors = np.array([row.embedding for row in reply.data], dtype=np.float32)
    assert np.array_equal(vectors, getattr(search, role)(["a tent", "a stove"]))
    assert reply.model == search.name
    assert reply.usage.prompt_tokens == search.count_tokens(["a tent", "a stove"], is_query=role == "query")


def test_a_vector_does_not_depend_on_its_batch(weights):
    encoder = Encoder(weights)

    batch = encoder.encode(["a tent", "a much longer text about tents " * 40, *["filler"] * 40])

    assert np.array_equal(batch[0], encoder.encode(["a tent"])[0])
    assert batch.shape == (42, 384)


def test_who_asks_for_another_model_is_told_which_is_served(client, endpoint):
    with pytest.raises(openai.NotFoundError, match=endpoint.weights.chat_name) as raised:
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "x"}])

    assert raised.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/chat/completions", "{", [], 400),
        ("/v1/chat/completions", "[1]", [], 400),
        ("/v1/chat/completions", "[" * 100_000, [], 400),
        ("/v1/chat/completions", "", [("Content-Length", "99999999999")], 413),
        ("/v1/embeddings", '{"model": "ENCODER", "input": [1, 2]}', [], 400),
        ("/v1/embeddings", '{"model": "ENCODER", "input": []}', [], 400),
        ("/v1/embeddings", '{"model": "SEARCH", "input": "a", "input_type": "image"}', [], 400),
        ("/v1/chat/completions", '{"model": "CHAT", "messages": "x"}', [], 400),
        ("/v1/nothing", "{}", [], 404),
    ],
)
def test_a_bad_request_gets_an_error_in_openai_s_form(endpoint, path, body, headers, status):
    names = endpoint.weights
    body = body.replace("ENCODER", names.encoder_name).replace("CHAT", names.chat_name)
    body = body.replace("SEARCH", names.search_name or "SEARCH")

    answered, error = post(endpoint, path, body, headers)

    assert (answered, bool(error["error"]["message"])) == (status, True)


def test_a_prompt_longer_than_the_context_is_refused(client, endpoint):
    with pytest.raises(openai.BadRequestError, match="context"):
        say(client, endpoint, "word " * 5000)


def test_models_and_health(client, endpoint):
    names = {model.id for model in client.models.list()}
    line = HTTPConnection(endpoint.url.removeprefix("http://"))
    line.request("GET", "/health")

    weights = endpoint.weights
    assert names == {weights.chat_name, weights.encoder_name, weights.search_name} - {""}
    assert json.loads(line.getresponse().read()) == {"status": "ok", "token": "a token"}
    line.close()


@pytest.mark.parametrize("streamed", [True, False])
def test_hanging_up_frees_the_engine(endpoint, streamed):
    """A long answer is left behind on each engine; the next question does not wait for their end."""
    request = {
        "model": endpoint.weights.chat_name,
        "messages": [{"role": "user", "content": "Tell a long story."}],
        "max_tokens": 1900,
        "ignore_eos": True,
        "stream": streamed,
    }
    lines = [HTTPConnection(endpoint.url.removeprefix("http://")) for _ in range(endpoint.engines._limit)]
    for line in lines:
        line.request("POST", "/v1/chat/completions", json.dumps(request))
    while not (len(endpoint.engines._engines) == len(lines) and endpoint.engines._slots.locked()):
        time.sleep(0.01)
    time.sleep(0.3)  # until each is in the middle of its answer
    for line in lines:
        line.close()

    asked = json.dumps(request | {"max_tokens": 3, "stream": False})
    status, _ = post(endpoint, "/v1/chat/completions", asked, timeout=10)

    assert status == 200
    assert len(endpoint.engines._engines) == endpoint.engines._limit
