"""Steps kept in memory, for the terminal."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(slots=True, kw_only=True, eq=False)
class RecordedStep:
    """
    A step that may still go on; an `Output`.

    Attributes:
        depth: 0 for a question, 1 for its nodes, and so on.
        start_s: On a clock that never goes back.
    """

    name: str
    depth: int
    start_s: float
    end_s: float = 0.0
    attributes: dict[str, Any] = field(default_factory=dict)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        self.attributes |= attributes

    def begin(self) -> None:
        """It began when it was opened."""

    def fail(self, kind: str) -> None:
        """Its type is an attribute already."""


_depth: ContextVar[int] = ContextVar("depth", default=0)


@contextmanager
def open_recorded(name: str, steps: list[RecordedStep]) -> Iterator[RecordedStep]:
    """Add a step to the list, below the one that is open in this thread."""
    step = RecordedStep(name=name, depth=_depth.get(), start_s=time.monotonic())
    steps.append(step)
    token = _depth.set(step.depth + 1)
    try:
        yield step
    finally:
        step.end_s = time.monotonic()
        with suppress(ValueError):  # a generator that is closed in another context
            _depth.reset(token)
