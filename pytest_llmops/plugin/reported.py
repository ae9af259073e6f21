"""The outcome of every selected item, warnings, and the masking of personal data in all that pytest shows."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeGuard

import pytest

from pytest_llmops.detect.mask import mask, mask_shown
from pytest_llmops.documents.document import SUFFIXES
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.golden.identity import case_id, cases_by_id
from pytest_llmops.golden.shards import cases_of
from pytest_llmops.records import STATUSES, CaseResult, Golden, Status
from pytest_llmops.runner.cases.tasks import give_up

OUTCOME = "llm_outcome"
_STASH = pytest.StashKey["Reported"]()
_MASKING = "llmops-masking"
_HANDLERS = (
    "report_handler",
    "log_cli_handler",
    "log_file_handler",
)  # a test reads its own `caplog` as it is
_STOPPED = (pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR)
_RENAMED: dict[str, tuple[Status, ...]] = {
    "passed": ("undecided", "known", "failed", "regressed", "error"),  # the latter if a conftest excuses them
    "failed": ("undecided", "regressed", "error"),
    "skipped": ("known",),
}
"""By a report's outcome, the statuses of golden items that pytest would count by another word."""


def is_golden(node_id: str) -> bool:
    return node_id.split("::", 1)[0].endswith(SUFFIXES)


def renamed(report: object) -> Status | None:
    """Return the status of a golden item that pytest would count by another word; None for other reports."""
    if not isinstance(report, pytest.TestReport) or report.when != "call" or not is_golden(report.nodeid):
        return None
    if hasattr(report, "wasxfail") != report.skipped:
        return None
    written = dict(report.user_properties).get(OUTCOME)
    return next((status for status in _RENAMED.get(report.outcome, ()) if status == written), None)


def _is_error(report: object) -> TypeGuard[pytest.TestReport]:
    """Whether a golden item is an error by this report, which pytest counts as one of its setup."""
    return isinstance(report, pytest.TestReport) and report.when == "setup" and is_golden(report.nodeid)


def count_by_verdicts(reporter: pytest.TerminalReporter, further: Iterable[Status]) -> None:
    """
    Have pytest's last line name the verdicts of golden items.

    A reporter with another last line, such as pytest-sugar's, counts in its own words.

    Args:
        further: Statuses that belong to no item.
    """
    if getattr(reporter.summary_stats, "__func__", None) is not pytest.TerminalReporter.summary_stats:
        return
    moved: list[tuple[Status, object]] = [(status, status) for status in further]
    for category in ("passed", "failed", "xfailed"):
        if reports := reporter.stats.get(category):
            moved += [(status, report) for report in reports if (status := renamed(report))]
            # The list stays where it is empty, too: the line is red where something failed.
            reports[:] = [report for report in reports if not renamed(report)]
    errors = reporter.stats.get("error", [])  # an item whose worker died may be run again, and be one again
    later = {report.nodeid: at for at, report in enumerate(errors) if _is_error(report)}
    errors[:] = [
        report for at, report in enumerate(errors) if not _is_error(report) or later[report.nodeid] == at
    ]
    for status, report in moved:
        reporter._add_stats(status, [report])  # noqa: SLF001 - it has the line know the word, and its color


@dataclass(slots=True, eq=False)
class Reported:
    """
    The outcome of every selected item, in the process that talks to the user.

    A worker, or the session, may end before an item was reported. xdist counts such an item nowhere, so this
    list is kept here, and an item without an outcome at the end is an error.

    Attributes:
        selected: Node ids that the session is to run; None until a process has finished its collection.
        statuses: Of the golden items reported so far.
        reasons: Why a golden item is an error, by node id.
        crashed: The items during whose report a worker died.
        lost: The items that were given an error at the end, since no process reported them.
    """

    selected: Sequence[str] | None = None
    statuses: dict[str, Status] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    crashed: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, config: pytest.Config) -> Reported:
        """Return the one of a config."""
        return config.stash.setdefault(_STASH, cls())

    def select(self, node_ids: Iterable[str]) -> None:
        """Take the items that a process collected; workers collect the same, and the first one counts."""
        if self.selected is None:
            self.selected = list(dict.fromkeys(node_ids))

    def is_done(self, node_id: str) -> bool:
        """Return whether the item has an outcome that pytest counts."""
        return node_id in self._done

    def take(self, report: pytest.TestReport) -> None:
        """Count an item; one that is run again, as where a worker died, counts once."""
        properties = dict(report.user_properties)
        if properties.get(OUTCOME) in STATUSES:
            self.statuses[report.nodeid] = properties[OUTCOME]  # type: ignore[assignment]  # it is one of them
        if properties.get(OUTCOME) == "error" and report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.reasons[report.nodeid] = mask(str(getattr(crash, "message", report.longrepr)))
        if report.outcome in {"passed", "failed", "skipped"} and (
            report.when == "call" or (report.when != "teardown" and not report.passed)
        ):
            self._done.add(report.nodeid)

    def complete(
        self, session: pytest.Session, expected: Iterable[str], reason: Callable[[str], str]
    ) -> None:
        """
        Report an error for each selected item without an outcome, unless the session was stopped.

        Args:
            expected: The items to be taken for selected where no process finished its collection.
            reason: Explains why the item of a node id was not reported.
        """
        stopped = session.exitstatus in _STOPPED or session.shouldfail
        if stopped or session.config.getoption("setuponly", default=False):
            return
        selected = self.selected
        if selected is None:
            selected = [] if session.testsfailed else list(expected)
        self.lost = [node_id for node_id in selected if node_id not in self._done]
        for node_id in self.lost:
            for report in _lost_reports(node_id, reason(node_id)):
                session.config.hook.pytest_runtest_logreport(report=report)
        if self.lost and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def make_error(report: pytest.TestReport, reason: str) -> None:
    """Turn the report of a crash into one of a failed setup, which pytest counts as an error."""
    report.when, report.outcome, report.longrepr = "setup", "failed", reason
    if is_golden(report.nodeid):
        report.user_properties = [*report.user_properties, (OUTCOME, "error")]


