"""Without DeepEval its metrics are refused in one line, and nothing else needs it."""

from __future__ import annotations

import sys

import pytest

from pytest_llmops import as_deepeval
from pytest_llmops.errors import MetricOptionError
from pytest_llmops.features.deepeval.wrapped import _wrapper
from pytest_llmops.registry import create_metric, metric_options


@pytest.fixture(autouse=True)
def _absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepeval", None)
    monkeypatch.delitem(sys.modules, "deepeval.metrics", raising=False)
    _wrapper.cache_clear()
    for name in ("DEEPEVAL_TELEMETRY_OPT_OUT", "DEEPEVAL_UPDATE_WARNING_OPT_IN", "DEEPEVAL_DISABLE_DOTENV"):
        monkeypatch.setenv(name, "1")  # put back afterwards


@pytest.mark.parametrize(
    "make",
    [lambda: create_metric("deepeval", {"metric": "GEval", "criteria": "x"}), lambda: as_deepeval("bleu")],
)
def test_the_remedy_is_named(make):
    with pytest.raises(MetricOptionError) as caught:
        make()
    assert str(caught.value) == 'a metric of DeepEval needs: pip install "pytest-llmops[deepeval]"'


def test_its_options_are_known_without_it():
    assert {"metric", "judge", "expected_tools"} <= set(metric_options("deepeval"))
