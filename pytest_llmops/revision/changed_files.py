"""When a baseline was accepted, by git, and the commits and differences since of files that a run names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import RevisionError
from pytest_llmops.printable import counted
from pytest_llmops.revision.git import run_git

_COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})(\+?)")
_FILES = 10
_COMMITS = 5  # of a file
_LINES = 80  # of a difference
_WIDEST = 400  # characters of a line
_OUTSIDE = " outside the project"
_SHALLOW = "(unknown, since this clone is shallow: fetch its history)"
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--relative")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedFile:
    """
    A file that changed since the baseline.

    Attributes:
        path: From the project's root.
        commits: How many changed it; none where the change is not committed.
        is_edited: It has changes that are not committed, too.
        newest: A line for each of the newest of these: `1a2b3c4d 2026-11-30 subject`.
        difference: The lines that went and came, with two lines around them.
    """

    path: str
    commits: int
    is_edited: bool
    newest: Sequence[str]
    difference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """
    What git knows of the time since a baseline; all texts are masked.

    Attributes:
        accepted: The commit that wrote the baseline: `1a2b3c4d of 2026-11-28`; empty where none is known, and
            the reason in parentheses where its history is not here.
    """

    accepted: str = ""
    files: Sequence[ChangedFile] = ()


def find_since(baseline: Path, paths: Iterable[str], root: Path, *, ran: str, at: str | None = None) -> Since:
    """
    Find the commit that wrote a baseline, and what became of files since then; empty where git does not know.

    Args:
        paths: Files and folders of which a stamp differs, from the root.
        ran: The commit of the run, with a `+` where the working tree differed from it.
        at: The commit at which the baseline was read; by default it is the file that is here.
    """
    status = ["--no-optional-locks", "status", "--porcelain", "--", str(baseline)]
    log = ["log", "-1", "--format=%H %cs %P", at or "HEAD", "--", str(baseline)]
    with suppress(RevisionError):
        if at is None and run_git(status, root):
            return Since()
        commit, day, *parents = f"{run_git(log, root)} ".split(" ")
        # The first commit of a shallow clone seems to have written every file.
        if commit and not any(parents) and run_git(["rev-parse", "--is-shallow-repository"], root) == "true":
            return Since(accepted=_SHALLOW)
        if commit:
            files = tuple(_find_files(commit, [*paths], root, ran))
            return Since(accepted=f"{commit[:8]} of {day}", files=files)
    return Since()


def _find_files(commit: str, paths: Sequence[str], root: Path, ran: str) -> Iterator[ChangedFile]:
    """Yield the files that differ between a commit and the run; none where the run's state is not here."""
    match = _COMMIT.fullmatch(ran)
    if not paths or match is None:
        return
    revision, edited = match.groups()
    paths = [path for path in paths if not path.startswith(("/", "../")) and not path.endswith(_OUTSIDE)]
    with suppress(RevisionError):
        if edited and run_git(["rev-parse", "HEAD"], root) != revision:
            return
        sides = [commit] if edited else [commit, revision]
        named = run_git([*_DIFF, "--name-only", "-z", *sides, "--", *map(_literal, paths)], root)
        head = (
            run_git([*_DIFF, "--name-only", "-z", "HEAD", "--", *map(_literal, paths)], root)
            if edited
            else ""
        )
        for path in sorted(filter(None, named.split("\0")))[:_FILES]:
            log = run_git(
                ["log", "--format=%h %cs %s", f"{commit}..{revision}", "--", _literal(path)], root
            ).split("\n")
            log = [line for line in log if line]
            difference = run_git([*_DIFF, "-U2", *sides, "--", _literal(path)], root)
            if edited and os.environ.get("CI"):
                difference = ""  # a file that CI edits may have values in it that nobody committed
            yield ChangedFile(
                path=mask(path),
                commits=len(log),
                is_edited=path in head.split("\0"),
                newest=[mask(line[:_WIDEST]) for line in log[:_COMMITS]],
                difference=_shorten(difference),
            )


def _literal(path: str) -> str:
    return f":(literal){path}"


def _shorten(difference: str) -> str:
    """Return a difference without its head, masked as one text, since a secret may have several lines."""
    lines = difference.split("\n")
    start = next((at for at, line in enumerate(lines) if line.startswith("@@")), 0)
    text = mask("\n".join(line[:_WIDEST] for line in lines[start : start + _LINES]))
    left = len(lines) - start - _LINES
    return f"{text}\n… {counted(left, 'more line')}" if left > 0 else text
