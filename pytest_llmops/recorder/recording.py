"""The recorder of a process: model calls of an app are replayed from cassettes, or made and kept."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_llmops.detect.mask import stand_in_recorded
from pytest_llmops.detect.value_lists import show_address
from pytest_llmops.errors import CassetteError, describe_error
from pytest_llmops.recorder import egress, interception
from pytest_llmops.recorder.call import CallBudget, CallLog, CallRules, ReplySource, count_calls
from pytest_llmops.recorder.cassettes import Cassettes, cassette_path
from pytest_llmops.recorder.egress import Phase
from pytest_llmops.recorder.exchange import MetricCalls, Recording, refuse_elsewhere
from pytest_llmops.recorder.explanation import RunLog
from pytest_llmops.recorder.identity import name_place, rule_of
from pytest_llmops.recorder.limits.gate import Limits
from pytest_llmops.recorder.processes import Place, Watch, name_of
from pytest_llmops.recorder.redaction import Redaction
from pytest_llmops.recorder.threads import carry_context
from pytest_llmops.records import ANCHORS
from pytest_llmops.settings import RecordMode

_UNATTRIBUTED = "a model was called on a thread that knows of no case, while several ran"


@contextmanager
def recording_of(case: str, repeat: int) -> Iterator[CallLog | None]:
    """
    Record or replay the model calls of this context by the recorder that listens in this process.

    For model calls that are not the app's: a judge's are kept in files next to those of the judged case.
    Where no recorder listens, the calls go out as they are, and there is no log of them.

    Raises:
        CassetteError: As `Recorder.recording`.
    """
    if not egress.recorders:
        yield None
        return
    rules = CallRules(live=True) if f"{ANCHORS}::" in case else None  # a replayed judge never moves
    with egress.recorders[-1].recording(case, repeat, shared=False, rules=rules) as log:
        yield log


def replay(url: str, body: Any) -> bytes | None:
    """
    Return the recorded answer of this context's recording to a JSON request, without an HTTP client.

    None where it is not recorded, or nothing records: then the request is to be sent by a client.
    """
    recording = egress.current.get()
    if recording is None:
        return None
    parts = urlsplit(url)
    return recording.replay(parts.hostname or "", parts.port, parts.path, body)


def current_log() -> CallLog | None:
    """Return the log of this context's recording; None outside of one."""
    recording = egress.current.get()
    return None if recording is None else recording.log


def describe_services(services: Mapping[str, bool]) -> Iterator[str]:
    """A sentence on each service of this machine of which a run that may make calls replayed all."""
    for place, was_called in services.items():
        if not was_called:
            yield (
                f"warning: {place} was replayed and never called, so no change of it is noticed; if you "
                f"test that service, write record: {{never: ['{place}']}} in the golden file, and if it "
                f"serves a model that stays the same, record: {{also: ['POST {place}/*']}}"
            )


