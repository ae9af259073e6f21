"""Which files the app takes for an adapter, and what it says of the others."""

from __future__ import annotations

import json

import pytest

from reference_app.errors import SettingsError, WeightsError
from reference_app.models.adapter import check_adapter
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


def test_what_names_no_file_is_told(tmp_path):
    assert read_settings({"REFERENCE_APP_ADAPTER": "none"}).tuned is False
    assert read_settings({"REFERENCE_APP_ADAPTER": str(PACKAGED.parent)}).adapter == PACKAGED
    with pytest.raises(SettingsError, match="there is no such file"):
        read_settings({"REFERENCE_APP_ADAPTER": str(tmp_path / "missing.gguf")})


def test_the_name_of_a_fine_tuned_model_goes_with_an_endpoint():
    remote = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    settings = read_settings({**remote, "REFERENCE_APP_ADAPTER": "ft:some-model:shop"})
    assert (settings.model, settings.tuned, settings.adapter) == ("ft:some-model:shop", True, None)
    assert read_settings(remote).tuned is False


@pytest.mark.usefixtures("weights")
def test_a_cut_adapter_is_one_clear_line(ask_here, shop, tmp_path):
    path = tmp_path / "cut.gguf"
    path.write_bytes(PACKAGED.read_bytes()[:1000])
    code, output, errors = ask_here("--json", "How heavy is it?", **shop, REFERENCE_APP_ADAPTER=str(path))
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert "cut.gguf" in errors


def test_the_model_card_tells_of_the_files_beside_it():
    from hashlib import sha256

    told = json.loads((PACKAGED.parent / "adapter.json").read_text(encoding="utf-8"))
    assert sha256(PACKAGED.read_bytes()).hexdigest() in json.dumps(told)
    size = sum(path.stat().st_size for path in PACKAGED.parent.glob("adapter*.*") if path.suffix != ".json")
    assert size <= 4 * 1024 * 1024
