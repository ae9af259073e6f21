"""The encoder for searching passages, and MiniLM in its place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from reference_app.errors import WeightsError
from reference_app.models import multilingual
from reference_app.models.encoder import Encoder, load_encoder
from reference_app.models.multilingual import Multilingual, load_search_encoder
from reference_app.models.weights import find_weights

PASSAGES = (
    "Delivery costs 4 pounds and takes 3 days.",
    "Unused items can be returned within 60 days of delivery.",
    "The Wren stove burns gas from 230 g canisters.",
)


@pytest.fixture(scope="module")
def encoder(weights):
    if weights.search is None:
        pytest.skip("no engine for this platform")
    return Multilingual(weights)


def test_questions_in_three_languages_find_their_passage(encoder):
    questions = ["How long may I send it back?", "Was kostet der Versand?", "¿Qué gas usa el hornillo?"]

    vectors, found = encoder.query(questions), encoder.passage(PASSAGES)

    assert np.argmax(vectors @ found.T, axis=1).tolist() == [1, 0, 2]
    assert np.allclose(np.linalg.norm(np.concatenate([vectors, found]), axis=1), 1, atol=1e-6)
    assert vectors.dtype == np.float32


def test_a_vector_depends_on_its_text_and_role_alone(encoder):
    alone = np.concatenate([encoder.passage([text]) for text in PASSAGES])
    with ThreadPoolExecutor(4) as threads:
        many = list(threads.map(lambda _: encoder.passage(PASSAGES), range(8)))

    assert all(np.array_equal(each, alone) for each in many)
    assert not np.array_equal(encoder.query(PASSAGES), alone)


def test_any_text_is_taken(encoder):
    texts = ["", "\ud800", "a\0b", "word " * 600]

    assert np.isfinite(encoder.passage(texts)).all()
    assert encoder.passage([]).shape == (0, 384)
    assert not np.array_equal(encoder.passage(["a\0b"]), encoder.passage(["a"]))


@pytest.fixture(params=["platform", "processor", "engine", "model"])
def without(request, weights, encoder, tmp_path, monkeypatch):
    """Weights whose engine does not run, for one reason or another."""
    del encoder  # it runs here
    broken = tmp_path / "broken"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(multilingual, "_load", multilingual._open)
    if request.param == "platform":
        return replace(weights, search=None, search_name="")
    if request.param == "processor":
        (tmp_path / "cpuinfo").write_text("processor: 0\nflags\t\t: fpu sse4_2 avx\n")
        monkeypatch.setattr(multilingual, "_CPU", tmp_path / "cpuinfo")
        return weights
    return replace(weights, search=replace(weights.search, **{request.param: broken}))


def test_where_the_engine_does_not_run_minilm_answers_and_a_line_says_so(without, capsys):
    encoder = load_search_encoder(without)

    assert isinstance(encoder, Encoder)
    assert encoder.name == without.encoder_name
    assert np.array_equal(encoder.query(PASSAGES), load_encoder(without).passage(PASSAGES))
    (line,) = set(capsys.readouterr().err.splitlines())  # threads of other tests' servers say it, too
    assert line.startswith("reference_app: multilingual-e5-small does not run here (")


def test_other_weights_or_another_engine_have_another_name(weights, tmp_path):
    if weights.search is None:
        pytest.skip("no engine for this platform")
    for name in ("smollm2", "minilm", "minilm-int8"):
        (tmp_path / name).symlink_to(weights.chat.parents[1] / name)
    folder = tmp_path / "e5-small"
    folder.mkdir()
    with pytest.raises(WeightsError, match=r"e5-small-q4.bin.*llmops models pull"):
        find_weights(tmp_path)
    for path in (weights.search.model, weights.search.engine, weights.search.openmp):
        (folder / path.name).symlink_to(path)
    assert find_weights(tmp_path).search_name == weights.search_name
    (folder / weights.search.engine.name).unlink()
    (folder / weights.search.engine.name).write_bytes(b"another engine")

    assert find_weights(tmp_path).search_name != weights.search_name
