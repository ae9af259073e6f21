"""How far the cases are, on the line below pytest's dots, while an item waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from pytest_llmops.evaluation.progress import LOOK_S, pause_after, read_state
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.recorder.threads import start_outside

# Control sequences of ECMA-48 and, for the cursor, of the VT100, which all terminals have.
_MAKE_ROOM = "\x1bD\x1b[A"  # down, which scrolls on the last line, and up again
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_BELOW = "\x1b[B\r\x1b[K"  # to the empty line below


@contextmanager
def show_waiting(config: pytest.Config, evaluation: Evaluation) -> Iterator[None]:
    """
    Show how far the run is while the block waits; nothing before it has waited for half a second.

    Only where pytest's own reporter writes to a terminal and captures what the app prints.
    """
    reporter: Any = config.pluginmanager.getplugin("terminalreporter")
    if not _is_shown(config, reporter):
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(
        target=_show, args=(reporter, evaluation, ended), name="llmops-status", daemon=True
    )
    start_outside(thread)
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _is_shown(config: pytest.Config, reporter: Any) -> bool:
    own = type(reporter).__module__ == pytest.TerminalReporter.__module__  # others draw in their own way
    captured = config.getoption("capture", "no") in {"fd", "sys"}
    return own and captured and bool(reporter.isatty) and reporter.verbosity >= 0


def _show(reporter: Any, evaluation: Evaluation, ended: threading.Event) -> None:
    width = reporter.config.get_terminal_writer().fullwidth
    pause_s, is_shown = LOOK_S, False
    with suppress(OSError, ValueError):  # the terminal is closed
        while not ended.wait(pause_s):
            began = time.perf_counter()
            words = "   ".join(read_state(evaluation).words())
            text = words[: max(0, width - 1)]
            reporter.write_raw(f"{_MAKE_ROOM}{_SAVE}{_BELOW}{text}{_RESTORE}", flush=True)
            is_shown = True
            pause_s = pause_after(time.perf_counter() - began)
        if is_shown:
            reporter.write_raw(f"{_SAVE}{_BELOW}{_RESTORE}", flush=True)
