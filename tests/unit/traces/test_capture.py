"""Every span reaches the case that caused it, wherever it ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased

from pytest_llmops.records import Span
from pytest_llmops.traces import capture, opentelemetry
from tests.bare_thread import run_bare

opentelemetry.install()
TRACER = trace.get_tracer("tests")


@contextlib.contextmanager
def watched() -> Iterator[capture.Strays]:
    strays = capture.watch_strays()
    yield strays
    capture.unwatch(strays)


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
    with watched() as strays, capture.capture() as first, capture.capture() as second:
        run_bare(lambda: leave_spans("bare", 1))
    assert first == second == []
    assert (strays.unattributed, strays.late) == (2, 0)
    assert [span.name for span in strays.spans] == ["bare inner", "bare 0"]


def test_what_ends_late_or_outside_a_case_is_kept_as_a_stray():
    with watched() as strays:
        leave_spans("nobody", 1)
        with capture.capture() as spans:
            late = TRACER.start_span("late")
        late.end()
    leave_spans("unwatched", 1)
    assert (strays.unattributed, strays.late) == (0, 1)
    assert [span.name for span in strays.spans] == ["nobody inner", "nobody 0", "late"]
    assert [span.name for span in spans] == ["late"]


def test_after_the_last_run_no_case_is_kept_alive():
    with watched(), capture.capture():
        leave_spans("case", 1)
        assert capture._traces
    assert not capture._traces


def test_too_many_strays_are_counted(monkeypatch):
    monkeypatch.setattr(capture, "_MOST_STRAYS", 3)
    with watched() as strays:
        leave_spans("nobody", 4)
    assert (len(strays.spans), strays.dropped) == (3, 5)


@pytest.mark.parametrize(
    "sampler",
    [ALWAYS_OFF, ParentBased(ALWAYS_OFF), TraceIdRatioBased(0)],
    ids=["off", "of the parent", "none of them"],
)
def test_a_second_provider_is_read_whatever_its_sampler_drops_and_exports_no_more_for_it(sampler):
    exported = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, resource=Resource({"host": "of ann"}))
    provider.add_span_processor(BatchSpanProcessor(exported))
    with (
        capture.capture() as spans,
        provider.get_tracer("second", "2.0").start_as_current_span("unseen") as span,
    ):
        span.set_attribute("who", "ann")
    provider.shutdown()
    (read,) = spans
    assert read.attributes == {"who": "ann"}
    assert (read.origin, read.resource["host"], read.resource["scope"]["version"]) == (
        "opentelemetry",
        "of ann",
        "2.0",
    )
    assert exported.get_finished_spans() == ()


def test_when_no_run_listens_a_sampler_has_its_own_way():
    provider = TracerProvider(sampler=ALWAYS_OFF)
    tracer = provider.get_tracer("second")
    with capture.capture(), tracer.start_as_current_span("in a case") as heard:
        assert heard.is_recording()
    with tracer.start_as_current_span("after it") as unheard:
        assert not unheard.is_recording()


def test_baggage_trace_state_and_that_of_links_are_read():
    state = trace.TraceState([("who", "ann")])
    remote = trace.SpanContext(1, 2, is_remote=True, trace_state=state)
    context = trace.set_span_in_context(
        trace.NonRecordingSpan(remote), baggage.set_baggage("customer", "ann")
    )
    with capture.capture() as spans:
        TRACER.start_span("carried", context).end()
        TRACER.start_span("linked", links=[trace.Link(remote)]).end()
    assert spans[0].events == (
        {"name": "trace state", "attributes": {"who": "ann"}},
        {"name": "baggage", "attributes": {"customer": "ann"}},
    )
    assert spans[1].events == ({"name": "link", "attributes": {"who": "ann"}},)


class Ann:
    def __str__(self) -> str:
        return "<Ann>"


def test_log_records_belong_to_the_case_of_their_context_or_trace():
    logger = LoggerProvider(resource=Resource({"host": "here"})).get_logger("shop")
    with capture.capture() as first:
        with TRACER.start_as_current_span("outer") as span:
            logger.emit(body={"content": "of ann"}, event_name="gen_ai.choice", attributes={"who": "ann"})
        context = trace.set_span_in_context(span)
        with capture.capture():
            run_bare(lambda: logger.emit(body=[{"who": Ann()}], context=context))
    logs = [each for each in first if each.origin == "log"]
    assert [(log.name, log.attributes) for log in logs] == [
        ("gen_ai.choice", {"body": {"content": "of ann"}, "who": "ann"}),
        ("log", {"body": [{"who": "<Ann>"}]}),
    ]
    assert logs[0].trace_id == first[1].trace_id
    assert logs[0].resource["host"] == "here"


def test_what_comes_from_elsewhere_belongs_to_the_case_of_its_trace():
    def of(trace_id: str) -> Span:
        return Span(span_id="1", parent_id=None, name=trace_id, trace_id=trace_id)

    with watched() as strays, capture.capture() as first:
        with TRACER.start_as_current_span("outer") as span:
            known = f"{span.get_span_context().trace_id:032x}"
        capture.find_owner("claimed")
        capture.deliver([of("only case")])
        with capture.capture() as second:
            capture.deliver([of(known), of("claimed"), of("unknown")])
    assert [each.name for each in first] == ["outer", "only case", known, "claimed"]
    assert second == []
    assert ([each.name for each in strays.spans], strays.unattributed) == (["unknown"], 1)
