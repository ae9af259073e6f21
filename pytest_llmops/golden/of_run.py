"""The golden files behind a run or a baseline that was given as a file."""

from __future__ import annotations

from pathlib import Path

from pytest_llmops.errors import GoldenError
from pytest_llmops.golden import load_golden
from pytest_llmops.records import Golden, Run


def load_goldens_of(run: Run, root: Path) -> tuple[list[Golden], list[GoldenError]]:
    """Those that its cases name and that can be loaded, by path; and an error for each other one."""
    goldens: list[Golden] = []
    errors: list[GoldenError] = []
    for path in sorted({result.case.rpartition("::")[0] for result in run.results} - {""}):
        try:
            goldens.append(load_golden(path, root=root, stamps=False))
        except GoldenError as error:
            errors.append(error)
    return goldens, errors
