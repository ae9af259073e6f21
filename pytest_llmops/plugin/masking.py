"""What pytest itself shows and writes of a session that tests an LLM app: without personal data."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator
from functools import partial

import pytest

from pytest_llmops.detect.mask import mask_shown

_NAME = "llmops-masking"
_HANDLERS = (
    "report_handler",
    "log_cli_handler",
    "log_file_handler",
)  # a test reads its own `caplog` as it is


def mask_reports(config: pytest.Config) -> None:
    """From now on; a second call does nothing. To be called where a session is known to ask an app."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(_Masking(), _NAME)
        _mask_logs(config)


class _Masking:
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        _mask_logs(session.config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """The summary of warnings, which is written where no worker is."""
        said = str(warning_message.message)
        if (masked := mask_shown(said)) != said:
            warning_message.message = masked

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Captured output; of a failed test the values that its report shows, locals among them."""
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
