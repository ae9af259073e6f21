"""
A verb in a separate process; of `llmops run --isolate`, which this one watches and restarts.

What a process finished is in a folder that both know, so that the next one goes on where it ended. A case
that was running at the end of three of them is an error, as under xdist.
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
from pytest_llmops.runner.cases.store import SharedStore
from pytest_llmops.streams import outlive_readers

_PROCESSES = 30
_WIND_DOWN_S = 10
_SHOWN = 500
_LOST = "it was not run, since the app ended every process that it was given"

Run = Callable[[argparse.Namespace, SharedStore, str], int]


def run_verb(arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[int, str]:
    """
    Run a verb in a separate process with further environment variables.

    Returns:
        Its exit code and the last line that it printed, on the error stream if there, fit to be shown.
    """
    program = "import sys; from pytest_llmops.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(  # noqa: S603 - this command again
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return done.returncode, printable(mask(said[-1]) if said else "", _SHOWN)


def run_isolated(given: argparse.Namespace, run: Run) -> int:
    """
    The exit code of the run, whatever becomes of the processes that make it.

    Args:
        run: Makes the run in its process, with what earlier ones finished, or says why no app is run now.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        for _ in range(_PROCESSES):
            process = context.Process(target=_make_run, args=(run, given, folder))
            process.start()
            try:
                process.join()
            except KeyboardInterrupt:  # which the other process was sent too
                process.join(_WIND_DOWN_S)
                process.kill()
                return INTERRUPTED
            with contextlib.suppress(OSError, ValueError):
                return int(_code_file(folder).read_text(encoding="utf-8"))
            print(f"the app ended its process ({process.exitcode}); going on in a new one", file=sys.stderr)  # noqa: T201 - a command talks to its user
        return run(given, _store(folder), _LOST)


def _make_run(run: Run, given: argparse.Namespace, folder: str) -> None:
    """In the other process: only one that came to its end leaves an exit code."""
    given.do = lambda given: run(given, _store(folder), "")
    with outlive_readers():
        code = carry_out(given)
    _code_file(folder).write_text(str(code), encoding="utf-8")


def _store(folder: str) -> SharedStore:
    """Each process is the one worker of its time, so that all cases are its share."""
    return SharedStore(folder=Path(folder), worker=0, workers=1)


def _code_file(folder: str) -> Path:
    return Path(folder) / "exit.code"
