"""One span that came twice: seen in this process, and sent by its exporter."""

from __future__ import annotations

import threading
from dataclasses import replace

from pytest_llmops.detect.texts import walk
from pytest_llmops.records import Span


class UniqueSpans(list[Span]):
    """Spans in the order they came, each once."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, span: Span) -> bool:
        """Add a span, or what it says of one that is here; whether there was anything new in it."""
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
    """What no two spans have in common; nothing where that cannot be said."""
    if span.origin == "log":
        return f"log {span.trace_id} {span.parent_id} {span.name} {span.start}" if span.start else ""
    return f"{span.trace_id} {span.span_id}" if span.trace_id and span.span_id else ""


def join_twins(known: Span, other: Span) -> Span:
    """The span as it was known, with what only the other says; of a LangSmith run the later state."""
    if known.origin == other.origin == "langsmith":
        return known if known == other else other
    texts = {text for _, text in walk(known)}
    lacking = {pointer: text for pointer, text in walk(other) if text not in texts}
    if not lacking:
        return known
    return replace(known, events=(*known.events, {"name": "as received", "attributes": lacking}))
