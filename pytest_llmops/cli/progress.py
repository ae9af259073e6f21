"""How far a run is: a table on a terminal, which is gone at the end, else a line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from pytest_llmops.evaluation.progress import LOOK_S, pause_after, read_state
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.recorder.threads import start_outside

_LINE_S = 30.0


@contextmanager
def show_progress(
    evaluation: Evaluation, stream: TextIO | None = None, line_s: float = _LINE_S
) -> Iterator[None]:
    """
    Show how far a run is until the block ends, on the error stream.

    Args:
        line_s: Seconds between lines where it is no terminal.
    """
    stream = stream or sys.stderr
    ended = threading.Event()
    show = _show_table if stream.isatty() else _show_lines
    thread = threading.Thread(
        target=show, args=(evaluation, stream, ended, line_s), name="llmops-progress", daemon=True
    )
    start_outside(thread)
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _show_table(evaluation: Evaluation, stream: TextIO, ended: threading.Event, _: float) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    live = Live(
        console=Console(file=stream),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    pause_s = LOOK_S
    with suppress(OSError, ValueError), live:  # the terminal is closed
        while not ended.wait(pause_s):
            began = time.perf_counter()
            table = Table.grid(padding=(0, 3))
            table.add_row(*read_state(evaluation).words())
            live.update(table, refresh=True)
            pause_s = pause_after(time.perf_counter() - began)


def _show_lines(evaluation: Evaluation, stream: TextIO, ended: threading.Event, line_s: float) -> None:
    while not ended.wait(line_s):
        with suppress(OSError, ValueError):  # the reader is gone
            print(", ".join(read_state(evaluation).words()), file=stream, flush=True)
