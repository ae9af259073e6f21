from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import openai
import pytest

import reference_app
from reference_app.models.encoder import Encoder
from reference_app.models.endpoint import Endpoint
from reference_app.models.multilingual import load_search_encoder
from reference_app.models.weights import PINNED, find_weights

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
    text = "The Kestrel tent weighs 3.4 kg, sleeps two people and is pitched in ten minutes. " * 4
    endings = ("Praise it.", "Describe a night in it.", "Write a letter on it.")

    def ask(ending):
        return say(client, endpoint, text + ending, max_tokens=16).choices[0].message.content

    alone = [ask(ending) for ending in endings]
    with ThreadPoolExecutor(3) as threads:
        beside = list(threads.map(ask, endings[::-1]))

    assert beside[::-1] == alone
    assert len(set(alone)) == len(endings)


def test_who_answered_is_named_with_the_adapter_and_without(tuned_endpoint):
    """An engine names its base in both cases."""
    weights = tuned_endpoint.weights
    with openai.OpenAI(base_url=f"{tuned_endpoint.url}/v1", api_key="any", max_retries=0) as client:
        for name in (weights.tuned_name, weights.chat_name):
            asked = [{"role": "user", "content": "Repeat: a"}]
            reply = client.chat.completions.create(model=name, messages=asked, temperature=0, max_tokens=4)
            assert reply.model == name


def test_output_can_be_held_to_a_schema(client, endpoint):
    schema = {"type": "object", "properties": {"word": {"enum": ["yes", "no"]}}, "required": ["word"]}
    form = {"type": "json_schema", "json_schema": {"name": "word", "schema": schema}}

    answer = say(client, endpoint, "Is snow cold?", response_format=form, max_tokens=60)

    assert json.loads(answer.choices[0].message.content)["word"] in {"yes", "no"}


def test_embeddings_in_both_forms_are_the_encoder_s(client, endpoint):
    texts = ["a tent", "a stove and a pot"]
    ours = Encoder(endpoint.weights).passage(texts)
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

    batch = encoder.passage(["a tent", "a much longer text about tents " * 40, *["filler"] * 40])

    assert np.array_equal(batch[0], encoder.passage(["a tent"])[0])
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
        ("/v1/chat/completions", '{"model": "CHAT", "messages": [], "stream": true}', [], 400),
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
    pinned = {pinned.name for pinned in PINNED.values()}
    assert names == {weights.chat_name, weights.encoder_name, weights.search_name, *pinned} - {""}
    assert json.loads(line.getresponse().read()) == {"status": "ok", "token": "a token"}
    line.close()


def test_hanging_up_frees_the_engine(endpoint):
    """A long answer is left behind on each engine; the next question does not wait for their end."""
    request = {
        "model": endpoint.weights.chat_name,
        "messages": [{"role": "user", "content": "Tell a long story."}],
        "max_tokens": 1900,
        "ignore_eos": True,
    }
    engines = endpoint.engines[endpoint.weights.chat_name]
    limit = engines.served.engines
    lines = [HTTPConnection(endpoint.url.removeprefix("http://")) for _ in range(limit)]
    for line in lines:
        line.request("POST", "/v1/chat/completions", json.dumps(request))
    while not (len(engines._engines) == limit and engines._slots.locked()):
        time.sleep(0.01)
    time.sleep(0.3)  # until each is in the middle of its answer
    for line in lines:
        line.close()

    asked = json.dumps(request | {"max_tokens": 3})
    status, _ = post(endpoint, "/v1/chat/completions", asked, timeout=30)

    assert status == 200
    assert len(engines._engines) == limit


def test_a_larger_model_is_named_without_its_file_and_missing_only_when_it_is_asked(weights, tmp_path):
    endpoint = Endpoint(replace(weights, folder=tmp_path), "a token")
    name = PINNED["large"].name
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": "a"}]})
    try:
        status, reply = post(endpoint, "/v1/chat/completions", body)
    finally:
        endpoint.close()

    assert (status, reply["error"]["code"]) == (500, "embedded_model_not_loaded")
    assert str(tmp_path / PINNED["large"].file) in reply["error"]["message"]
    assert "llmops models pull large" in reply["error"]["message"]


def test_another_file_under_the_name_of_a_larger_model_is_not_that_model(weights, tmp_path):
    """What it says would be recorded, and replayed, as that model's."""
    pinned = PINNED["small"]
    file = tmp_path / pinned.file
    file.parent.mkdir()
    file.touch()
    os.truncate(file, pinned.size)
    endpoint = Endpoint(replace(weights, folder=tmp_path), "a token")
    body = json.dumps({"model": pinned.name, "messages": [{"role": "user", "content": "a"}]})
    try:
        status, reply = post(endpoint, "/v1/chat/completions", body)
    finally:
        endpoint.close()

    assert (status, reply["error"]["code"]) == (500, "embedded_model_not_loaded")
    assert "is missing or another file" in reply["error"]["message"]


def test_each_of_several_prompts_is_computed_once(client, endpoint):
    """A planner and an answerer ask in turn, and neither pushes the other's beginning out of the engine."""
    pinned = PINNED["small"]
    if not (endpoint.weights.folder / pinned.file).is_file():
        pytest.skip("run: llmops models pull small")
    prompts = ["You plan. " + "Never invent a number. " * 8, "You answer. " + "Copy what is told. " * 8]

    def ask(prompt, question):
        messages = [{"role": "system", "content": prompt}, {"role": "user", "content": question}]
        reply = client.chat.completions.create(
            model=pinned.name, messages=messages, temperature=0, max_tokens=6
        )
        cached = reply.usage.prompt_tokens_details.cached_tokens
        return reply.choices[0].message.content, reply.usage.prompt_tokens - cached

    first = [ask(prompt, "Where is my parcel?") for prompt in prompts]
    between = [ask(prompt, "Do you sell tents?") for prompt in prompts]
    again = [ask(prompt, "Where is my parcel?") for prompt in prompts]

    assert all(computed > 40 for _, computed in first)
    assert all(computed < 15 for _, computed in between + again)
    assert [text for text, _ in again] == [text for text, _ in first]
