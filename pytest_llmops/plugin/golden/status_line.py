"""How far the cases are, on the line below pytest's dots, while an item waits for them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest

from pytest_llmops.evaluation.progress import LOOK_S, pause_after, read_state
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.plugin.golden.items import GoldenItem, captures
from pytest_llmops.recorder.threads import start_outside

# Control sequences of ECMA-48 and, for the cursor, of the VT100, which all terminals have.
_MAKE_ROOM = "\x1bD\x1b[A"  # down, which scrolls on the last line, and up again
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_BELOW = "\x1b[B\r\x1b[K"  # to the empty line below


class StatusLine:
    """
    Shows the state of a run while an item waits, once it has waited for half a second.

    Only where pytest's own reporter writes to a terminal, and what the app prints is captured.
    """

    def __init__(self, evaluation: Evaluation, config: pytest.Config) -> None:
        self._evaluation = evaluation
        self._config = config
        self._terminal = -1

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Take the terminal between two items: within one, pytest captures all that is written to it."""
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        if type(reporter).__module__ != pytest.TerminalReporter.__module__:  # others draw in their own way
            return
        if reporter.isatty and reporter.verbosity >= 0 and captures(self._config):
            with suppress(OSError):
                self._terminal = os.dup(1)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Show it while a golden item waits."""
        if self._terminal < 0 or not isinstance(item, GoldenItem):
            return (yield)
        ended = threading.Event()
        thread = threading.Thread(target=self._show, args=(ended,), name="llmops-status", daemon=True)
        start_outside(thread)
        try:
            return (yield)
        finally:
            ended.set()
            thread.join()

    def pytest_unconfigure(self) -> None:
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def _show(self, ended: threading.Event) -> None:
        width = self._config.get_terminal_writer().fullwidth
        pause_s, is_shown = LOOK_S, False
        with suppress(OSError):  # the terminal is closed
            while not ended.wait(pause_s):
                began = time.perf_counter()
                text = "   ".join(read_state(self._evaluation).words())[: max(0, width - 1)]
                self._write(f"{_MAKE_ROOM}{_SAVE}{_BELOW}{text}{_RESTORE}")
                is_shown = True
                pause_s = pause_after(time.perf_counter() - began)
            if is_shown:
                self._write(f"{_SAVE}{_BELOW}{_RESTORE}")

    def _write(self, text: str) -> None:
        os.write(self._terminal, text.encode())
