from __future__ import annotations

import pytest

from pytest_llmops import Score
from pytest_llmops.metrics.lexical import regex as regex_metric
from tests.unit.metrics.lexical.test_regex import match


@pytest.mark.parametrize("option", ["pattern", "none"])
def test_endless_backtracking_is_a_failure(option, monkeypatch):
    monkeypatch.setattr(regex_metric, "TIMEOUT_S", 0.05)

    result = match("a" * 80 + "b", **{option: "(a|aa)+$"})

    assert not isinstance(result, Score)
    assert "'(a|aa)+$'" in result.error
    assert "repeats" in result.error
