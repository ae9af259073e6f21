"""`llmops merge RUN.json…`: one run of all shards. Exit 3 if one is missing, or is of another run."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from pytest_llmops.errors import MergeError, RunFileError
from pytest_llmops.evaluation.baseline import check_out
from pytest_llmops.evaluation.parts import merge
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import Run
from pytest_llmops.reports.files.run_file import load_complete_run, write_run
from pytest_llmops.settings import find_root, load_settings

_BROKEN = 3
_LONGEST = 4_000  # characters of a line of an error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN.json", help="run files: all shards, in any order")
    parser.add_argument("-o", "--out", metavar="RUN.json", required=True, help="write the merged run here")
    parser.set_defaults(do=_merge)


def _merge(given: argparse.Namespace) -> int:
    out = Path.cwd() / given.out
    check_out(replace(load_settings(find_root(Path.cwd())), out=str(out)), ())
    if out.resolve() in {Path(file).resolve() for file in given.runs}:
        return report_broken(f"{given.out}: this is one of the runs, which would be lost; name another file")
    try:
        run = load_merged(given.runs)
        write_run(run, given.out)
    except (MergeError, RunFileError) as error:
        return report_broken(error)
    except OSError as error:
        return report_broken(f"{given.out} could not be written: {error.strerror}")
    cases = run.signature.get("partial") or counted(len(run.results), "case")
    print(f"{printable(given.out)}: {cases}, from {counted(len(run.parts), 'run')}")  # noqa: T201 - a command talks to its user
    return 0


def load_merged(files: list[str]) -> Run:
    """
    Read run files, and merge them if they are several or shards.

    Raises:
        RunFileError: A file cannot be read.
        MergeError: They are no parts of one run.
    """
    return merge([load_complete_run(Path(file)) for file in files], files)


def report_broken(error: object) -> int:
    """Print why nothing came of run files, and return the exit code."""
    print("\n".join(printable(line, _LONGEST) for line in str(error).splitlines()), file=sys.stderr)  # noqa: T201 - as above
    return _BROKEN
