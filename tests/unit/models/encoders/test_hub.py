from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_llmops.errors import MissingExtraError, WeightsError
from pytest_llmops.models.encoders import EncoderChoice, HubEncoder, find_prompts, load_encoder


class Network:
    """
    Stands in for a model of sentence-transformers, which the tests do without: it keeps what it was asked,
    so that the choice of the prompt can be seen. The real library is another one's to test.
    """

    def __init__(self, prompts):
        self.prompts = prompts
        self.asked = []

    def encode(self, texts, **options):
        self.asked.append((texts, options))
        return np.ones((len(texts), 1), dtype=np.float32)


@pytest.fixture
def library(monkeypatch):
    """The names of the models that were loaded."""
    made = []

    def make(name):
        if "missing" in name:
            raise OSError("no such model\nand a long explanation")
        made.append(Network({"query": "own query: "} if "with-prompts" in name else {}))
        return made[-1]

    monkeypatch.setitem(sys.modules, "sentence_transformers", SimpleNamespace(SentenceTransformer=make))
    return made


def test_a_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)

    with pytest.raises(MissingExtraError, match=r"pytest-llmops\[sentence-transformers\]"):
        load_encoder("some/model").encode(["a"])


def test_a_folders_identity_is_its_content(tmp_path):
    def identify(name: str, content: str) -> str:
        folder = tmp_path / name / "model"
        folder.mkdir(parents=True)
        (folder / "weights").write_text(content)
        return load_encoder(str(folder)).identity

    assert identify("one", "same") == identify("other", "same") != identify("third", "else")


BGE = "Represent this sentence for searching relevant passages: "


@pytest.mark.parametrize(
    ("choice", "query", "prompt"),
    [
        ({"model": "plain/model"}, False, None),
        ({"model": "plain/model"}, True, None),
        ({"model": "BAAI/bge-small-en-v1.5"}, False, ""),
        ({"model": "BAAI/bge-small-en-v1.5"}, True, BGE),
        ({"model": "models/bge-base-en/"}, True, BGE),
        ({"model": "BAAI/bge-m3"}, True, None),
        ({"model": "hkunlp/instructor-large"}, False, "Represent the sentence for measuring similarity: "),
        (
            {"model": "hkunlp/instructor-large", "prompt": "Represent the ticket: "},
            False,
            "Represent the ticket: ",
        ),
        ({"model": "with-prompts"}, True, "own query: "),
        ({"model": "with-prompts"}, False, None),
        ({"model": "with-prompts", "query_prompt": ""}, True, ""),
        ({"model": "BAAI/bge-small-en-v1.5", "query_prompt": "Find: "}, True, "Find: "),
    ],
)
def test_the_prompt_is_the_given_one_or_the_models_own_or_its_cards(library, choice, query, prompt):
    HubEncoder(EncoderChoice(**choice)).encode(["a"], query=query)

    ((texts, options),) = library[0].asked
    assert texts == ["a"]
    assert options["prompt"] == prompt
    assert options["normalize_embeddings"] is True


def test_a_prompt_is_part_of_the_identity():
    identities = {
        HubEncoder(EncoderChoice(model="a/model", prompt=prompt, query_prompt=query)).identity
        for prompt in (None, "", "x: ")
        for query in (None, "x: ")
    }

    assert len(identities) == 6
    assert HubEncoder(EncoderChoice(model="a/model")).identity == "sentence-transformers/a/model"


def test_a_model_that_cannot_be_loaded_is_told_of_in_one_line(library):
    with pytest.raises(WeightsError) as told:
        HubEncoder(EncoderChoice(model="missing/model")).encode(["a"])

    assert "'missing/model' cannot be loaded: no such model. Give a folder" in str(told.value)
    assert "\n" not in str(told.value)
    assert not library


def test_a_name_without_a_known_start_has_no_prompts():
    assert find_prompts("my-bge-small-en") is None
