"""Candidates of the command line, and their runs: read from a file, or made in a separate process."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

from pytest_llmops.cli.isolation import run_verb
from pytest_llmops.cli.typed import read_variable
from pytest_llmops.detect.mask import mask_secrets
from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.errors import GoldenError, LLMOpsError, SettingsError
from pytest_llmops.features.choose.runs import Candidate
from pytest_llmops.features.choose.vetoes import LEAKS
from pytest_llmops.golden.identity import file_of
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.printable import printable
from pytest_llmops.records import Run
from pytest_llmops.reports.files.run_file import load_run
from pytest_llmops.settings import find_root

_SUFFIXES = {".json", ".jsonl"}
_NEXT_VARIABLE = re.compile(r",(?=[A-Za-z_]\w*=)", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_USAGE_ERROR = 4
_MISSED = 1
_BROKEN = 3
_WAYS = "an app, module:function; settings, NAME=value[,NAME=value]; or a run file, run.json"


class CandidateError(LLMOpsError):
    """The run of a candidate was refused before any of its cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """
    A candidate as it was typed: one of three.

    Attributes:
        name: For reports, secrets masked.
        app: `module:function`; None for that of the golden files.
        variables: Of the environment in which the app runs.
        file: A finished run, for which nothing is called.
    """

    name: str
    app: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None


def read_candidates(typed: Sequence[str]) -> list[Typed]:
    """
    Read the candidates of the command line.

    Raises:
        SettingsError: Fewer than two, one that is no candidate, or the same one twice.
    """
    if len(typed) < 2:  # noqa: PLR2004 - a choice is of two
        raise SettingsError(f"name two candidates or more, each {_WAYS}")
    candidates = [_read(text) for text in typed]
    for one, other in combinations(candidates, 2):
        if (one.app, one.variables, one.file) == (other.app, other.variables, other.file):
            raise SettingsError(f"{printable(other.name)} is named twice; take one of them out")
    names = [candidate.name for candidate in candidates]
    return [  # names are equal where only masked secrets differ
        candidate
        if names.count(candidate.name) == 1
        else replace(candidate, name=f"{candidate.name} ({number})")
        for number, candidate in enumerate(candidates, 1)
    ]


def find_run(candidate: Typed, goldens: Sequence[str], flags: Mapping[str, str | None]) -> Candidate:
    """
    Load or make the run of a candidate.

    Args:
        goldens: Files or folders of the cases; none for those of the settings.
        flags: Of `llmops run`; None for one that is not set.

    Raises:
        CandidateError: The run was refused: an app that cannot be found, a golden file with a mistake.
        RunFileError: A run file cannot be read.
    """
    if candidate.file is not None:
        run = load_run(candidate.file)
        return Candidate(name=candidate.name, run=run, own=_find_own_knowledge(run))
    options = {**flags, "app": candidate.app or flags.get("app"), "baseline": "none"}
    arguments = [
        word for name, value in options.items() if value is not None for word in (f"--{name}", value)
    ]
    if numbers.is_installed():
        arguments += ["--also", LEAKS]
    with tempfile.TemporaryDirectory(prefix="llmops-") as folder:
        out = Path(folder) / "run.json"
        code, last = run_verb(["run", *goldens, *arguments, "--out", str(out)], candidate.variables)
        if not out.exists():
            if code == _USAGE_ERROR:
                raise CandidateError(f"{printable(candidate.name)}: {last}")
            return Candidate(
                name=candidate.name,
                run=Run(signature={}, results=()),
                broken=f"its run ended early, with {code}: {last}",
            )
        run = load_run(out)
    silent = code == _BROKEN and not any(result.failures for result in run.results)
    broken = silent or code not in {0, _MISSED, _BROKEN}
    return Candidate(name=candidate.name, run=run, broken=f"its run broke: {last}" if broken else "")


def _find_own_knowledge(run: Run) -> frozenset[str]:
    """Find the golden files of a run that say now that passages are texts of the project."""
    root = find_root(Path.cwd())
    own = set()
    for name in {file_of(result.case) for result in run.results}:
        if (root / name).is_file():
            with suppress(GoldenError):  # one with a mistake says nothing
                if load_golden(root / name, root=root).passages == "own_knowledge":
                    own.add(name)
    return frozenset(own)


def _read(typed: str) -> Typed:
    if "=" not in typed and Path(typed).suffix in _SUFFIXES:
        return Typed(name=typed, file=(Path.cwd() / typed).resolve())
    if typed.startswith("prompts="):
        raise SettingsError(
            "prompts= is no candidate: a golden file names prompts to stamp a run, and the app finds "
            "its own; give the environment variable by which it does, such as SHOP_PROMPTS=prompts/short"
        )
    if "=" in typed:
        variables = [read_variable("a candidate", part) for part in _NEXT_VARIABLE.split(typed)]
        name = ",".join(f"{name}={mask_secrets({name: value})[name]}" for name, value in variables)
        return Typed(name=name, variables=dict(variables))
    if not _ADDRESS.fullmatch(typed):
        raise SettingsError(f"{printable(typed)!r} is no candidate; name {_WAYS}")
    return Typed(name=typed, app=typed)
