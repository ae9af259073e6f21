"""
Attribution: spans are kept apart by the case that caused them, whatever they come from.

A span that begins in this process belongs to the case of its context, as OpenTelemetry's own parents do, or
of its trace; one that another process sent, to the case of its trace. A span of no case is a stray.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from cachetools import LRUCache

from pytest_llmops.detect.texts import walk
from pytest_llmops.printable import counted
from pytest_llmops.recorder.threads import carry_context, is_inherited, start_outside
from pytest_llmops.records import Span

RESPONSE = "response"
"""The origin of a span with what an app behind a URL answered besides its answer."""

_ARRIVAL_S = 5.0
_LATE_S = 2.0
_POLL_S = 0.02
_MOST_TRACES = 65_536  # remembered; a run of 1,000 cases with 10 repeats begins 10,000
_MOST_STRAYS = 10_000  # kept to be checked; further ones are counted


class UniqueSpans(list[Span]):
    """Spans in the order they came, each once: an exporter may send one that was seen in this process."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, span: Span) -> bool:
        """Add a span, or the new facts of a known one; return whether there was anything new."""
        identity = identify(span)
        with self._lock:
            place = self._places.setdefault(identity, len(self)) if identity else len(self)
            if place == len(self):
                self.append(span)
                return True
            known = self[place]
            self[place] = join_twins(known, span)
            return self[place] is not known


def identify(span: Span) -> str:
    """Return a text that no two spans share; empty where there is none."""
    if span.origin == "log":
        return f"log {span.trace_id} {span.parent_id} {span.name} {span.start}" if span.start else ""
    return f"{span.trace_id} {span.span_id}" if span.trace_id and span.span_id else ""


def join_twins(known: Span, other: Span) -> Span:
    """Add the texts that only the other span has; of a LangSmith run keep the later state."""
    if known.origin == other.origin == "langsmith":
        return known if known == other else other
    texts = {text for _, _, text in walk(known)}
    lacking = {pointer: text for pointer, _, text in walk(other) if text not in texts}
    if not lacking:
        return known
    return replace(known, events=(*known.events, {"name": "as received", "attributes": lacking}))


class CaseSpans(UniqueSpans):
    """
    The spans of one repeat of a case, in the order they ended.

    Attributes:
        closed: The repeat is over; later spans are strays.
        awaited: Ids of spans that are on their way; true where they must have ended when they arrive.
        senders: Functions that send them, to be called with a time limit in seconds.
    """

    closed: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.awaited: dict[str, bool] = {}
        self.senders: list[Callable[[float], None]] = []

    def add(self, span: Span) -> bool:
        """Add a span as `UniqueSpans.add`, and await it no more."""
        is_new = super().add(span)
        with _lock:
            if span.span_id in self.awaited and (span.end or not self.awaited[span.span_id]):
                del self.awaited[span.span_id]
        return is_new

    def count_own(self) -> int:
        """Count the spans of the app, without log records and what this package made of an answer."""
        return sum(span.origin not in {"log", RESPONSE} for span in self)

    def expect(self, span_id: str, sender: Callable[[float], None], *, ended: bool) -> None:
        """Await a span before the case is judged; `ended` where one that has not ended is not enough."""
        with _lock:
            self.awaited[span_id] = ended or self.awaited.get(span_id, False)
            if sender not in self.senders:
                self.senders.append(sender)


@dataclass(slots=True)
class Strays:
    """
    Spans of a run that reached no case's check.

    Attributes:
        unattributed: How many began, while several cases ran, with nothing that names their case.
        late: How many were of a case that was over when they ended.
        spans: These, and those that began while no case ran, to be checked by themselves.
        dropped: How many were too many to be kept.
    """

    unattributed: int = 0
    late: int = 0
    spans: UniqueSpans = field(default_factory=UniqueSpans)
    dropped: int = 0

    def keep(self, span: Span) -> bool:
        """Keep a span to be checked; return whether there is anything new in it."""
        if len(self.spans) < _MOST_STRAYS:
            return self.spans.add(span)
        self.dropped += 1
        return True


_current: ContextVar[CaseSpans | None] = ContextVar("pytest_llmops_spans", default=None)
_open: dict[int, CaseSpans] = {}
_watching: dict[int, Strays] = {}
_traces: LRUCache[str, CaseSpans] = LRUCache(_MOST_TRACES)
_lock = threading.Lock()


