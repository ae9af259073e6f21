from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
from cachetools import LRUCache

from pytest_llmops.errors import MissingExtraError
from pytest_llmops.models import pieces
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.models.pieces import encode_pieces, split_pieces

TEXT = "Unbelievably naïve, the café 😀"


@pytest.fixture(autouse=True)
def fresh():
    pieces.forget()
    yield
    pieces.forget()


def test_pieces_lie_where_their_offsets_say():
    (found,) = encode_pieces([TEXT], 4)

    words = [TEXT[start:end] for start, end in found.offsets]
    assert "".join(words) == TEXT.replace(" ", "")
    assert words[-1] == "😀"
    assert found.tokens[:2] == ("un", "##bel")
    assert found.tokens == split_pieces([TEXT])[0]
    assert found.vectors.shape == (len(found.tokens), 384)
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_special_pieces_stand_around_the_others():
    (bare,) = encode_pieces([TEXT], 4)
    (whole,) = encode_pieces([TEXT], 4, special=True)

    assert whole.tokens == ("[CLS]", *bare.tokens, "[SEP]")
    assert (whole.offsets[0], whole.offsets[-1]) == ((0, 0), (0, 0))
    assert np.array_equal(whole.vectors[1:-1], bare.vectors)


def test_the_last_layers_pieces_point_where_the_text_does():
    (whole,) = encode_pieces(["one"], 6, special=True)
    network = load_embedded()._network
    states = network.pieces(network.tokenize(["one"]), 6)

    assert whole.vectors == pytest.approx(states / np.linalg.norm(states, axis=1, keepdims=True), abs=1e-6)
    assert network.forward(network.tokenize(["one"]))[0] == pytest.approx(
        states.mean(axis=0) / np.linalg.norm(states.mean(axis=0)), abs=1e-6
    )


def test_vectors_do_not_depend_on_their_batch():
    texts = [f"{'many words and ' * (number % 9)}{number}" for number in range(80)]

    together = encode_pieces(texts, 4)
    pieces.forget()

    for at in (0, 41, 79):
        assert encode_pieces([texts[at]], 4)[0].vectors == pytest.approx(together[at].vectors, abs=1e-5)


def test_layers_are_told_apart():
    vectors = [encode_pieces([TEXT], layer)[0].vectors for layer in range(7)]

    assert all(not np.allclose(one, two) for one, two in pairwise(vectors))


def test_a_long_text_is_read_as_far_as_the_network_has_places():
    (found,) = encode_pieces(["word " * 9_000], 1)

    assert found.vectors.shape == (510, 384)
    assert found.offsets[-1] == (509 * 5, 509 * 5 + 4)


def test_texts_without_a_piece_have_no_vector():
    for found in encode_pieces(["", "  \n"], 4):
        assert found.tokens == found.offsets == ()
        assert found.vectors.shape == (0, 384)


def test_no_text_is_no_piece():
    assert encode_pieces([], 4) == []


def test_each_text_is_encoded_once():
    before = load_embedded().encoded

    encode_pieces(["a first", "a second", "a first"], 4)
    encode_pieces(["a second"], 4)
    encode_pieces(["a second"], 4, special=True)

    assert load_embedded().encoded - before == 2


def test_memory_is_bounded_and_keeps_what_was_used_last(monkeypatch):
    monkeypatch.setattr(pieces, "_memory", LRUCache(100 * 384 * 4, getsizeof=pieces._memory.getsizeof))
    encode_pieces(["kept"], 1)
    for number in range(40):
        encode_pieces([f"text {number}"], 1)
        encode_pieces(["kept"], 1)

    assert 50 * 384 * 4 < pieces._memory.currsize <= 100 * 384 * 4
    assert ("kept", 1) in pieces._memory


def test_a_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    pieces._tokenizer.cache_clear()

    with pytest.raises(MissingExtraError, match=r"pytest-llmops\[local\]"):
        encode_pieces(["a"], 4)
