from __future__ import annotations

import pickle

import pytest

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.models.encoders import EncoderChoice, read_encoder


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("default", EncoderChoice()),
        ({"model": "default"}, EncoderChoice()),
        ("a/model", EncoderChoice(model="a/model")),
        ("openai:small", EncoderChoice(model="openai:small")),
        (
            {"model": "openai:small", "base_url": "http://host:1/v1", "dimensions": 8, "timeout_s": 1},
            EncoderChoice(model="openai:small", base_url="http://host:1/v1", dimensions=8, timeout_s=1),
        ),
        ({"model": "openai:small", "dimensions": None}, EncoderChoice(model="openai:small")),
        ({"model": "a/model", "prompt": ""}, EncoderChoice(model="a/model", prompt="")),
    ],
)
def test_what_is_written_is_a_choice(written, read):
    choice = read_encoder(written, "semantic")

    assert choice == read
    assert hash(choice) == hash(read)
    assert pickle.loads(pickle.dumps(choice)) == choice  # noqa: S301  made above
    assert read_encoder(choice, "semantic") is choice


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "'openai:MODEL'"),
        (5, "not 5"),
        (None, "not None"),
        ({}, "not {}"),
        (("a", "b"), "a mapping with model"),
        ({"modle": "a"}, "unknown key 'modle'. Did you mean 'model'?"),
        ({5: "a"}, "unknown key 5"),
        ({"model": ""}, "model: must be text"),
        ({"model": "a", "prompt": 5}, "prompt: must be text, not 5"),
        ({"model": "openai:"}, "names no model"),
        ({"model": "openai:a", "base_url": "host/v1"}, "base_url: must be a URL"),
        ({"model": "openai:a", "base_url": "https://user:secret@host/v1"}, "without user or password"),
        ({"model": "openai:a", "dimensions": 0}, "dimensions: must be a whole number"),
        ({"model": "openai:a", "dimensions": True}, "dimensions: must be a whole number"),
        ({"model": "openai:a", "attempts": 21}, "from 1 to 20"),
        ({"model": "openai:a", "attempts": None}, "from 1 to 20"),
        ({"model": "openai:a", "timeout_s": float("nan")}, "seconds above 0"),
        ({"model": "openai:a", "timeout_s": float("inf")}, "seconds above 0"),
        ({"model": "openai:a", "api_key_env": None}, "an environment variable"),
        ({"model": "a", "dimensions": 5}, "only an endpoint"),
        ({"model": "default", "prompt": "x"}, "takes no prompt"),
        ({"base_url": "http://host"}, "only an endpoint"),
    ],
)
def test_a_mistake_is_told_with_what_to_write(written, told):
    with pytest.raises(MetricOptionError) as error:
        read_encoder(written, "semantic")

    assert str(error.value).startswith("semantic: encoder")
    assert told in str(error.value)
    assert "secret" not in str(error.value)
