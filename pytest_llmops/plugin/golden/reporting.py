"""What pytest reports of golden items: our reasons, masked; the end of a session that is to end."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.plugin.distribution import is_worker
from pytest_llmops.plugin.golden.capturing import Router
from pytest_llmops.plugin.golden.items import REFUSED, GoldenItem
from pytest_llmops.plugin.golden.longrepr import as_longrepr, reason_of


class Reporting:
    """Registered together with the golden run whose items it reports."""

    def __init__(self, evaluation: Evaluation, config: pytest.Config) -> None:
        self._evaluation = evaluation
        self._session: pytest.Session | None = None
        self._router = Router.of(config)

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session
        self._router.take_logs(session.config.pluginmanager.getplugin("logging-plugin"))

    @pytest.hookimpl(wrapper=True, trylast=True)  # within pytest's own, which begins to capture
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Here pytest captures, so that its streams can be had before the first case prints."""
        self._route()
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Here it does not: these are the streams between two items."""
        self._route()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._route()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Our reason in place of a traceback of ours."""
        report = yield
        if not isinstance(item, GoldenItem) or not report.failed or not call.excinfo:
            return report
        if reason := reason_of(call.excinfo.value, item):
            one_line = item.config.getoption("tbstyle") == "line"
            report.longrepr = as_longrepr(reason, one_line=one_line, when=call.when)
        return report

    @pytest.hookimpl(tryfirst=True, specname="pytest_runtest_logreport")
    def pytest_end_refused(self, report: pytest.TestReport) -> None:
        """A worker found that nothing can be run: the controller says so once, in place of each item."""
        refused = dict(report.user_properties).get(REFUSED)
        if refused is not None and self._session is not None and not is_worker(self._session.config):
            self._evaluation.refused = str(refused)
            raise pytest.UsageError(self._evaluation.refused)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Under `-x` and `--maxfail` no case begins after the failure that ends the session."""
        if self._session is not None and (self._session.shouldfail or self._session.shouldstop):
            self._evaluation.stop()

    def _route(self) -> None:
        self._router.take_streams()
