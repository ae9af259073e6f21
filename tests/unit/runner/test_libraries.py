"""Which libraries are imported before the app is called: those that the run uses, and no other."""

from __future__ import annotations

import pytest

from pytest_llmops.judges.model import EMBEDDED, JudgeModel
from pytest_llmops.metrics.semantic.similarity import Semantic
from pytest_llmops.registry import create_metric
from pytest_llmops.runner import readiness
from pytest_llmops.runner.readiness import import_libraries
from pytest_llmops.runner.scoring import RemoteScorer, Scorer

MASKING = ["phonenumbers", "presidio_analyzer.predefined_recognizers", "tldextract"]


class Judged:
    def __init__(self, model: str) -> None:
        self.judges = (JudgeModel(model=model),)


@pytest.fixture
def imported(monkeypatch):
    names = []
    monkeypatch.setattr(readiness, "import_module", names.append)
    monkeypatch.setattr(readiness.numbers, "is_installed", lambda: False)
    return names


def test_masking_is_imported_where_its_extra_is_installed(imported, monkeypatch):
    import_libraries([create_metric("keywords", {"all": ["a"]})], record="new")
    assert imported == []
    monkeypatch.setattr(readiness.numbers, "is_installed", lambda: True)
    import_libraries()
    assert imported == MASKING


@pytest.mark.parametrize(
    ("model", "record", "libraries"),
    [
        ("gpt-4o-mini", "new", ["openai"]),
        (EMBEDDED, "once", ["openai", "xllamacpp"]),
        ("gpt-4o-mini", "none", []),
    ],
)
def test_judges_need_their_client_where_calls_may_be_made(imported, model, record, libraries):
    import_libraries([Judged(model)], record=record)
    assert imported == libraries


@pytest.mark.parametrize(
    ("metric", "libraries"),
    [
        (Semantic(), ["numpy", "safetensors.numpy", "tokenizers"]),
        (Semantic(encoder="openai:small"), ["numpy", "openai"]),
        (Semantic(encoder="some/model"), []),
    ],
)
def test_encoders_need_their_libraries_where_they_run(imported, metric, libraries):
    import_libraries([metric], scores_here=False)
    assert imported == []
    import_libraries([metric])
    assert imported == libraries


def test_a_broken_library_is_left_to_its_first_use(monkeypatch):
    def break_down(name):
        raise RuntimeError(name)

    monkeypatch.setattr(readiness, "import_module", break_down)
    monkeypatch.setattr(readiness.numbers, "is_installed", lambda: True)
    import_libraries()


def test_a_scorer_of_another_process_is_not_local():
    assert Scorer().is_local
    assert not Scorer(RemoteScorer(address=None, key="")).is_local
