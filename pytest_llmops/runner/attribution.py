"""Errors and warnings about model calls, spans and prints that reached no case, or a case that was over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pytest_llmops.errors import describe_error
from pytest_llmops.printable import counted, name_counts, name_some
from pytest_llmops.protocols import Metric, RunListener, traits_of
from pytest_llmops.recorder import Recorder
from pytest_llmops.records import Failure, Output, Sample, Span
from pytest_llmops.runner.app import process_end
from pytest_llmops.runner.app.printed import Printed, unwatch_outside, watch_outside
from pytest_llmops.runner.cases.listeners import open_listeners
from pytest_llmops.settings import Settings
from pytest_llmops.traces.capture import Strays, unwatch, watch_strays
from pytest_llmops.traces.opentelemetry import flush

_NAMED = 3
_REMEDY = (
    "start threads by threading.Thread, a ThreadPoolExecutor or asyncio, in the process and while the case "
    "runs, or run one case at a time (concurrency 1)"
)


@dataclass(slots=True)
class Attribution:
    """
    Collects calls, spans and prints of no case, and checks them as outputs are.

    Attributes:
        listeners: Follow the outputs of cases where the settings ask for it.
    """

    _checks: list[Metric] = field(default_factory=list)
    _strays: Strays = field(default_factory=watch_strays)
    _outside: Printed = field(default_factory=watch_outside)
    _judged: tuple[tuple[Span, ...], list[str]] = ((), [])
    _ends: dict[str, None] = field(default_factory=dict)
    listeners: tuple[RunListener, ...] = ()

    @classmethod
    def open(cls, settings: Settings) -> Attribution:
        """
        With the listeners that the settings ask for.

        Raises:
            LLMOpsError: One cannot be opened.
        """
        return cls(listeners=open_listeners(settings))

    def note_checks(self, metrics: Iterable[Metric]) -> None:
        """Keep those of the cases' metrics that look for secrets: they look at strays too."""
        for metric in metrics:
            if traits_of(metric).masks and metric not in self._checks:
                self._checks.append(metric)

    def errors(self, recorder: Recorder | None, *, ended: bool = True) -> list[str]:
        """
        Return a sentence for each kind of thing that belongs to no known case, and for each finding there.

        To be called when all cases are over: listeners finish then.

        Args:
            ended: Let the app's tracing send what it keeps, since no case will follow.
        """
        if recorder and ended:
            with recorder.ending("by the app's tracing, after the cases,"):
                flush()
        finished = (
            self.listener_errors()
        )  # before the checks look: a listener may deliver spans until its end
        self._ends.update(dict.fromkeys(process_end.take_unattributed()))
        return [*self._ends, *self.lost_sight(recorder), *self._leaks(), *finished]

    def lost_sight(self, recorder: Recorder | None) -> list[str]:
        """Return a sentence for each kind of call, span or request by now that belongs to no known case."""
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
        elsewhere = recorder.elsewhere if recorder else {}
        if elsewhere:
            lost_sight.append(
                f"error: requests or connections of no known case: {name_counts(elsewhere)}, so no check "
                f"of a case looked at them; {_REMEDY}"
            )
        if recorder and recorder.late:
            lost_sight.append(
                f"error: sent after the case that began it had ended: {name_counts(recorder.late)}, so no "
                "check saw it: let the app wait for its background work"
            )
        if recorder and recorder.unwatched:
            why = name_some(sorted(recorder.unwatched), _NAMED)
            lost_sight.append(f"error: nobody watched the connections of some cases: {why}")
        for phase, places in recorder.outside.items() if recorder else ():
            lost_sight.append(
                f"error: {phase} something was sent to a model or another machine: {name_counts(places)}, "
                "which belongs to no case, so it is not recorded and no check looked at it; let the app do "
                "this when it is called, or list the host in the golden file: under `record: {allow: …}`, or "
                "under `never` if it serves a model"
            )
        return lost_sight

    def listener_errors(self) -> list[str]:
        """Return the listeners' errors, once they have finished their work."""
        errors: list[str] = []
        for listener in self.listeners:
            try:
                errors += listener.finish()
            except Exception as error:  # noqa: BLE001 - a listener may be anybody's
                name = type(listener).__name__
                errors.append(f"error: the listener {name} broke: {describe_error(error)}")
        return errors

    def warnings(self) -> Iterator[str]:
        """A sentence on spans that came too late to be checked with their case, and on other requests."""
        if late := self._strays.late:
            yield (
                f"{late} span{' was' if late == 1 else 's were'} not ended when the case was over, so no "
                "check of the case saw what came after: let the app wait for its background work"
            )
        for listener in self.listeners:
            yield from listener.warnings()

    def close(self) -> None:
        unwatch(self._strays)
        unwatch_outside(self._outside)
        for listener in self.listeners:
            listener.close()
        self.listeners = ()

    def _leaks(self) -> list[str]:
        """Return findings outside of cases; the checks run again only where a span was added or changed."""
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
