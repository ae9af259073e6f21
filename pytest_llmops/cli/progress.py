"""How far a run is: a table on a terminal, which is gone at the end, else a line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TextIO

from pytest_llmops.printable import counted, printable
from pytest_llmops.recorder.threads import start_outside
from pytest_llmops.runner.usage import sum_outputs

if TYPE_CHECKING:
    from rich.table import Table

    from pytest_llmops.evaluation.run import Evaluation

_LOOK_S, _LINE_S = 0.5, 30.0
_LEAST_PAUSES = 50  # as long as one look takes


class State(NamedTuple):
    """
    Numbers of a run under way.

    Attributes:
        left_s: Seconds until the last case has a result, if all take as long as those by now; None before.
        waiting: How many calls wait for limits of a host.
    """

    done: int
    cases: int
    calls: int
    cost_usd: float | None
    left_s: float | None
    waiting: Mapping[str, int]

    def words(self) -> list[str]:
        """Return the cells of the table."""
        left = "" if self.left_s is None else f"about {_duration(self.left_s)} left"
        cost = "" if self.cost_usd is None or not self.calls else f"${self.cost_usd:.2f}"
        cells = [
            f"{self.done:,} of {counted(self.cases, 'case')}",
            counted(self.calls, "model call"),
            cost,
            *(
                f"{counted(calls, 'call')} waiting for {printable(host)}"
                for host, calls in self.waiting.items()
            ),
            left,
        ]
        return [cell for cell in cells if cell]


def read_state(evaluation: Evaluation) -> State:
    """Return the numbers of a run as of now."""
    results = evaluation.results()
    cases = sum(map(len, list(evaluation.tasks.values())))
    usage = sum_outputs(results.values())
    passed_s = time.monotonic() - evaluation.started_s
    is_known = results and len(results) < cases  # of further repeats nobody knows how many there will be
    left_s = passed_s / len(results) * (cases - len(results)) if is_known else None
    return State(len(results), cases, usage.calls or 0, usage.cost_usd, left_s, evaluation.waiting())


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

    live = Live(
        console=Console(file=stream),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    pause_s = _LOOK_S
    with suppress(OSError, ValueError), live:  # the terminal is closed
        while not ended.wait(pause_s):
            began = time.perf_counter()
            live.update(_table(read_state(evaluation)), refresh=True)
            pause_s = max(_LOOK_S, _LEAST_PAUSES * (time.perf_counter() - began))


def _table(state: State) -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 3))
    table.add_row(*state.words())
    return table


def _show_lines(evaluation: Evaluation, stream: TextIO, ended: threading.Event, line_s: float) -> None:
    while not ended.wait(line_s):
        with suppress(OSError, ValueError):  # the reader is gone
            print(", ".join(read_state(evaluation).words()), file=stream, flush=True)


def _duration(seconds: float) -> str:
    if seconds < 90:  # noqa: PLR2004 - a minute and a half
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"
