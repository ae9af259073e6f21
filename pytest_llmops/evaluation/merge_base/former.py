"""
The `git:REF` that a project's settings named where a change began, and that the change took out of them.

Without it nothing would be compared with anything, and nobody would be the wiser. On the command line the
pipeline says itself what it wants.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pytest_llmops.errors import RevisionError, SettingsError
from pytest_llmops.evaluation.merge_base.reading import SETTING_FILES, read_setting_files
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.revision import Revision, is_revision, open_revision
from pytest_llmops.settings import REVISION

_COMMITS = 20
_FLAG = "--llm-baseline"


def find_former_baseline(root: Path) -> str | None:
    """
    The baseline by revision that the merge base's settings name; None where they name none.

    Looked for in the last commits that touched such a line, as far as the clone knows them.
    """
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    seen = set()
    with suppress(RevisionError):  # no git, no commit yet: nothing was named before
        for commit in _touching_commits(root):
            for parent in (commit, f"{commit}^"):
                named = _named_at(parent, root)
                if named is None or named in seen:
                    continue
                seen.add(named)
                with suppress(RevisionError):  # it names a branch that is gone
                    began = open_revision(named, root)
                    if (found := _read_baseline(began)) is not None:
                        return found
    return None


def _touching_commits(root: Path) -> list[str]:
    """The last commits that put in or took out a line with `git:`, newest first."""
    command = ["log", "--format=%H", "--text", "-G", REVISION, f"--max-count={_COMMITS}", "HEAD", "--"]
    return run_git([*command, *SETTING_FILES], root).split()


def _named_at(commit: str, root: Path) -> str | None:
    with suppress(RevisionError):  # the first commit has no parent
        full = run_git(["rev-parse", "--verify", "--quiet", commit], root)
        return _read_baseline(Revision(ref=commit, commit=full, target=full, root=root))
    return None


def _read_baseline(revision: Revision) -> str | None:
    """What settings or flags name, where it is a revision."""
    with tempfile.TemporaryDirectory(prefix="llmops-") as name:
        folder = Path(name)
        revision.export(SETTING_FILES, folder)
        with suppress(SettingsError):  # whoever could not read it then compared with nothing
            files = read_setting_files(folder)
            found = _flag(files.addopts) or files.settings.baseline
            return found if is_revision(found or "") else None
    return None


def _flag(flags: Sequence[str]) -> str | None:
    for at, flag in enumerate(flags):
        if flag.startswith(f"{_FLAG}="):
            return flag.removeprefix(f"{_FLAG}=")
        if flag == _FLAG and at + 1 < len(flags):
            return flags[at + 1]
    return None
