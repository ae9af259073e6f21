from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from pytest_llmops.models import cache, encoder
from pytest_llmops.models.encoder import load_encoder
from pytest_llmops.models.vectors import embed, forget

TEXTS = ["one text", "another", "one text"]


def test_equal_texts_get_equal_vectors_in_order():
    vectors = embed("default", TEXTS)

    assert np.array_equal(vectors[0], vectors[2])
    assert vectors == pytest.approx(load_encoder().encode(TEXTS), abs=1e-6)


@pytest.mark.usefixtures("cache_folder")
def test_a_second_process_loads_no_weights(monkeypatch, tmp_path):
    vectors = embed("default", TEXTS)
    forget()
    encoder._encoder.cache_clear()
    monkeypatch.setenv("LLMOPS_WEIGHTS", str(tmp_path / "none"))

    assert np.array_equal(embed("default", TEXTS), vectors)
    assert load_encoder().encoded == 0
    monkeypatch.undo()
    encoder._encoder.cache_clear()


@pytest.mark.parametrize("stored", [b"", b"abc", b"\0" * 1536, np.full(384, np.nan, "<f4").tobytes()])
def test_a_stored_vector_that_cannot_be_is_made_again(cache_folder, stored):
    vectors = embed("default", TEXTS)
    forget()
    with sqlite3.connect(cache_folder / cache.FILE) as connection:
        connection.execute("UPDATE entries SET value = ?", (stored,))
    connection.close()

    assert embed("default", TEXTS) == pytest.approx(vectors, abs=1e-6)


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
        vectors = [embed("default", [f"text {number}"]) for number in range(2)]

    assert len(vectors) == 2
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


def test_processes_share_one_cache(cache_folder):
    """Four write at once; none gives up and all that was written can be read."""
    code = (
        "import sys; from pathlib import Path; from pytest_llmops.models import cache\n"
        "cache.use_cache(Path(sys.argv[1]))\n"
        "for n in range(50): cache.write('k', {bytes([int(sys.argv[2]), n]): b'v'})\n"
    )
    processes = [
        subprocess.Popen(  # noqa: S603  written above
            [sys.executable, "-c", code, str(cache_folder), str(number)], stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    told = [process.communicate()[1] for process in processes]

    assert told == [b""] * 4
    keys = [bytes([number, n]) for number in range(4) for n in range(50)]
    assert set(cache.read("k", keys)) == set(keys)
