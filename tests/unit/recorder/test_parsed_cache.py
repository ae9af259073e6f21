"""A cassette that was parsed before is not parsed again, and one that changed by a letter is."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import cache
from pytest_llmops.errors import CassetteError
from pytest_llmops.recorder import cassettes
from pytest_llmops.recorder.cassettes import (
    Recorded,
    load_calls,
    parse_calls,
    recall_document,
    remember_document,
    write_calls,
)
from tests.unit.recorder.asking import CASE
from tests.unit.recorder.json_values import json_objects, texts

CALL = Recorded(
    provider="api.example.test", path="/v1/chat/completions", request={"model": "small"}, key="k", repeat=0,
    nth=0, offset_s=0.5, duration_s=0.25, content_type="application/json", body={"model": "small"},
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("cached") / "cache"
    cache.use_cache(found)
    yield found
    cache.use_cache(None)


@pytest.fixture
def no_yaml(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("YAML was parsed")

    monkeypatch.setattr(yaml, "parse", refuse)


def test_no_entry_answers_for_a_committed_cassette(tmp_path):
    """The cache is no part of a review, so a row of it must not replace what was reviewed."""
    committed, forged = tmp_path / "case.yaml", replace(CALL, body={"model": "large"})
    write_calls(committed, CASE, [CALL])
    write_calls(tmp_path / "forged.yaml", CASE, [forged])
    said = yaml.safe_load((tmp_path / "forged.yaml").read_text())
    entry = cassettes._text_digest(committed.read_text()) + json.dumps(said).encode()
    cache.write("cassette", {cache.key_of(str(committed)): entry})

    (call,) = load_calls(committed).values()
    assert call.body == {"model": "small"}


@given(json_objects(), json_objects() | texts())
def test_what_is_kept_is_what_yaml_says(folder, request_body, body):
    path = folder / "case.yaml"
    write_calls(path, CASE, [replace(CALL, request=request_body, body=body)])

    kept = load_calls(path)
    assert kept == parse_calls(path, path.read_text(encoding="utf-8"))
    assert list(kept.values()) == [replace(CALL, request=request_body, body=body)]


@given(st.text(), st.text(), st.sampled_from(["a.yaml", "b.yaml"]))
def test_any_other_text_or_file_misses(folder, text, other, name):
    path = folder / "a.yaml"
    remember_document(path, text, {"of": "text"})

    found = recall_document(folder / name, other)
    assert found == ({"of": "text"} if (name, other) == ("a.yaml", text) else None)


@pytest.mark.usefixtures("no_yaml")
def test_a_cassette_that_was_written_is_not_parsed_again(folder):
    write_calls(folder / "case.yaml", CASE, [CALL])

    assert list(load_calls(folder / "case.yaml").values()) == [CALL]


def test_an_edit_is_noticed_whatever_the_times_of_the_file_say(folder):
    path = folder / "edited.yaml"
    write_calls(path, CASE, [CALL])
    load_calls(path)
    before = path.stat()
    path.write_text(path.read_text().replace("model: small", "model: large"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(CassetteError, match="was edited after it was recorded"):
        load_calls(path)
