"""What a run says of model calls and spans that reached no case, or a case that was over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_llmops.recorder import Recorder
from pytest_llmops.traces.capture import Missed, count_missed

_REMEDY = (
    "start threads by threading.Thread, a ThreadPoolExecutor or asyncio, in the process and while the case "
    "runs, or run one case at a time (concurrency 1)"
)


@dataclass(slots=True)
class Attribution:
    """Counts from where it was made: one process may hold many runs, one after the other."""

    _before: Missed = field(default_factory=count_missed)

    def errors(self, recorder: Recorder | None) -> list[str]:
        """A sentence for each kind that belongs to no known case: each is an error of the suite."""
        calls = recorder.unattributed if recorder else 0
        spans = count_missed().since(self._before).unattributed
        return [
            f"error: {count} unattributed {kind}{'' if count == 1 else 's'}: begun on a thread that knows of "
            f"no case, while several ran, so {lost}; {_REMEDY}"
            for count, kind, lost in (
                (calls, "call", "it may be any one's and is not recorded"),
                (spans, "span", "no check saw it"),
            )
            if count
        ]

    def warnings(self) -> Iterator[str]:
        """A sentence on spans that came too late to be checked."""
        if late := count_missed().since(self._before).late:
            yield (
                f"{late} span{' was' if late == 1 else 's were'} not ended when the case was over, so no "
                "check saw what came after: let the app wait for its background work"
            )
