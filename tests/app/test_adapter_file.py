"""Which files the app takes for an adapter, and what it says of the others."""

from __future__ import annotations

import json

import pytest

from reference_app.errors import EndpointError, SettingsError, WeightsError
from reference_app.models.adapter import check_adapter
from reference_app.models.client import open_models
from reference_app.models.endpoint import Endpoint
from reference_app.models.engines import EngineError, Engines
from reference_app.models.prompt import Prompt
from reference_app.models.weights import find_weights
from reference_app.settings import HERE, read_settings

PACKAGED = HERE / "adapter" / "adapter.gguf"
BASE = "SmolLM2-135M-Instruct.Q4_1-be9c6bc5"


def test_the_packaged_adapter_is_one_of_the_packaged_model(weights):
    check_adapter(PACKAGED, base=weights.chat_name)
    tuned = find_weights(weights.chat.parents[1], PACKAGED).tuned_name
    assert tuned.startswith(f"{weights.chat_name}+adapter-")


@pytest.mark.parametrize(
    ("content", "base", "said"),
    [
        (lambda data: data, "SmolLM2-135M-Instruct.Q4_1-00000000", "was trained on 'be9c6bc5'"),
        (lambda data: data[: len(data) // 2], BASE, "cut short|no whole LoRA adapter"),
        (lambda data: data[:100], BASE, "cut short"),
        (lambda _: b"", BASE, "cut short"),
        (lambda _: b"Dear customer, ", BASE, "no GGUF file"),
        (lambda data: data[:4] + b"\xff" * 40 + data[44:], BASE, "no GGUF file"),
    ],
)
def test_another_file_is_refused_before_an_engine_gets_it(tmp_path, content, base, said):
    path = tmp_path / "adapter.gguf"
    path.write_bytes(content(PACKAGED.read_bytes()))
    with pytest.raises(WeightsError, match=said):
        check_adapter(path, base=base)


def test_the_chat_model_itself_is_no_adapter(weights):
    with pytest.raises(WeightsError, match="holds no whole LoRA adapter"):
        check_adapter(weights.chat, base=weights.chat_name)


@pytest.mark.parametrize(
    ("adapter", "profile", "chosen", "file"),
    [
        (None, None, "large", None),
        ("none", None, "base", None),
        (str(PACKAGED.parent), None, "adapter", PACKAGED),
        (None, "adapter", "adapter", PACKAGED),
        ("none", "adapter", "base", None),
        (str(PACKAGED), "small", "small", None),
        (None, "base", "base", None),
    ],
)
def test_a_profile_is_named_or_follows_from_the_adapter(weights, adapter, profile, chosen, file):
    environ = {"REFERENCE_APP_ADAPTER": adapter, "REFERENCE_APP_PROFILE": profile}
    settings = read_settings({name: value for name, value in environ.items() if value is not None})

    assert (settings.profile, settings.adapter) == (chosen, file)
    name = find_weights(weights.folder, settings.adapter).name_profile(settings.profile)
    assert {
        "large": name == "Qwen2.5-Coder-1.5B-Instruct.Q4_K_M-cc324af0",
        "small": name == "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M-1d961463",
        "adapter": name.startswith("SmolLM2-135M-Instruct.Q4_1-be9c6bc5+adapter-"),
        "base": name == "SmolLM2-135M-Instruct.Q4_1-be9c6bc5",
    }[chosen]


def test_what_names_no_file_or_profile_is_told(tmp_path):
    with pytest.raises(SettingsError, match="must be one of large, small, adapter, base"):
        read_settings({"REFERENCE_APP_PROFILE": "huge"})
    with pytest.raises(SettingsError, match=r"that folder has no adapter\.gguf"):
        read_settings({"REFERENCE_APP_ADAPTER": str(tmp_path)})
    with pytest.raises(SettingsError, match="there is no such file"):
        read_settings({"REFERENCE_APP_ADAPTER": str(tmp_path / "missing.gguf")})


def test_the_name_of_a_fine_tuned_model_goes_with_an_endpoint():
    remote = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    settings = read_settings({**remote, "REFERENCE_APP_ADAPTER": "ft:some-model:shop"})
    assert (settings.model, settings.tuned, settings.adapter) == ("ft:some-model:shop", True, None)
    assert read_settings(remote).tuned is False


def test_the_model_card_tells_of_the_files_beside_it():
    from hashlib import sha256

    told = json.loads((PACKAGED.parent / "adapter.json").read_text(encoding="utf-8"))
    assert sha256(PACKAGED.read_bytes()).hexdigest() in json.dumps(told)
    size = sum(path.stat().st_size for path in PACKAGED.parent.glob("adapter*.*") if path.suffix != ".json")
    assert size <= 4 * 1024 * 1024


def test_what_only_the_engine_finds_is_told_once_and_names_the_file(weights, monkeypatch):
    """The client does not try three times, and raises the app's own error with the endpoint's words."""
    loaded = []

    def load(_):
        loaded.append(1)
        raise EngineError("The chat model cannot be loaded with the adapter a.gguf")

    monkeypatch.setattr(Engines, "_start", load)
    endpoint = Endpoint(weights, "a token")
    models = open_models(read_settings({"REFERENCE_APP_PROFILE": "base"}), weights)
    monkeypatch.setattr(models.chat, "base_url", f"{endpoint.url}/v1/")
    prompt = Prompt(
        name="a", version="1.0.0", kind="system", template="a", turns=(), replies={}, sha256="0" * 64
    )
    try:
        with pytest.raises(
            EndpointError, match=r"^The chat model cannot be loaded with the adapter a\.gguf$"
        ):
            models.complete(prompt, prompt.messages("a"), max_tokens=1)
    finally:
        models.close()
        endpoint.close()
    assert len(loaded) == 1
