from __future__ import annotations

import logging
import sqlite3

import numpy as np
import pytest

from pytest_llmops import cache
from pytest_llmops.models import encoders, vectors
from pytest_llmops.models.encoders import RefusedTextsError, load_encoder
from pytest_llmops.models.vectors import embed, forget

TEXTS = ["one text", "another", "one text"]


def test_equal_texts_get_equal_vectors_in_order():
    made = embed("default", TEXTS)

    assert np.array_equal(made[0], made[2])
    assert made == pytest.approx(load_encoder().encode(TEXTS), abs=1e-6)


@pytest.mark.usefixtures("cache_folder")
def test_a_second_process_loads_no_weights(monkeypatch, tmp_path):
    made = embed("default", TEXTS)
    forget()
    forget_encoders()
    monkeypatch.setenv("LLMOPS_WEIGHTS", str(tmp_path / "none"))

    assert np.array_equal(embed("default", TEXTS), made)
    assert load_encoder().encoded == 0
    monkeypatch.undo()
    forget_encoders()


def forget_encoders():
    encoders.load_embedded.cache_clear()
    encoders._encoder.cache_clear()


@pytest.mark.parametrize("stored", [b"", b"abc", b"\0" * 1536, np.full(384, np.nan, "<f4").tobytes()])
def test_a_stored_vector_that_cannot_be_is_made_again(cache_folder, stored):
    made = embed("default", TEXTS)
    forget()
    with sqlite3.connect(cache_folder / cache.FILE) as connection:
        connection.execute("UPDATE entries SET value = ?", (stored,))
    connection.close()

    assert embed("default", TEXTS) == pytest.approx(made, abs=1e-6)


@pytest.mark.parametrize("spoil", ["no database", "no folder"])
def test_a_broken_cache_is_told_of_once_and_done_without(tmp_path, caplog, spoil):
    folder = tmp_path / "cache"
    if spoil == "no folder":
        folder.write_text("a file stands here")
    else:
        folder.mkdir()
        (folder / cache.FILE).write_bytes(b"this is no database" * 100)
    forget()

    with caplog.at_level(logging.WARNING, "pytest_llmops"):
        cache.use_cache(folder)
        made = [embed("default", [f"text {number}"]) for number in range(2)]

    assert len(made) == 2
    assert len(caplog.records) == 1
    assert "cache is not used" in caplog.text


def test_a_cache_that_breaks_in_use_is_done_without(cache_folder, caplog):
    embed("default", ["first"])
    with sqlite3.connect(cache_folder / cache.FILE) as connection:
        connection.execute("DROP TABLE entries")
    connection.close()

    with caplog.at_level(logging.WARNING, "pytest_llmops"):
        embed("default", ["second"])
        embed("default", ["third"])

    assert len(caplog.records) == 1


def test_vectors_of_texts_that_are_not_refused_are_kept(monkeypatch):
    """The next batch asks only for what it lacks."""
    asked = []

    class Refusing:
        identity = "refusing"
        asymmetric = False

        def encode(self, texts, *, query):
            assert query is False
            asked.append(list(texts))
            rows = np.ones((len(texts), 1), dtype=np.float32)
            if refused := {text: "too long" for text in texts if text == "long"}:
                raise RefusedTextsError(refused, rows)
            return rows

    monkeypatch.setattr(vectors, "load_encoder", lambda _choice: Refusing())
    forget()

    with pytest.raises(RefusedTextsError, match="too long") as error:
        embed("openai:small", ["a", "long", "b"])
    found = embed("openai:small", ["a", "b"])

    assert set(error.value.refused) == {"long"}
    assert found.tolist() == [[1.0], [1.0]]
    assert asked == [["a", "b", "long"]]


def test_a_question_is_told_apart_where_the_model_does(monkeypatch):
    class Telling:
        identity = "telling"
        asymmetric = True

        def encode(self, texts, *, query):
            return np.array([[0.6, 0.8] if query else [1.0, 0.0]] * len(texts), dtype=np.float32)

    monkeypatch.setattr(vectors, "load_encoder", lambda _choice: Telling())
    forget()

    assert embed("a/model", ["a"])[0][0] == 1
    assert embed("a/model", ["a"], query=True)[0][0] == pytest.approx(0.6)
    assert np.array_equal(embed("default", ["a"]), embed("default", ["a"]))
