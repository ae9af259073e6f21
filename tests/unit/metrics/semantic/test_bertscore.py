from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from pytest_llmops import cache
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.semantic import bertscore
from pytest_llmops.metrics.semantic import bertscore as matching
from pytest_llmops.metrics.semantic.bertscore import BASELINES, BertScore, match_texts
from pytest_llmops.models.encoders import load_embedded
from pytest_llmops.records import Failure, Output, Sample, Score
from pytest_llmops.registry import create_metric

VALUES = json.loads(Path(__file__).with_name("bertscore_values.json").read_text(encoding="utf-8"))
PAIRS = [(pair["output"], pair["reference"]) for pair in VALUES["pairs"]]


def sample(text: str, reference: str | None, repeat: int = 0) -> Sample:
    return Sample(output=Output(text=text, repeat=repeat), reference=reference)


@pytest.fixture(autouse=True)
def in_a_project(tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").touch()
    monkeypatch.chdir(tmp_path)
    matching.forget()
    yield
    matching.forget()


@pytest.mark.parametrize("made", VALUES["values"], ids=lambda made: f"layer{made['layer']}-idf{made['idf']}")
def test_precision_recall_and_f_are_those_of_bert_score(made):
    corpus = tuple(VALUES["corpus"]) if made["idf"] else ()

    matches = match_texts(PAIRS, made["layer"], corpus)

    ours = np.array([(match.precision, match.recall, match.f) for match in matches])
    assert ours == pytest.approx(np.array(made["scores"]), abs=1e-5)


def test_the_metric_gives_the_part_that_is_asked_for():
    scores = next(made["scores"] for made in VALUES["values"] if made["layer"] == 6 and not made["idf"])
    samples = [sample(output, reference) for output, reference in PAIRS]

    for at, part in enumerate(("precision", "recall", "f")):
        results = BertScore(of=part).score(samples)
        assert [result.value for result in results] == pytest.approx(
            [score[at] for score in scores], abs=1e-4
        )


def test_idf_is_read_from_a_file_of_the_project_when_the_metric_is_made(tmp_path):
    path = tmp_path / "references.txt"
    path.write_text("\n\n".join(VALUES["corpus"]) + "\n", encoding="utf-8")
    metric = create_metric("bertscore", {"idf": "references.txt", "layer": 4})
    path.unlink()
    sent = pickle.loads(pickle.dumps(metric))  # noqa: S301  made above
    scores = next(made["scores"] for made in VALUES["values"] if made["layer"] == 4 and made["idf"])

    results = sent.score([sample(output, reference) for output, reference in PAIRS[:5]])

    assert [result.value for result in results] == pytest.approx([score[2] for score in scores[:5]], abs=1e-4)
    assert hash(sent) == hash(metric)
    assert "idf-" in results[0].signature


def test_a_score_does_not_depend_on_its_batch():
    samples = [sample(output, reference) for output, reference in PAIRS]

    together = [each.value for each in BertScore().score(samples)]
    matching.forget()

    assert [BertScore().score([each])[0].value for each in samples] == together


@pytest.mark.parametrize(
    ("options", "part", "baseline"),
    [
        ({"baseline": 0.5}, "f", 0.5),
        ({"baseline": (0.1, 0.2, 0.3)}, "f", 0.3),
        ({"baseline": (0.1, 0.2, 0.3), "of": "recall"}, "recall", 0.2),
        ({"rescale": True, "of": "precision"}, "precision", BASELINES[6][0]),
        ({"rescale": True, "layer": 6}, "f", BASELINES[6][2]),
        ({"rescale": True, "baseline": 0.5}, "f", 0.5),
    ],
)
def test_a_baseline_is_put_at_zero(options, part, baseline):
    raw = getattr(match_texts([PAIRS[0]], 6)[0], part)

    (result,) = BertScore(**options).score([sample(*PAIRS[0])])

    assert result.value == pytest.approx((raw - baseline) / (1 - baseline), abs=1e-4)
    assert result.evidence[0][part] == result.value
    assert "|baseline-" in result.signature
    assert BertScore(**options).range == (pytest.approx((-1 - baseline) / (1 - baseline)), 1.0)


def test_equal_texts_score_one_and_unrelated_ones_about_zero_of_the_rescaled():
    equal, unlike = BertScore(rescale=True).score(
        [
            sample("The desk lends poles.", "The desk lends poles."),
            sample("It rains in Oslo.", "The desk lends poles."),
        ]
    )

    assert equal.value == 1.0
    assert equal.reason == ""
    assert abs(unlike.value) < 0.15


def test_the_reason_names_the_words_that_found_no_near_one():
    (result,) = BertScore().score(
        [sample("The warranty covers the seams.", "The warranty covers seams and unbelievably zippers.")]
    )

    words = [each["word"] for each in result.evidence[0]["far"]]
    assert "unbelievably" in words
    assert "furthest from the output: 'unbelievably'" in result.reason
    assert not {"The", "warranty", ".", "##bel"} & set(words)


@pytest.mark.parametrize(
    ("output", "reference", "reason"),
    [
        ("", "Open.", "the output is empty"),
        ("Open.", "", "the reference is empty"),
        (" ", "", "the output is empty"),
        ("?", "Yes", "the output contains no word: '?'"),
        ("...", "Open.", "the output contains no word: '...'"),
    ],
)
def test_an_empty_text_scores_zero(output, reference, reason):
    (result,) = BertScore().score([sample(output, reference)])

    assert isinstance(result, Score)
    assert (result.value, result.reason) == (0.0, reason)


def test_punctuation_may_be_the_answer_that_is_expected():
    (result,) = BertScore().score([sample("-", "-")])

    assert result.value == 1.0


def test_one_result_a_sample_in_order():
    first, second, third = BertScore().score([sample("a", "a", 0), sample("a", None, 1), sample("b", "a", 2)])

    assert first.value == 1.0
    assert isinstance(second, Failure)
    assert third.value < 1.0
    assert [each.repeat for each in (first, second, third)] == [0, 1, 2]


def test_words_that_every_sentence_has_weigh_nothing(tmp_path):
    (tmp_path / "references.txt").write_text("yes\nyes yes\n")

    failed, scored = BertScore(idf="references.txt").score([sample("yes", "yes"), sample("yes no", "yes no")])

    assert isinstance(failed, Failure)
    assert "none has a weight" in failed.error
    assert scored.value == 1.0


def test_broken_weights_are_a_failure_and_no_score(monkeypatch):
    broken = matching.Match(float("nan"), 0.5)
    monkeypatch.setattr(bertscore, "match_texts", lambda pairs, *_: [broken] * len(pairs))

    (result,) = BertScore().score([sample("a", "b")])

    assert isinstance(result, Failure)
    assert "weights of the encoder are broken" in result.error


def test_each_text_and_each_pair_goes_through_the_network_once(tmp_path):
    load_embedded()
    before = load_embedded().encoded
    samples = [sample(f"a new answer {number % 3}", "one new reference") for number in range(12)]
    cache.use_cache(tmp_path / "cache")
    try:
        first = BertScore().score(samples)
        assert load_embedded().encoded - before == 4
        matching.forget()
        again = BertScore().score(samples)
    finally:
        cache.use_cache(None)

    assert again == first
    assert load_embedded().encoded - before == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"of": "recal"}, "Did you mean 'recall'?"),
        ({"of": 5}, "not 5"),
        ({"layer": 0}, "1 to 6"),
        ({"layer": 7}, "1 to 6"),
        ({"layer": True}, "1 to 6"),
        ({"layer": "4"}, "1 to 6"),
        ({"rescale": 0.5}, "true or false"),
        ({"baseline": 1.0}, "from 0 to 0.95"),
        ({"baseline": True}, "from 0 to 0.95"),
        ({"baseline": [0.1, 0.2]}, "three of them"),
        ({"baseline": "0.3"}, "from 0 to 0.95"),
        ({"baseline": float("nan")}, "from 0 to 0.95"),
        ({"idf": "none.txt"}, "none.txt cannot be read"),
        ({"idf": True}, "path of a text file"),
        ({"idf": "empty.txt"}, "holds no sentence"),
        ({"idf": "latin.txt"}, "UTF-8"),
    ],
)
def test_a_mistake_in_the_options_is_told(tmp_path, options, told):
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes("Zürich".encode("latin-1"))

    with pytest.raises(MetricOptionError, match="bertscore: ") as error:
        create_metric("bertscore", options)

    assert told in str(error.value)
