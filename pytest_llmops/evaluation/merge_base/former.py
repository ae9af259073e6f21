"""
The `git:REF` that a project's settings named at the merge base, and that the change took out of them.

Without it the change would be compared with nothing. A pipeline that wants that passes `--llm-baseline`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pytest_llmops.errors import RevisionError, SettingsError
from pytest_llmops.evaluation.merge_base.reading import SETTING_FILES, read_setting_files
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.revision import Revision, is_revision, open_revision
from pytest_llmops.settings import REVISION

_COMMITS = 20
_FLAG = re.compile(r"(?:\A|\0)--llm-baseline[=\0]([^\0]*)")


def find_former_baseline(root: Path) -> str | None:
    """
    Return the baseline by revision that the merge base's settings name; None where they name none.

    It is looked for in the last commits that touched such a line, as far as the clone has them.
    """
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    with suppress(RevisionError):  # no git, no commit yet: nothing was named before
        for named in _named_before(root):
            with suppress(RevisionError):  # it names a branch that is gone
                if baseline := _read_baseline(open_revision(named, root)):
                    return baseline
    return None


def _named_before(root: Path) -> Iterator[str]:
    """The revisions that settings named before and after each commit that touched a line of `git:`."""
    seen = {""}
    command = ["log", "--format=%H", "--text", "-G", REVISION, f"--max-count={_COMMITS}", "HEAD", "--"]
    for commit in run_git([*command, *SETTING_FILES], root).split():
        for name in (commit, f"{commit}^"):
            with suppress(RevisionError):  # the first commit has no parent
                full = run_git(["rev-parse", "--verify", "--quiet", name], root)
                named = _read_baseline(Revision(ref=name, commit=full, target=full, root=root))
                if named not in seen:
                    seen.add(named)
                    yield named


def _read_baseline(revision: Revision) -> str:
    """The revision that flags or settings name; empty where they name none."""
    with tempfile.TemporaryDirectory(prefix="llmops-") as name:
        revision.export(SETTING_FILES, Path(name))
        with suppress(SettingsError):  # whoever could not read it then compared with nothing
            files = read_setting_files(Path(name))
            flagged = _FLAG.search("\0".join(files.addopts))
            named = flagged[1] if flagged else files.settings.baseline or ""
            return named if is_revision(named) else ""
    return ""