@contextlib.contextmanager
def capture() -> Iterator[CaseSpans]:
    """Collect the spans that this context starts; the list grows as they end, children first."""
    spans = CaseSpans()
    token = _current.set(spans)
    _open[id(spans)] = spans
    try:
        with carry_context():
            yield spans
    finally:
        spans.closed = True
        del _open[id(spans)]
        _current.reset(token)


def watch_strays() -> Strays:
    """Return where strays are kept from now on, until `unwatch`."""
    strays = Strays()
    _watching[id(strays)] = strays
    return strays


def unwatch(strays: Strays) -> None:
    """Keep no more strays there; a second call does nothing. The last one forgets the cases of traces."""
    _watching.pop(id(strays), None)
    if not _watching:
        with _lock:
            _traces.clear()  # which keeps the spans of every case alive


def is_listening() -> bool:
    """Return whether spans are wanted: patched libraries stay patched when the last run is over."""
    return bool(_open or _watching)


def find_owner(trace_id: str) -> CaseSpans | None:
    """
    Return the case of a span that begins in this context, and attribute the rest of its trace to it.

    A thread that knows of no case belongs to the case of the trace, or to the only one that runs.
    """
    owner = _current.get()
    if owner is None or (owner.closed and is_inherited.get()):
        owner = _owner_of_trace(trace_id)
    if owner is not None and trace_id:
        with _lock:
            _traces.setdefault(trace_id, owner)
    return owner


def _owner_of_trace(trace_id: str) -> CaseSpans | None:
    """Return the case of a trace, or the only one that runs."""
    with _lock:
        known = _traces.get(trace_id) if trace_id else None
    if known is not None:  # and not its truth: a case without spans is an empty list
        return known
    running = tuple(_open.values())
    return running[0] if len(running) == 1 else None


def count_unattributed() -> None:
    """Count a span that may be of any of several cases, where there are several."""
    for strays in tuple(_watching.values()):
        strays.unattributed += len(_open) > 1


def keep(span: Span, owner: CaseSpans | None) -> bool:
    """
    Add an ended span to its case, or to the strays where there is none or it is over.

    Returns whether the strays have anything new of it: an exporter may send a span that was seen already.
    """
    if owner is not None and (not owner.add(span) or not owner.closed):
        return False
    is_new = False
    for strays in tuple(_watching.values()):
        if strays.keep(span):
            is_new = True
            strays.late += owner is not None and span.origin != "log"
    return is_new


def deliver(spans: Iterable[Span]) -> None:
    """
    Add spans that came from elsewhere, each to the case of its trace, or to the only case that runs.

    To be called before the sender gets its answer, so that awaited spans are there in time.
    """
    for span in spans:
        owner = _owner_of_trace(span.trace_id)
        if keep(span, owner) and owner is None and span.origin != "log":
            count_unattributed()


def add_response(span: Span) -> None:
    """Add to the case of this context what its app answered besides the answer."""
    if (owner := _current.get()) is not None:
        owner.add(replace(span, origin=RESPONSE))


async def settle(spans: CaseSpans, required: int = 0, timeout_s: float = _ARRIVAL_S) -> str:
    """
    Wait until all awaited spans are here; return why some are not, or an empty text.

    Args:
        required: How many spans there must be; other processes may send theirs a while after the answer.
    """
    begun = time.monotonic()
    for sender in spans.senders if spans.awaited else ():
        start_outside(threading.Thread(target=sender, args=(timeout_s,), daemon=True))
    spans.senders.clear()  # which would keep clients alive
    while spans.awaited and time.monotonic() < begun + timeout_s:  # noqa: ASYNC110 - see below
        await asyncio.sleep(_POLL_S)  # spans arrive on threads that know no event of this loop
    while spans.count_own() < required and time.monotonic() < begun + _LATE_S:  # noqa: ASYNC110 - as above
        await asyncio.sleep(_POLL_S)
    if lost := len(spans.awaited):
        late = f"did not arrive within {timeout_s:g} s, so no check could see all that the app left"
        return f"{counted(lost, 'LangSmith run')} {late}"
    if (left := spans.count_own()) < required:
        return (
            f"the app left {counted(left, 'span')}, and the golden file requires {required} (require_spans): "
            "is its tracing on, and in this process or sent to the receiver of --llm-receive?"
        )
    return ""
