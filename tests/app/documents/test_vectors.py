"""Vectors that are kept, and those that come with the app."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from reference_app.documents.knowledge import load_knowledge
from reference_app.documents.search import list_texts
from reference_app.documents.vectors import SHIPPED, digest, load_vectors, read_vectors, write_vectors
from reference_app.models.multilingual import load_search_encoder
from reference_app.settings import read_settings

TEXTS = ["north", "east", "north-east"]
VECTORS = np.array([[0, 1], [1, 0], [0.6, 0.8]], dtype=np.float32)


@pytest.fixture
def calls():
    return []


@pytest.fixture
def load(tmp_path, calls):
    def load_them(texts=TEXTS, encoder="a", folder=tmp_path / "cache"):
        def encode(missing):
            calls.append(list(missing))
            return 2 * VECTORS[[TEXTS.index(text) for text in missing]]

        shipped = tmp_path / "shipped.npz"
        return load_vectors(texts, encoder=encoder, encode=encode, folder=folder, shipped=shipped)

    return load_them


def ship(path, texts):
    write_vectors(path, {digest("a", text): VECTORS[TEXTS.index(text)] for text in texts})


def test_texts_are_encoded_once_into_unit_vectors(load, calls):
    first, second = load(), load()

    assert calls == [TEXTS]
    assert np.allclose(first, VECTORS, atol=1e-3)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("changed", [{"texts": ["north", "east"]}, {"encoder": "b"}])
def test_other_texts_or_another_encoder_are_encoded_anew(load, calls, changed):
    load()
    load(**changed)

    assert len(calls) == 2


@pytest.mark.parametrize(
    ("shipped", "encoded"), [(TEXTS, []), (["north", "north-east"], [["east"]]), ([], [TEXTS])]
)
def test_only_what_is_not_shipped_is_encoded(load, calls, tmp_path, shipped, encoded):
    if shipped:
        ship(tmp_path / "shipped.npz", shipped)

    assert np.allclose(load(), VECTORS, atol=1e-3)
    assert calls == encoded


@pytest.mark.parametrize("cut", [0, 40, 200])
@pytest.mark.parametrize("file", ["shipped", "cache"])
def test_a_damaged_file_is_as_none(load, calls, tmp_path, cut, file):
    if file == "shipped":
        ship(tmp_path / "shipped.npz", TEXTS)
        path = tmp_path / "shipped.npz"
    else:
        load()
        calls.clear()
        (path,) = (tmp_path / "cache").iterdir()
    path.write_bytes(path.read_bytes()[:cut])

    assert np.allclose(load(), VECTORS, atol=1e-3)
    assert calls == [TEXTS]


def test_a_folder_that_cannot_be_made_costs_only_the_next_start(load, calls, tmp_path):
    (tmp_path / "file").write_text("")

    for _ in range(2):
        assert np.allclose(load(folder=tmp_path / "file" / "cache"), VECTORS, atol=1e-3)
    assert len(calls) == 2


def test_many_threads_build_at_once(load, tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(load())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(np.array_equal(one, made[0]) for one in made)
    assert len(made) == 8
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.fixture(scope="module")
def encoder(weights):
    return load_search_encoder(weights)


def test_every_text_of_the_documents_has_its_vector(encoder):
    """If this fails: `python -m reference_app.documents`."""
    shipped = read_vectors(SHIPPED)
    digests = {digest(encoder.name, text) for text in list_texts(load_knowledge(read_settings({}).knowledge))}

    assert set(shipped) == digests
    assert np.allclose(np.linalg.norm([*shipped.values()], axis=1), 1, atol=1e-3)


def test_a_sample_equals_what_is_encoded_now(encoder):
    shipped = read_vectors(SHIPPED)
    for text in list_texts(load_knowledge(read_settings({}).knowledge))[::400]:
        assert np.allclose(shipped[digest(encoder.name, text)], encoder.passage([text])[0], atol=1e-2)
