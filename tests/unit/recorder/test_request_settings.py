"""Settings of requests, in the shapes of several providers."""

from __future__ import annotations

import pytest

from pytest_llmops.recorder.request_settings import settings_of

TOOLS = [{"type": "function", "function": {"name": "look_up"}}]
SHAPES = {
    "chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "secret question"},
        ],
        "temperature": 0.0,
        "top_p": 0.25,
        "seed": 7,
        "stream": True,
        "user": "u-17",
        "tools": TOOLS,
    },
    "responses": {
        "model": "m",
        "input": [{"role": "user", "content": "secret question"}],
        "instructions": "Be kind.",
        "reasoning": {"effort": "low"},
        "max_output_tokens": 9,
        "previous_response_id": "resp_1",
    },
    "messages": {
        "model": "m",
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": "secret question"}],
        "max_tokens": 9,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stop_sequences": ["secret"],
    },
    "nested": {
        "contents": [{"parts": [{"text": "secret question"}]}],
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "generationConfig": {"temperature": 1, "responseSchema": {"type": "OBJECT"}},
    },
}


@pytest.mark.parametrize(
    ("shape", "readable"),
    [
        ("chat", {"temperature": "0", "top_p": "0.25", "seed": "7"}),
        ("responses", {"reasoning.effort": "low", "max_output_tokens": "9"}),
        ("messages", {"max_tokens": "9", "thinking.type": "enabled", "thinking.budget_tokens": "1024"}),
        ("nested", {"generationConfig.temperature": "1"}),
    ],
)
def test_every_setting_is_read_and_no_content(shape, readable):
    settings = settings_of("api.example", shape, SHAPES[shape])
    digests = {name for name, value in settings.items() if value.startswith("#")}
    assert {name: value for name, value in settings.items() if name not in digests} == {
        "endpoint": "api.example",
        "api": shape,
        "system": settings["system"],
        **readable,
    }
    assert "secret" not in str(settings)
    assert "kind" not in str(settings)


def test_a_setting_that_nobody_knows_yet_is_one():
    before, after = (settings_of("h", "chat", {"warmth": {"level": level}}) for level in ("mild", "hot"))
    assert (before["warmth.level"], after["warmth.level"]) == ("mild", "hot")


@pytest.mark.parametrize("name", ["api_key", "apiKey", "authToken", "client_secret", "password"])
def test_a_credential_in_a_body_is_only_set(name):
    assert settings_of("h", "chat", {"extra": {name: "hunter2"}})[f"extra.{name}"] == "set"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "budget_tokens", "top_logprobs"])
def test_a_count_of_tokens_is_no_credential(name):
    assert settings_of("h", "chat", {name: 5})[name] == "5"


@pytest.mark.parametrize("request_body", ["plain text", None, [], 7])
def test_a_body_that_is_no_mapping_has_no_settings(request_body):
    assert settings_of("h", "chat", request_body) == {"endpoint": "h", "api": "chat"}
