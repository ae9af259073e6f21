from __future__ import annotations

import threading

import numpy as np
import pytest

from reference_app.documents.index import SHIPPED, Store, digest, read_shipped, write_shipped

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
            return np.array([VECTORS[TEXTS.index(text)] for text in asked])

        store = Store(folder=folder, shipped=tmp_path / "shipped.npz")
        return store.open(texts, encoder=encoder, encode=encode)

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


@pytest.mark.parametrize("cut", [0, 40, 140])
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
        raise OSError("No space left on device")

    monkeypatch.setattr("numpy.save", fail)

    assert opened().search([0, 1], 1)[0][0] == 0
    assert not list(tmp_path.iterdir())


def ship(path, texts, encoder="a"):
    vectors = {digest(text, encoder): VECTORS[TEXTS.index(text)] for text in texts}
    write_shipped(path, vectors)


def test_what_came_with_the_app_is_not_encoded_again(opened, calls, tmp_path):
    ship(tmp_path / "shipped.npz", TEXTS)

    assert np.allclose(opened().matrix, VECTORS, atol=1e-3)
    assert calls == []


@pytest.mark.parametrize(
    ("shipped", "encoder", "encoded"), [(["north", "north-east"], "a", ["east"]), (TEXTS, "b", TEXTS)]
)
def test_only_what_is_not_shipped_is_encoded(tmp_path, shipped, encoder, encoded):
    ship(tmp_path / "shipped.npz", shipped)
    asked = []

    def encode(texts):
        asked.extend(texts)
        return np.array([VECTORS[TEXTS.index(text)] for text in texts])

    store = Store(folder=tmp_path, shipped=tmp_path / "shipped.npz")
    assert np.allclose(store.open(TEXTS, encoder=encoder, encode=encode).matrix, VECTORS, atol=1e-3)
    assert asked == encoded


@pytest.mark.parametrize("cut", [0, 40, 200])
def test_damaged_shipped_vectors_are_as_none(opened, calls, tmp_path, cut):
    ship(tmp_path / "shipped.npz", TEXTS)
    path = tmp_path / "shipped.npz"
    path.write_bytes(path.read_bytes()[:cut])

    assert opened().search([0, 1], 1)[0][0] == 0
    assert calls == [TEXTS]


def test_the_shipped_vectors_are_of_unit_length():
    vectors = np.array(list(read_shipped(SHIPPED).values()))

    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_many_threads_build_at_once(opened, tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(opened().search([0, 1], 3))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [found[0]] * 8
    assert len(list(tmp_path.iterdir())) == 1
