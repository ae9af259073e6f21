from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import MissingExtraError, WeightsError
from pytest_llmops.models.encoders import EmbeddedEncoder, EncoderChoice, _batch_by_length, load_encoder
from pytest_llmops.models.minilm import gelu

# Text, first four numbers and sum of its vector, as sentence-transformers makes them of these weights.
REFERENCES = [
    ("Within 60 days of delivery.", (-0.0262174, 0.0152784, 0.0003041, 0.0381708), 0.250117),
    ("You have two months to send it back.", (0.0304692, -0.0037145, 0.0767507, 0.0353023), 0.228044),
    ("", (-0.1188383, 0.0482987, -0.0025481, -0.0110112), 0.629072),
    (
        "\u00dcn\u00efcode \u4f60\u597d na\u00efve caf\u00e9 \U0001f600",
        (-0.003798, -0.0085823, 0.025284, 0.0110928),
        -0.190812,
    ),
    ("word " * 400, (-0.0081237, -0.095586, -0.0386731, 0.049662), -0.785965),  # past 256 word pieces
]


def test_vectors_are_those_of_sentence_transformers():
    vectors = load_encoder().encode([text for text, _, _ in REFERENCES])

    for vector, (_, head, total) in zip(vectors, REFERENCES, strict=True):
        assert vector[:4] == pytest.approx(head, abs=1e-6)
        assert vector.sum() == pytest.approx(total, abs=2e-5)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_a_vector_does_not_depend_on_its_batch():
    texts = [f"{'many words and ' * (number % 9)}{number}" for number in range(80)]

    together = load_encoder().encode(texts)

    for at in (0, 41, 79):
        assert load_encoder().encode([texts[at]])[0] == pytest.approx(together[at], abs=1e-6)


def test_no_text_is_no_vector():
    assert load_encoder().encode([]).shape == (0, 384)


def test_threads_may_encode_at_once():
    encoder = EmbeddedEncoder()
    texts = [f"text {number}" for number in range(8)]

    with ThreadPoolExecutor(4) as pool:
        vectors = list(pool.map(lambda text: encoder.encode([text])[0], texts))

    assert np.stack(vectors) == pytest.approx(load_encoder().encode(texts), abs=1e-6)
    assert encoder.encoded == 8


def test_the_identity_needs_no_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("LLMOPS_WEIGHTS", str(tmp_path))
    encoder = EmbeddedEncoder()

    assert encoder.identity.startswith("minilm-0.1.0-")
    with pytest.raises(WeightsError, match="llmops models pull minilm"):
        encoder.encode(["a"])


def test_batches_bound_texts_and_word_pieces():
    ids = [[1] * length for length in (*range(1, 300, 3), *[500] * 20)]

    batches = list(_batch_by_length(ids))

    assert sorted(at for batch in batches for at in batch) == list(range(len(ids)))
    assert max(len(batch) for batch in batches) == 32
    assert max(len(batch) * max(len(ids[at]) for at in batch) for batch in batches) <= 4_096
    assert [len(batch) for batch in batches][-3:] == [8, 8, 4]


def test_one_encoder_a_name():
    assert load_encoder() is load_encoder("default") is load_encoder(EncoderChoice(model="default"))


def test_a_missing_library_of_the_default_encoder_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    with pytest.raises(MissingExtraError, match=r"pytest-llmops\[local\]"):
        EmbeddedEncoder().encode(["a"])


@given(st.floats(-30, 30, width=32))
def test_gelu_is_the_normal_distributions(x):
    exact = x * (1 + math.erf(x / math.sqrt(2))) / 2

    assert gelu(np.array([x], dtype=np.float32))[0] == pytest.approx(exact, abs=1e-6, rel=3e-7)
