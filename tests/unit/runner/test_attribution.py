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


class Late:
    """A listener to which a span comes while it finishes."""

    setting = "receive"

    def take(self, output: object) -> None:
        """Leave outputs alone."""

    def finish(self) -> list[str]:
        keep(replace(STRAY, attributes={"who": "ann.lee@example.com"}), None)
        return ["error: one request was not read"]

    def warnings(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        """Change nothing."""


def test_a_span_that_comes_while_a_listener_finishes_is_looked_at():
    attribution = Attribution(listeners=(Late(),))
    attribution.note_checks([create_metric("pii_leak", {})])
    try:
        errors = attribution.errors(None)
    finally:
        attribution.close()

    leak, unread = errors
    assert leak.startswith("error: pii_leak found 1 in 1 span")
    assert unread == "error: one request was not read"


class Broken(Late):
    def finish(self) -> list[str]:
        raise RuntimeError("could not send")


def test_a_listener_that_cannot_finish_is_an_error():
    attribution = Attribution(listeners=(Broken(),))
    try:
        assert attribution.errors(None) == ["error: the listener Broken broke: RuntimeError: could not send"]
    finally:
        attribution.close()
