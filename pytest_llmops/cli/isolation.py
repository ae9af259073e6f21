"""
Verbs in separate processes; the one of `llmops run --isolate` is watched and restarted.

Results are in a folder that all its processes share, so that the next one goes on where the last one ended. A
case that was running at the end of three of them is an error, as under xdist.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pytest_llmops.cli import INTERRUPTED, carry_out
from pytest_llmops.detect.mask import mask
from pytest_llmops.printable import printable
from pytest_llmops.recorder.explanation import name_run
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.streams import outlive_readers

_PROCESSES = 30
_WIND_DOWN_S = 10
_SHOWN = 500
_CODE = "exit.code"
_LOST = "it was not run, since the app ended every process that it was given"

Run = Callable[[argparse.Namespace, SharedStore, str], int]


def run_verb(
    arguments: Sequence[str], variables: Mapping[str, str], folder: Path | None = None
) -> tuple[int, str]:
    """
    Run a verb in a separate process with further environment variables.

    Args:
        folder: The one to run it in; by default this one.

    Returns:
        Its exit code and the last line that it printed, on the error stream if there, fit to be shown.
    """
    program = "import sys; from pytest_llmops.cli import main; sys.exit(main(sys.argv[1:]))"
    name_run()  # so that a case which several of these processes run is of one command
    completed = subprocess.run(  # noqa: S603 - this command again
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    lines = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
    return completed.returncode, printable(mask(lines[-1]) if lines else "", _SHOWN)


def run_isolated(given: argparse.Namespace, run: Run) -> int:
    """
    Return the exit code of the run, whatever becomes of the processes that make it.

    Args:
        run: Makes the run in its process, from the results of earlier ones; with a reason it runs no app.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        # Each process is the one worker of its time, so that all cases are its share.
        store = SharedStore(folder=Path(folder), worker=0, workers=1)
        for _ in range(_PROCESSES):
            process = context.Process(target=_make_run, args=(run, given, store))
            process.start()
            try:
                process.join()
            except KeyboardInterrupt:  # which the other process was sent too
                process.join(_WIND_DOWN_S)
                process.kill()
                return INTERRUPTED
            with contextlib.suppress(OSError, ValueError):
                return int((store.folder / _CODE).read_text(encoding="utf-8"))
            print(f"the app ended its process ({process.exitcode}); going on in a new one", file=sys.stderr)  # noqa: T201 - a command talks to its user
        return run(given, store, _LOST)


def _make_run(run: Run, given: argparse.Namespace, store: SharedStore) -> None:
    """Make the run in the other process; only one that comes to its end leaves an exit code."""
    given.do = lambda given: run(given, store, "")
    with outlive_readers():
        code = carry_out(given)
    (store.folder / _CODE).write_text(str(code), encoding="utf-8")
