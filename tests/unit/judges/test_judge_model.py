from __future__ import annotations

import pickle

import pytest

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.judges.model import JudgeModel, family_of, read_judge


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gpt-4o-mini", "gpt"),
        ("openai/gpt-4.1", "gpt"),
        ("chatgpt-4o-latest", "gpt"),
        ("o3-mini", "gpt"),
        ("ft:gpt-4o-mini-2024-07-18:acme::8abc", "gpt"),
        ("claude-3-5-sonnet-20241022", "claude"),
        ("us.anthropic.claude-3-haiku-v1:0", "claude"),
        ("gemini-2.0-flash", "gemini"),
        ("google/gemma-2-9b-it", "gemma"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama"),
        ("Qwen/Qwen2.5-72B-Instruct", "qwen"),
        ("QwQ-32B", "qwen"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistral"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm"),
        ("embedded", "smollm"),
        ("deepseek-r1-distill-qwen-7b", "deepseek"),
        ("nous-hermes-2-mixtral", "mistral"),
        ("Phi-3-mini", "phi"),
        ("Yi-34B", "yi"),
        ("falcon-180b", "falcon"),
        ("photo3-judge", "photo"),
        ("123", "123"),
    ],
)
def test_the_family_of_a_model(name, family):
    assert family_of(name) == family


def test_a_judge_as_it_is_written():
    judge = read_judge({"model": "small", "base_url": "http://127.0.0.1:1/v1", "timeout_s": 3}, "judge")

    assert judge == JudgeModel(model="small", base_url="http://127.0.0.1:1/v1", timeout_s=3)
    assert read_judge("small", "judge") == JudgeModel(model="small")
    assert read_judge(judge, "judge") is judge
    assert pickle.loads(pickle.dumps(judge)) == judge  # noqa: S301
    assert hash(judge) == hash(pickle.loads(pickle.dumps(judge)))  # noqa: S301


@pytest.mark.parametrize("name", ["embed", "embed-english-v3", "qwen-embedded"])
def test_a_name_that_is_only_like_embedded_is_a_model(name):
    assert read_judge(name, "judge").model == name


def test_an_endpoint_may_call_its_model_as_it_likes():
    url = "http://127.0.0.1:1/v1"
    assert read_judge({"model": "embeded", "base_url": url}, "judge").base_url == url


def test_the_embedded_judge_is_asked_one_question_at_a_time_for_yes_or_no():
    judge = read_judge({"model": "embedded", "concurrency": 8}, "judge")

    assert (judge.concurrency, judge.yes_no, judge.family) == (1, True, "smollm")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (None, "no judge is named"),
        ({}, "no judge is named"),
        ("", "no judge is named"),
        ({"modle": "small"}, "unknown key 'modle'. Did you mean 'model'?"),
        ({"base_url": "http://127.0.0.1/v1"}, "judge: model is missing; write `judge: {model"),
        ({"model": ""}, "model: must be text"),
        ({"model": 4}, "model: must be text"),
        ({"model": "a", "base_url": "127.0.0.1:80"}, "base_url: must be a URL"),
        ({"model": "a", "base_url": "ftp://x"}, "base_url: must be a URL"),
        ({"model": "a", "base_url": "http://x:port/v1"}, "base_url: must be a URL"),
        ({"model": "a", "timeout_s": 0}, "timeout_s: must be seconds above 0"),
        ({"model": "a", "timeout_s": float("nan")}, "timeout_s: must be seconds above 0"),
        ({"model": "a", "timeout_s": True}, "timeout_s: must be seconds above 0"),
        ({"model": "a", "attempts": 0}, "attempts: must be a whole number from 1"),
        ({"model": "a", "concurrency": 2.5}, "concurrency: must be a whole number"),
        ({"model": "a", "seed": "x"}, "seed: must be a whole number"),
        ({"model": "a", "logprobs": 1}, "logprobs: must be true or false"),
        (7, "a judge is a model's name or a mapping"),
        ("embeded", "no judge is named 'embeded'. Did you mean 'embedded'?"),
        ({"model": "Embedded"}, "Did you mean 'embedded'?"),
    ],
)
def test_what_is_no_judge_is_refused(written, message):
    with pytest.raises(MetricOptionError, match=f"^judge: .*{message.replace('?', '[?]')}"):
        read_judge(written, "judge")


@pytest.mark.parametrize(
    "written",
    [
        {"model": "a", "api_key_env": "sk-0123456789"},
        {"model": "a", "base_url": "http://me:sk-0123456789@x/v1"},
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_told(written):
    with pytest.raises(MetricOptionError) as caught:
        read_judge(written, "judge")

    assert "0123456789" not in str(caught.value)


def test_the_address_comes_from_the_environment_where_none_is_written(monkeypatch):
    assert JudgeModel(model="a").url == "https://api.openai.com/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert JudgeModel(model="a").url == "http://127.0.0.1:9/v1"


def test_identity_holds_what_moves_a_verdict_and_no_port():
    one = JudgeModel(model="a", base_url="http://127.0.0.1:9/v1")

    assert one.identity == JudgeModel(model="a", base_url="http://localhost:8/v1").identity
    others = [{"model": "b"}, {"seed": 1}, {"base_url": "http://far.example/v1"}, {"yes_no": True}]
    for changed in others:
        assert (
            JudgeModel(**{"model": "a", "base_url": "http://127.0.0.1:9/v1", **changed}).identity
            != one.identity
        )
