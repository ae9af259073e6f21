"""An adapter of another model: one clear line, over HTTP and in a golden run too, which names its file."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

import numpy as np
import openai
import pytest
from gguf import GGUFWriter

from reference_app.errors import EndpointError, WeightsError
from reference_app.models.adapter import BASE, check_adapter, check_fit
from reference_app.models.client import open_models
from reference_app.models.endpoint import Endpoint
from reference_app.models.engines import EngineError, Engines
from reference_app.models.prompt import load_prompt
from reference_app.models.weights import find_weights
from reference_app.settings import HERE, read_settings

PACKAGED = HERE / "adapter" / "adapter.gguf"
HIDDEN = 576


@pytest.fixture
def write(tmp_path):
    """Write an adapter of one pair of matrices; returns its path."""

    def run(
        *, architecture="llama", matrix="blk.20.attn_q.weight", columns=HIDDEN, rows=HIDDEN, fingerprint=None
    ):
        path = tmp_path / "foreign.gguf"
        writer = GGUFWriter(path, architecture)
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 8.0)
        if fingerprint is not None:
            writer.add_string(BASE, fingerprint)
        writer.add_tensor(f"{matrix}.lora_a", np.zeros((4, columns), np.float16))
        writer.add_tensor(f"{matrix}.lora_b", np.zeros((rows, 4), np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return run


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"architecture": "qwen2"}, "of the architecture 'qwen2', and the chat model's is 'llama'"),
        ({"columns": 4096, "rows": 4096}, "made for another model: its blk.20.attn_q.weight.lora_a fits no"),
        ({"rows": 4096}, "made for another model: its blk.20.attn_q.weight.lora_b fits no"),
        (
            {"matrix": "blk.40.attn_q.weight"},
            "made for another model: its blk.40.attn_q.weight.lora_a fits no",
        ),
        ({"matrix": "blk.20.attn_norm.weight"}, "made for another model: its blk.20.attn_norm.weight.lora_b"),
    ],
)
def test_an_adapter_of_another_form_is_refused_before_an_engine_gets_it(weights, write, form, said):
    path = write(**form)
    check_adapter(path, base=weights.chat_name)
    with pytest.raises(WeightsError, match=f"{re.escape(str(path))} was made for .*") as told:
        find_weights(weights.chat.parents[1], path)
    assert said in str(told.value)


def test_an_adapter_of_this_form_passes(weights, write):
    assert find_weights(weights.chat.parents[1], write()).adapter is not None


def test_where_the_adapter_says_its_base_the_models_head_is_not_read(tmp_path):
    check_fit(PACKAGED, tmp_path / "no model")


def test_an_adapter_of_another_form_is_one_clear_line(ask_here, shop, write, weights):  # noqa: ARG001 - or skipped
    foreign = str(write(architecture="qwen2"))
    code, output, errors = ask_here("How heavy is it?", **shop, REFERENCE_APP_ADAPTER=foreign)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"reference_app: The adapter {foreign} was made for")


def test_a_folder_without_an_adapter_is_said_to_be_one(ask_here, shop, tmp_path):
    code, _, errors = ask_here("How heavy is it?", **shop, REFERENCE_APP_ADAPTER=str(tmp_path))
    assert (code, errors.count("\n")) == (1, 1)
    assert "that folder has no adapter.gguf" in errors


def test_what_only_the_engine_finds_is_told_once_and_names_the_file(weights, monkeypatch):
    """The client does not try three times, and raises the app's own error with the endpoint's words."""
    loaded = []

    def load(_):
        loaded.append(1)
        raise EngineError("The chat model cannot be loaded with the adapter a.gguf")

    monkeypatch.setattr(Engines, "_start", load)
    endpoint = Endpoint(weights, "a token")
    models = open_models(read_settings({"REFERENCE_APP_ADAPTER": "none"}), weights)
    monkeypatch.setattr(models.chat, "base_url", f"{endpoint.url}/v1/")
    prompt = load_prompt(HERE / "prompts", "adapter-planner")
    try:
        with pytest.raises(
            EndpointError, match=r"^The chat model cannot be loaded with the adapter a\.gguf$"
        ):
            models.complete(prompt, [{"role": "user", "content": "a"}], max_tokens=1)
        assert len(loaded) == 1
        with (
            openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="any", max_retries=0) as client,
            pytest.raises(openai.InternalServerError) as raised,
        ):
            client.chat.completions.create(model=weights.chat_name, messages=[])
        assert raised.value.code == "embedded_model_not_loaded"
    finally:
        models.close()
        endpoint.close()


@pytest.mark.live
def test_over_http_the_terminal_names_the_file(weights, write, shop, launch):
    """The file claims to be of this base and is not, which llama.cpp finds with the first question."""
    path = write(columns=4096, rows=4096, fingerprint=weights.chat_name.rpartition("-")[2])
    server = launch("-m", "reference_app", "serve", "--port", "0", **shop, REFERENCE_APP_ADAPTER=str(path))
    address = next(found[0] for line in server.stderr if (found := re.search(r"http://[\w.:]+", line)))
    body = json.dumps({"question": "Where is order FW-10412?"}).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/ask", body, kind)  # noqa: S310 - on loopback
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(request, timeout=120)  # noqa: S310 - on loopback
    with told.value as reply:
        assert "we cannot answer at the moment" in json.load(reply)["error"]["message"]
    server.terminate()
    _, errors = server.communicate(timeout=30)
    said = [line for line in errors.splitlines() if "cannot be loaded" in line]
    assert len(said) == 1
    assert (
        f"reference_app: The chat model cannot be loaded with the adapter {path}, which is damaged" in said[0]
    )
