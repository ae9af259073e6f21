"""
Whose a span is: spans are kept apart by the case that caused them, whatever they come from.

A span that begins in this process belongs to the case of its context, as OpenTelemetry's own parents do, or
of its trace; one that another process sent, to the case of its trace. What belongs to no case is a stray.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock

from cachetools import LRUCache

from pytest_llmops.printable import counted
from pytest_llmops.recorder.interception.threads import carry_context, is_inherited
from pytest_llmops.records import Span

_MOST_TRACES = 65_536  # remembered; a run of 1,000 cases with 10 repeats begins 10,000
_LATE_SPANS_S = 2.0
_POLL_S = 0.02
_MOST_STRAYS = 10_000  # kept to be checked; further ones are counted


class CaseSpans(list[Span]):
    """
    The spans of one repeat of a case, in the order they ended.

    Attributes:
        closed: The repeat is over; what comes later is a stray.
    """

    closed: bool = False


@dataclass(slots=True)
class Strays:
    """
    Spans of a run that reached no case's check.

    Attributes:
        unattributed: How many began, while several cases ran, where nothing says of which.
        late: How many were of a case that was over when they ended.
        spans: These, and those that began while no case ran, to be checked by themselves.
        dropped: How many were too many to be kept.
    """

    unattributed: int = 0
    late: int = 0
    spans: list[Span] = field(default_factory=list)
    dropped: int = 0

    def keep(self, span: Span) -> None:
        if len(self.spans) < _MOST_STRAYS:
            self.spans.append(span)
        else:
            self.dropped += 1


_current: ContextVar[CaseSpans | None] = ContextVar("pytest_llmops_spans", default=None)
_open: list[CaseSpans] = []
_watching: list[Strays] = []
_traces: LRUCache[str, CaseSpans] = LRUCache(_MOST_TRACES)
_lock = Lock()


@contextlib.contextmanager
def capture() -> Iterator[list[Span]]:
    """Collect the spans that this context starts; the list grows as they end, children first."""
    spans = CaseSpans()
    token = _current.set(spans)
    _open.append(spans)
    try:
        with carry_context():
            yield spans
    finally:
        spans.closed = True
        _open[:] = [each for each in _open if each is not spans]
        _current.reset(token)


def count_left(spans: Iterable[Span]) -> int:
    """How many spans an app left; log records are none."""
    return sum(span.origin != "log" for span in spans)


async def wait_for_spans(spans: Sequence[Span], required: int) -> None:
    """Until as many are there as must be: other processes send theirs when they like."""
    until = time.monotonic() + _LATE_SPANS_S
    while count_left(spans) < required and time.monotonic() < until:  # noqa: ASYNC110 - threads end them
        await asyncio.sleep(_POLL_S)


def describe_lacking(left: int, required: int) -> str:
    """Why a case with too few spans is an error."""
    return (
        f"the app left {counted(left, 'span')}, and the golden file requires {required} (require_spans): is "
        "its tracing on, and in this process or sent to the receiver of --llm-receive?"
    )


def watch_strays() -> Strays:
    """From now on strays are kept there, until `unwatch`."""
    strays = Strays()
    _watching.append(strays)
    return strays


def unwatch(strays: Strays) -> None:
    """Keep no more strays there; a second call does nothing."""
    _watching[:] = [each for each in _watching if each is not strays]


def find_owner(trace_id: str) -> CaseSpans | None:
    """
    The case of what begins in this context; what else its trace holds is of that case from now on.

    A thread that knows of no case belongs to the case of the trace, or to the only one in work.
    """
    owner = _current.get()
    if owner is None or (owner.closed and is_inherited.get()):
        owner = _of_trace(trace_id) or _only_open()
    if owner is not None and trace_id:
        with _lock:
            _traces.setdefault(trace_id, owner)
    return owner


def count_unattributed() -> None:
    """Count a span that may be of any of several cases, where there are several."""
    for strays in tuple(_watching):
        strays.unattributed += len(_open) > 1


def keep(span: Span, owner: CaseSpans | None) -> None:
    """Add what ended to its case, or to the strays where there is none or it is over."""
    if owner is not None:
        owner.append(span)
        if not owner.closed:
            return
    for strays in tuple(_watching):
        strays.late += owner is not None and span.origin != "log"
        strays.keep(span)


def deliver(spans: Iterable[Span]) -> None:
    """
    Add spans that came from elsewhere, each to the case of its trace, or to the only case in work.

    To be called before the sender gets its answer, so that what a case waits for is there in time.
    """
    for span in spans:
        owner = _of_trace(span.trace_id) or _only_open()
        if owner is None and span.origin != "log":
            count_unattributed()
        keep(span, owner)


def _of_trace(trace_id: str) -> CaseSpans | None:
    with _lock:
        return _traces.get(trace_id) if trace_id else None


def _only_open() -> CaseSpans | None:
    candidates = _open[:2]
    return candidates[0] if len(candidates) == 1 else None