class Recorder:
    """
    Records and replays the model calls of every case; one for a process, shared by its threads.

    Attributes:
        problems: Answers that could not be kept, and why; the answers themselves reached the app.
        unattributed: How many model calls may have been of any of several cases.
        late: Places to which a case's threads and tasks sent something after it had ended.
        elsewhere: By destination, what else left for another machine and may have been of any of several.
        unwatched: Why connections of cases could not be watched.
        outside: By phase and host, what left for a model or another machine while no case ran.
        metric_calls: The calls of metrics, which belong to no case.
        services: On this machine, without a stamp of their weights, and whether a call of theirs was made.
        limits: Where calls wait for the limits of their providers; None lets each go at once.
        replies: Sees the replies to the app's model calls, and may give others; never those of judges.
        keeps: Whether answers that are made are recorded, and `llmops explain` gets to know of the calls.
    """

    def __init__(
        self,
        *,
        committed: Path,
        local: Path,
        mode: RecordMode,
        redact: Callable[[str], str] = stand_in_recorded,
        budget: CallBudget | None = None,
    ) -> None:
        """
        Take the folders; nothing is read or made yet.

        Args:
            committed: Folder of the cassettes that go into git.
            local: Folder of those of this machine's own models, which cost nothing; never committed.
            redact: Text to text without secrets, for everything that is written.
            budget: Consulted before a call is made, and charged for it.
        """
        self.problems: list[str] = []
        self.unattributed = 0
        self.elsewhere: Counter[str] = Counter()
        self.outside: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.late: Counter[str] = Counter()
        self.unwatched: set[str] = set()
        self.replies: ReplySource | None = None
        self.keeps = True
        self._redaction = Redaction(redact)
        self.metric_calls = MetricCalls(mode=mode, redaction=self._redaction, budget=budget)
        self.limits: Limits | None = None
        self._judge_calls: Counter[str] = Counter()
        self.services: dict[str, bool] = {}
        self._committed, self._local, self._mode, self._budget = committed, local, mode, budget
        self._cassettes = Cassettes(mode=mode, redaction=self._redaction, locks=local)
        self._rules: list[CallRules] = []
        self._lock = threading.Lock()
        self._run_log = RunLog(local.parent / "explain")

    def install(self) -> None:
        """Begin to see model calls; only those inside `recording` are touched. A second call does nothing."""
        if self not in egress.recorders:
            egress.recorders.append(self)
            interception.install()

    def uninstall(self) -> None:
        """Put the HTTP clients back as they were. A second call does nothing."""
        if self in egress.recorders:
            egress.recorders.remove(self)
            interception.uninstall()
        self._run_log.close()

    def limit(self, budget: CallBudget) -> None:
        """From now on, consult this budget before a call is made, those of metrics included."""
        self._budget = self.metric_calls.budget = budget

    def obey(self, limits: Limits) -> None:
        """From now on, have calls wait for the limits of their providers, those of metrics included."""
        self.limits = self.metric_calls.limits = limits

    def describe_other_calls(self) -> list[str]:
        """A sentence each on the calls of judges and of metrics; they are in no output's usage."""
        made, replayed, failed = (self._judge_calls[name] for name in ("made", "replayed", "failed"))
        judges = [f"judges: {count_calls(made, replayed, failed)}"] if made or replayed or failed else []
        return [*judges, *self.metric_calls.describe()]

    def rule_unattributed(self) -> CassetteError | None:
        """Count a call that may belong to any of several cases; the error where it may not be made."""
        with self._lock:
            self.unattributed += 1
        if self._mode == "none":
            return CassetteError(f"{_UNATTRIBUTED}, and --llm-record none makes no calls")
        if self._budget is not None:
            return CassetteError(f"{_UNATTRIBUTED}, and a budget counts each call")
        return None

    def rule_elsewhere(self, host: str) -> CassetteError | None:
        """Note what left for another machine, on a thread that knows of no case; the error under none."""
        with self._lock:
            self.elsewhere[host] += 1
        if self._mode == "none":
            return CassetteError(refuse_elsewhere("several cases ran", host))
        return None

    def _note_late(self, host: str) -> None:
        """Count what a case's threads and tasks send after it has ended."""
        with self._lock:
            self.late[host] += 1

    def importing(self, rules: CallRules) -> AbstractContextManager[None]:
        """Note what leaves this context, in which an app is imported; see `outside`."""
        return self.noting(Phase("while the app was imported", [rules]))

    def ending(self, name: str) -> AbstractContextManager[None]:
        """Note what leaves this context once cases are over, by the rules that they had; see `outside`."""
        return self.noting(Phase(name, self._rules))

    @contextmanager
    def noting(self, phase: Phase) -> Iterator[None]:
        """Note what leaves this context, a phase in which no case runs; see `outside`."""
        watch = Watch()
        self._watched(watch.begin)
        try:
            with egress.outside(phase):
                yield
        finally:
            for address, port in self._watched(watch.end):
                host = name_of(address)
                if not phase.allows(host, port, address):
                    self.rule_outside(phase, name_place(host, port))

    def rule_outside(self, phase: Phase, host: str) -> CassetteError | None:
        """Note what leaves in a phase that belongs to no case; the error where it may not."""
        with self._lock:
            self.outside[phase.name][host] += 1
        show_address(host)
        if self._mode == "none" or self._budget is not None:
            why = "--llm-record none makes no calls" if self._mode == "none" else "a budget counts each call"
            return CassetteError(
                f"{phase.name} something was to be sent to {host}, and {why}; let the app do this when it is "
                f"called, or list it under `record: {{allow: [{rule_of(host)}]}}` of the golden file"
            )
        return None

    @contextmanager
    def recording(
        self, case: str, repeat: int, *, shared: bool = True, rules: CallRules | None = None
    ) -> Iterator[CallLog]:
        """
        Record or replay the model calls of this context, and of those copied from it.

        Args:
            case: The item id, `golden/support.yaml::returns-window`.
            repeat: Counts from 0.
            shared: Calls of threads that know of no case may be its own, where it is the only one open.
            rules: The golden file's rules for the case's calls.

        Raises:
            CassetteError: On entering, when a cassette of the case is broken.
        """
        log = CallLog(case=case, repeat=repeat)
        try:
            local = self._cassettes.open(cassette_path(self._local, case))
            committed = self._cassettes.open(cassette_path(self._committed, case))
        except CassetteError as error:
            log.error = error
            self._explain(log, [])
            raise
        if shared and rules is not None and rules not in self._rules:
            self._rules.append(rules)
        recording = Recording(
            log=log,
            local=local,
            committed=committed,
            mode=self._mode,
            redaction=self._redaction,
            late=self._note_late,
            budget=self._budget,
            rules=rules or CallRules(),
            shared=shared,
            replies=self.replies if shared else None,
            keeps=self.keeps,
            limits=self.limits,
            services=self.services,
        )
        broke = True
        try:
            with interception.attribute_calls(recording, shared=shared), carry_context():
                if shared:
                    self._watched(recording.watch.begin)
                yield log
            broke = False
        finally:
            recording.end()
            for address, port in self._watched(recording.watch.end) if shared else ():
                recording.note_leaving(address, port, name_of(address))
            if not shared:
                with self._lock:
                    self._judge_calls.update(call.outcome for call in log.calls)
            for session in (local, committed):
                if problem := self._cassettes.save(case, session):
                    self._report(problem)
            self._explain(log, recording.lines, broke=broke or log.broke)

    def _watched(self, look: Callable[[], list[Place] | None]) -> list[Place]:
        try:
            return look() or []
        except Exception as error:  # noqa: BLE001 - nothing recorded is lost by it
            self.unwatched.add(describe_error(error))
            return []

    def _explain(self, log: CallLog, lines: list[dict[str, Any]], *, broke: bool = True) -> None:
        if not self.keeps:
            return
        error = str(log.error) if log.error and not lines else None
        entry = {"case": log.case, "repeat": log.repeat, "mode": self._mode, "error": error, "calls": lines}
        entry |= {"broke": True} if broke else {}
        try:
            self._run_log.add(entry)
        except OSError as failure:
            self._report(f"llmops explain will not know this run: {failure}")

    def _report(self, problem: str) -> None:
        with self._lock:
            if problem not in self.problems:
                self.problems.append(problem)
