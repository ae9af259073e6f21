"""What a run says of model calls and spans that reached no case, or a case that was over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_llmops.errors import describe_error
from pytest_llmops.printable import counted
from pytest_llmops.protocols import Metric, traits_of
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import Failure, Output, Sample, Span
from pytest_llmops.runner.app.printed import Printed, unwatch_outside, watch_outside
from pytest_llmops.settings import Settings
from pytest_llmops.traces.capture import Strays, unwatch, watch_strays

if TYPE_CHECKING:
    from pytest_llmops.traces.export.exporter import Exporter
    from pytest_llmops.traces.receiving.receiver import Receiver

_REMEDY = (
    "start threads by threading.Thread, a ThreadPoolExecutor or asyncio, in the process and while the case "
    "runs, or run one case at a time (concurrency 1)"
)


@dataclass(slots=True)
class Attribution:
    """
    Looks at what strays from where it was made: one process may hold many runs, one after the other.

    Attributes:
        exporter: Takes the outputs of cases where the settings ask for an export.
    """

    _checks: list[Metric] = field(default_factory=list)
    _strays: Strays = field(default_factory=watch_strays)
    _outside: Printed = field(default_factory=watch_outside)
    _judged: tuple[tuple[Span, ...], list[str]] = ((), [])
    exporter: Exporter | None = None
    _receiver: Receiver | None = None

    @classmethod
    def open(cls, settings: Settings) -> Attribution:
        """
        With a receiver of other processes' traces, and an export, where the settings name one.

        Raises:
            LLMOpsError: One cannot be opened.
        """
        exporter, receiver = None, None
        if settings.export:
            from pytest_llmops.traces.export.exporter import Exporter

            exporter = Exporter.open(settings.export)
        if settings.receive:
            from pytest_llmops.traces.receiving.receiver import Receiver

            receiver = Receiver.open(settings.receive, settings.langsmith_forward)
        return cls(exporter=exporter, _receiver=receiver)

    def note_checks(self, metrics: Iterable[Metric]) -> None:
        """Of the metrics of cases, those that look for what must not be shown look at strays too."""
        for metric in metrics:
            if traits_of(metric).masks and metric not in self._checks:
                self._checks.append(metric)

    def errors(self, recorder: Recorder | None) -> list[str]:
        """
        A sentence for each kind that belongs to no known case, and for what the checks find there.

        To be called when all cases are over: it sends the export.
        """
        calls = recorder.unattributed if recorder else 0
        lost_sight = [
            f"error: {counted(count, f'unattributed {kind}')}: begun on a thread that knows of "
            f"no case, while several ran, so {lost}; {_REMEDY}"
            for count, kind, lost in (
                (calls, "call", "it may be any one's and is not recorded"),
                (self._strays.unattributed, "span", "no check of a case saw it"),
            )
            if count
        ]
        unsent = self.exporter.send() if self.exporter else ()
        return [*lost_sight, *self.received_errors(), *self._leaks(), *unsent]

    def received_errors(self) -> list[str]:
        """A sentence for each kind of request that could not be read, once those under way are answered."""
        if self._receiver is None:
            return []
        self._receiver.finish()
        return list(self._receiver.notes.errors())

    def warnings(self) -> Iterator[str]:
        """A sentence on spans that came too late to be checked with their case, and on other requests."""
        if late := self._strays.late:
            yield (
                f"{late} span{' was' if late == 1 else 's were'} not ended when the case was over, so no "
                "check of the case saw what came after: let the app wait for its background work"
            )
        if self._receiver is not None:
            yield from self._receiver.notes.warnings()

    def close(self) -> None:
        unwatch(self._strays)
        unwatch_outside(self._outside)
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None

    def _leaks(self) -> list[str]:
        """What leaks where no case is; not looked for again while nothing was added, to a span either."""
        spans, dropped = (*self._strays.spans, *self._outside.spans()), self._strays.dropped
        if spans != self._judged[0]:
            sample = Sample(output=Output(text=""), input="", spans=spans)
            self._judged = spans, [line for check in self._checks for line in _judge(check, sample)]
        unseen = f"error: {dropped:,} spans outside of cases were not looked at: they are too many"
        return [*self._judged[1], *([unseen] if dropped and self._checks else [])]


def _judge(check: Metric, sample: Sample) -> Iterator[str]:
    seen = counted(len(sample.spans), "span, log record or stream", "spans, log records and streams")
    where = f"{seen} outside of cases"
    try:
        (scored,) = check.score([sample])
    except Exception as error:  # noqa: BLE001 - a check may be anybody's
        scored = Failure(metric=check.name, stage="score", error=describe_error(error))
    if isinstance(scored, Failure):
        yield f"error: {check.name} could not look at {where}: {scored.error}"
    elif scored.value > 0:
        yield f"error: {check.name} found {scored.value:g} in {where}: {scored.reason}"
