"""Every span reaches the case that caused it, wherever it ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace

from pytest_llmops.traces import capture
from tests.bare_thread import run_bare

capture.install()
TRACER = trace.get_tracer("tests")


def leave_spans(case: str, count: int) -> None:
    for number in range(count):
        with (
            TRACER.start_as_current_span(f"{case} {number}") as span,
            TRACER.start_as_current_span(f"{case} inner"),
        ):
            span.set_attribute("case", case)
            span.add_event("seen", {"case": case})


def test_spans_of_many_cases_side_by_side_are_kept_apart():
    def run(case: str) -> list[str]:
        with capture.capture() as spans:
            leave_spans(case, 20)
        assert len(spans) == 40
        return [span.name.split()[0] for span in spans]

    with ThreadPoolExecutor(8) as pool:
        for case, names in zip(range(40), pool.map(run, [f"c{number}" for number in range(40)]), strict=True):
            assert set(names) == {f"c{case}"}


def test_a_span_belongs_to_the_case_that_started_it():
    """Even where it ends on another thread, after another case began."""
    with capture.capture() as first:
        span = TRACER.start_span("late")
    with capture.capture() as second:
        thread = threading.Thread(target=span.end)
        thread.start()
        thread.join()
    assert [each.name for each in first] == ["late"]
    assert second == []


def test_tasks_and_threads_with_the_context_are_followed():
    async def task(name: str) -> None:
        with TRACER.start_as_current_span(name):
            await asyncio.sleep(0)

    async def case() -> list[str]:
        with capture.capture() as spans:
            await asyncio.gather(task("one"), task("two"))
            await asyncio.to_thread(leave_spans, "three", 1)
            context = contextvars.copy_context()
            thread = threading.Thread(target=context.run, args=(leave_spans, "four", 1))
            thread.start()
            thread.join()
        return sorted(span.name for span in spans)

    assert asyncio.run(case()) == ["four 0", "four inner", "one", "three 0", "three inner", "two"]


def test_what_a_span_holds_is_read_whole():
    def break_down() -> None:
        with TRACER.start_as_current_span("outer", attributes={"gen_ai.operation.name": "chat"}) as outer:
            link = trace.Link(outer.get_span_context(), {"why": "link"})
            with TRACER.start_as_current_span("inner", links=[link]):
                pass
            raise ValueError("broken by ann")

    with capture.capture() as spans, pytest.raises(ValueError, match="broken"):
        break_down()
    inner, outer_span = spans
    assert inner.parent_id == outer_span.span_id
    assert outer_span.kind == "chat"
    assert outer_span.status.startswith("error: ValueError: broken by ann")
    assert inner.events == ({"name": "link", "attributes": {"why": "link"}},)
    assert outer_span.events[0]["attributes"]["exception.message"] == "broken by ann"
    assert 0 < outer_span.start <= inner.start <= inner.end <= outer_span.end


def test_outside_a_case_nothing_is_kept():
    leave_spans("nobody", 3)
    with capture.capture() as spans:
        pass
    assert spans == []


def test_a_thread_without_context_belongs_to_the_only_case_or_is_counted():
    with capture.capture() as spans:
        run_bare(lambda: leave_spans("bare", 1))
    assert len(spans) == 2
    before = capture.count_missed()
    with capture.capture() as first, capture.capture() as second:
        run_bare(lambda: leave_spans("bare", 1))
    assert first == second == []
    assert capture.count_missed().since(before) == capture.Missed(unattributed=2)
