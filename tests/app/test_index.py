from __future__ import annotations

import threading

import numpy as np
import pytest

from reference_app.documents.index import open_vectors

TEXTS = ["north", "east", "north-east"]
VECTORS = np.array([[0, 1], [1, 0], [0.6, 0.8]], dtype=np.float32)


@pytest.fixture
def calls():
    return []


@pytest.fixture
def opened(tmp_path, calls):
    def open_them(texts=TEXTS, encoder="a", folder=tmp_path):
        def encode(asked):
            calls.append(list(asked))
            return VECTORS[: len(asked)]

        return open_vectors(texts, encoder=encoder, encode=encode, folder=folder)

    return open_them


def test_the_nearest_come_first_with_their_cosine(opened):
    found = opened().search([0, 1], 2)

    assert [position for position, _ in found] == [0, 2]
    assert [score for _, score in found] == pytest.approx([1.0, 0.8])


def test_asking_for_more_than_there_is_gives_all(opened):
    assert len(opened().search([0, 1], 50)) == 3


def test_texts_are_encoded_once(opened, calls):
    first, second = opened(), opened()

    assert calls == [TEXTS]
    assert first.search([1, 0], 3) == second.search([1, 0], 3)


@pytest.mark.parametrize("changed", [{"texts": ["north", "east"]}, {"encoder": "b"}])
def test_other_texts_or_another_encoder_are_encoded_anew(opened, calls, changed):
    opened()
    opened(**changed)

    assert len(calls) == 2


@pytest.mark.parametrize("cut", [0, 40, 200])
def test_a_damaged_file_is_built_anew(opened, calls, tmp_path, cut):
    opened()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:cut])

    assert opened().search([0, 1], 1)[0][0] == 0
    assert len(calls) == 2


def test_a_folder_that_cannot_be_made_costs_only_the_next_start(opened, calls, tmp_path):
    (tmp_path / "file").write_text("")

    for _ in range(2):
        assert opened(folder=tmp_path / "file" / "cache").search([0, 1], 1)[0][0] == 0
    assert len(calls) == 2


def test_an_index_that_cannot_be_written_leaves_nothing_behind(opened, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("No space left on device")

    monkeypatch.setattr("usearch.index.Index.save", fail)

    assert opened().search([0, 1], 1)[0][0] == 0
    assert not list(tmp_path.iterdir())


def test_many_threads_build_at_once(opened, tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(opened().search([0, 1], 3))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [found[0]] * 8
    assert len(list(tmp_path.iterdir())) == 1
