"""`faithfulness` as a metric: its three scorers, its evidence, and what it cannot score."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.metrics.faithfulness import claims as by_entailment
from pytest_llmops.models import cross_encoder as entailment
from pytest_llmops.records import Failure, Output, Passage, Sample, Score
from pytest_llmops.registry import create_metric
from tests.openai_server import OpenAIServer

POLICY = "Boots can be returned within 60 days. The shop in Malmo is open on Sundays."


def sample(text: str, *contexts: str, repeat: int = 0) -> Sample:
    passages = tuple(Passage(id=f"p{at}", text=each) for at, each in enumerate(contexts))
    return Sample(output=Output(text=text, passages=passages, repeat=repeat))


def score(text: str, *contexts: str, **options: Any) -> Score:
    (result,) = create_metric("faithfulness", options).score([sample(text, *contexts)])
    assert isinstance(result, Score), result
    return result


def test_claims_stand_in_the_evidence_worst_first() -> None:
    result = score("Boots can be returned within 60 days. The shop sells old bicycles.", POLICY)

    claims = result.evidence[0]["claims"]
    assert [claim["claim"] for claim in claims] == [
        "The shop sells old bicycles.",
        "Boots can be returned within 60 days.",
    ]
    assert claims[0]["score"] < 0.5 < claims[1]["score"]
    assert claims[1]["label"] == "supported"
    assert claims[1]["support"] == {
        "passage": "p0",
        "start": 0,
        "end": 37,
        "text": "Boots can be returned within 60 days.",
    }
    assert "of 2 claims the least supported" in result.reason
    assert "'The shop sells old bicycles.'" in result.reason
    assert result.signature.startswith("faithfulness|v2|")
    json.dumps(result.evidence)


def test_no_passage_supports_nothing() -> None:
    result = score("Boots can be returned.")

    assert result.value == 0.0
    assert result.reason.endswith("no context says it")
    assert result.evidence[0]["claims"][0]["support"] is None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Sample(output=Output(text="Yes.")), "the app reported no passages"),
        (sample(" \n ", POLICY), "the output says nothing"),
        (sample("___", POLICY), "the output says nothing"),
        (
            Sample(output=Output(text="Yes.", passages=(Passage(id="a"),))),
            "the passages are ids, or hold no words",
        ),
    ],
)
def test_what_cannot_be_scored_is_a_failure(given: Sample, told: str) -> None:
    fine = sample("Boots can be returned within 60 days.", POLICY, repeat=1)

    failure, result = create_metric("faithfulness").score([given, fine])

    assert isinstance(failure, Failure)
    assert told in failure.error
    assert isinstance(result, Score)
    assert result.repeat == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Output(text="Yes.", passages=(Passage(id="returns#boots", text="returns#boots"),)), "are ids"),
        (Output(text="Yes.", passages=(Passage(id="a", text="?!"),)), "hold no words"),
        (
            Output(text="It is so. " * 501, passages=(Passage(id="a", text=POLICY),)),
            "501 sentences; at most 500",
        ),
    ],
)
def test_ids_alone_and_endless_answers_are_failures(given: Output, told: str) -> None:
    (failure,) = create_metric("faithfulness").score([Sample(output=given)])

    assert isinstance(failure, Failure)
    assert told in failure.error


def test_by_a_judge() -> None:
    labels = ["supported", "contradicted", "absent"]

    def answer(_request: Mapping[str, Any]) -> str:
        said = [
            {"claim": at, "evidence": "The shop in Malmo is open", "reason": "so it says", "label": label}
            for at, label in enumerate(labels, 1)
        ]
        return json.dumps({"claims": said})

    with OpenAIServer(answer=answer) as server:
        judge = {"model": "some-judge", "base_url": server.url, "attempts": 1}
        result = score("Malmo opens. Malmo is shut. Cats purr.", POLICY, by="judge", judge=judge)

    shown = {claim["claim"]: claim for claim in result.evidence[0]["claims"]}
    assert [shown[name]["label"] for name in ("Malmo opens.", "Malmo is shut.", "Cats purr.")] == labels
    assert shown["Malmo opens."]["support"]["text"] == "The shop in Malmo is open on Sundays."
    assert shown["Cats purr."]["support"] is None
    assert result.value == pytest.approx((1 / 3 + 0) / 2, abs=1e-4)
    assert len(server.requests) == 1
    assert create_metric("faithfulness", {"by": "judge", "judge": judge}).waits  # type: ignore[attr-defined]


def test_a_judge_is_needed_only_where_it_judges() -> None:
    with pytest.raises(MetricOptionError, match="no judge is named"):
        create_metric("faithfulness", {"by": "judge"})

    embedded = create_metric("faithfulness", {"judge": {"model": "x"}})
    assert embedded == create_metric("faithfulness")
    assert not embedded.waits  # type: ignore[attr-defined]


@pytest.mark.parametrize("by", ["", " ", 3, None])
def test_by_must_be_a_name(by: Any) -> None:
    with pytest.raises(MetricOptionError, match="by: must be embedded, judge, or a folder"):
        create_metric("faithfulness", {"by": by})


def test_by_an_entailment_model_the_best_sentence_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is a stand-in for one of sentence-transformers, which is not installed here."""
    asked: list[tuple[str, str]] = []

    def relate(_model: str, pairs: Sequence[tuple[str, str]]) -> list[entailment.Relation]:
        asked.extend(pairs)
        return [
            (0.9, 0.0) if "60 days" in first and "60" in second else (0.1, 0.8) for first, second in pairs
        ]

    monkeypatch.setattr(by_entailment.entailment, "relate_pairs", relate)

    result = score("Boots go back within 60 days. The shop is shut on Sundays.", POLICY, by="some/nli-model")

    shown = {claim["claim"]: claim for claim in result.evidence[0]["claims"]}
    assert shown["Boots go back within 60 days."]["score"] == 0.9
    assert shown["The shop is shut on Sundays."]["label"] == "contradicted"
    assert len(asked) == 4
    assert result.value == pytest.approx(((0.9 + 0.1) / 2 + 0.1) / 2)


def test_a_missing_library_is_one_line() -> None:
    metric = create_metric("faithfulness", {"by": "some/nli-model"})

    with pytest.raises(Exception, match=r'pip install "pytest-llmops\[sentence-transformers\]"'):
        metric.score([sample("Boots.", POLICY)])
