"""Spans outside of cases are checked as those of cases, each time that one was added."""

from __future__ import annotations

from dataclasses import replace

from pytest_llmops.records import Span
from pytest_llmops.registry import create_metric
from pytest_llmops.runner.attribution import Attribution
from pytest_llmops.traces.capture import keep

STRAY = Span(span_id="1" * 16, parent_id=None, name="step", trace_id="2" * 32)


def test_what_a_twin_adds_to_a_span_is_looked_at():
    attribution = Attribution()
    attribution.note_checks([create_metric("pii_leak", {})])
    try:
        keep(STRAY, None)
        before = attribution.errors(None)
        keep(replace(STRAY, attributes={"who": "ann.lee@example.com"}), None)
        after = attribution.errors(None)
    finally:
        attribution.close()

    assert before == []
    assert [line.partition(" in ")[0] for line in after] == ["error: pii_leak found 1"]
