"""A leak check that breaks: what it would have looked at is shown nowhere."""

# ruff: noqa: F811 - the fixture is imported, and named again by the test that takes it

from __future__ import annotations

from pytest_llmops.metrics.pii_leak import PiiLeak
from tests.plugin.test_escapes import EMAIL, shop, written  # noqa: F401 - a fixture
from tests.plugin.varying import outcomes_of


def test_a_check_that_breaks_withholds_all_that_it_would_have_looked_at(project, shop, monkeypatch):
    def broken(*_):
        raise RuntimeError("no model")

    monkeypatch.setattr(PiiLeak, "measure_all", broken)
    shop("return f'Ask {EMAIL}'")
    result = project.run_here("--junitxml=junit.xml")
    assert outcomes_of(result)["error"] == 1
    everything = result.stdout.str() + written(project)
    assert "<withheld: " in everything
    assert EMAIL not in everything