def _lost_reports(node_id: str, reason: str) -> tuple[pytest.TestReport, pytest.TestReport]:
    """Reports of a setup, which is an error, and of the teardown, at which JUnit files close a test."""
    path, _, name = node_id.partition("::")
    setup, teardown = (
        pytest.TestReport(
            nodeid=node_id,
            location=(path, None, name),
            keywords={},
            outcome="passed",
            longrepr=None,
            when=when,
        )
        for when in ("setup", "teardown")
    )
    make_error(setup, reason)
    return setup, teardown


def list_items(goldens: Sequence[Golden], shard: str | None) -> Iterator[str]:
    """Yield every item of the golden files, or of their shard, selected or not."""
    for golden in goldens:
        yield from (case_id(golden, case) for case in cases_of(golden, shard))
        if shard is None:
            yield from dict.fromkeys(f"{golden.path}::suite[{check.metric}]" for check in golden.suite)


def explain_loss(evaluation: Evaluation, reported: Reported, node_id: str) -> str:
    """Explain why an item has no report, and what to do."""
    if evaluation.store is None:
        return "the session ended before this was run"
    if reported.selected is None:
        return "every worker's process ended while it collected the items; run without -n to see why"
    begun = evaluation.store.read(node_id) is None and evaluation.store.count_tries(node_id)
    if begun or node_id in reported.crashed:
        return "the worker's process ended while this was being run; run it alone to see why"
    return "no worker was left to run this, since their processes ended; run without -n to see why"


def complete_results(
    evaluation: Evaluation, reported: Reported, goldens: Sequence[Golden]
) -> dict[str, CaseResult]:
    """Return all results; a case that is an error without one, or was lost, gets the reason as its result."""
    results = dict(evaluation.results())
    cases = cases_by_id(*goldens)
    for node_id, reason in reported.reasons.items():
        if node_id in cases and (node_id not in results or node_id in reported.lost):
            results[node_id] = give_up(node_id, cases[node_id], reason, results.get(node_id))
    return results


def mask_reports(config: pytest.Config) -> None:
    """Mask personal data in all that pytest shows and writes, from the first call of an app on."""
    if not config.pluginmanager.has_plugin(_MASKING):
        config.pluginmanager.register(_Masking(), _MASKING)
        _mask_logs(config)


class _Masking:
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        _mask_logs(session.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Mask the summary of warnings, which is written where no worker is."""
        text = str(warning_message.message)
        if (masked := mask_shown(text)) != text:
            warning_message.message = masked

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Mask captured output, and the values that the report of a failed test shows, locals among them."""
        report = yield
        report.sections = [(name, mask_shown(text)) for name, text in report.sections]
        if report.failed and (masked := mask_shown(shown := str(report.longrepr))) != shown:
            report.longrepr = masked
        return report


def _mask_logs(config: pytest.Config) -> None:
    plugin = config.pluginmanager.getplugin("logging-plugin")  # not there yet while plugins are configured
    for name in _HANDLERS:
        handler = getattr(plugin, name, None)
        if isinstance(handler, logging.Handler) and not isinstance(handler.format, partial):
            handler.format = partial(_format, handler.format)  # type: ignore[method-assign]


def _format(own: Callable[[logging.LogRecord], str], record: logging.LogRecord) -> str:
    return mask_shown(own(record))


class GoldenWarning(pytest.PytestWarning):
    """An undecided verdict, a known failure that the settings let pass, an uncalibrated bound."""


def warn_of_doubts(config: pytest.Config, evaluation: Evaluation) -> None:
    """
    Warn of uncalibrated bounds and of drops that no check would find, once a file.

    Raises:
        UsageError: The project makes errors of warnings.
    """
    if hasattr(config, "workerinput"):  # the controller of a worker warns
        return
    for doubt in evaluation.source.doubts():
        try:
            config.issue_config_time_warning(GoldenWarning(doubt), stacklevel=2)
        except GoldenWarning:
            raise pytest.UsageError(doubt) from None
