"""The reason why a revision has no baseline: none was accepted yet, or it is where git cannot show it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.printable import printable
from pytest_llmops.reports.files.baseline_file import ACCEPT, parse_baseline
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.revision import Revision

_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingBaseline:
    """
    A comparison with a revision that cannot be made.

    Attributes:
        outcome: `undecided` where a baseline is only about to be, `error` where one should be there.
        reason: A sentence with what to do.
    """

    outcome: Literal["undecided", "error"]
    reason: str


def explain_missing(revision: Revision, accepted: str, *, has_cases: bool) -> MissingBaseline:
    """
    Find out why a revision has no baseline.

    Args:
        accepted: The path of the baseline by the revision's settings, from the project's root.
        has_cases: The revision has golden files.
    """
    ref, path = f"git:{printable(revision.ref)}", printable(accepted)
    missing = f"nothing is compared: no baseline {path} at {ref}"
    if folder := _find_submodule(revision, accepted):
        return MissingBaseline(
            outcome="error",
            reason=f"{missing}: {printable(folder)} is a submodule there, whose files that commit lacks; "
            "keep golden files and baseline in the app's repository, or name a file: --llm-baseline FILE",
        )
    if former := _find_moved(revision, accepted):
        return MissingBaseline(
            outcome="error",
            reason=f"{missing}: it was {printable(former)} there, and this change moved the project; move it "
            "in a change of its own, for which whoever runs the pipeline passes --llm-baseline none",
        )
    if not (revision.root / accepted).is_file():
        if not has_cases:
            return MissingBaseline(
                outcome="undecided",
                reason=f"{missing}, and no golden file: a first golden set is judged by thresholds alone; "
                f"add its baseline to the change: {ACCEPT}",
            )
        return MissingBaseline(
            outcome="error",
            reason=f"{missing}, which has golden files: accept one there and commit it ({ACCEPT}); to "
            "compare with nothing on purpose, pass --llm-baseline none",
        )
    if not run_git(["ls-files", "--", accepted], revision.root):
        return MissingBaseline(
            outcome="undecided" if not has_cases else "error",
            reason=f"{missing}: the file is here and not in git; commit it, and see whether git ignores it",
        )
    return MissingBaseline(
        outcome="undecided",
        reason=f"{missing}: this change brings the first one, and later changes are compared with it; until "
        "then thresholds alone decide. Where undecided fails the build, whoever runs the pipeline passes "
        "--llm-baseline none for this change",
    )


def _find_submodule(revision: Revision, accepted: str) -> str:
    """The folder of a path that is a submodule at the revision; empty where none is."""
    for folder in PurePosixPath(accepted).parents:
        listed = run_git(["ls-tree", revision.commit, "--", folder.as_posix()], revision.root, may_fail=True)
        if folder.name and listed.startswith(_SUBMODULE):
            return folder.as_posix()
    return ""


def _find_moved(revision: Revision, accepted: str) -> str:
    """
    The path, from the repository's top, of a baseline of that name that this change took away elsewhere.

    Another project of the repository keeps its own, so it is none that was moved.
    """
    top = Path(run_git(["rev-parse", "--show-toplevel"], revision.root))
    files = run_git(["ls-tree", "-r", "-z", "--name-only", "--full-tree", revision.commit], revision.root)
    for path in files.split("\0"):
        same = path == accepted or path.endswith(f"/{accepted}")
        if same and not (top / path).exists() and _is_baseline(replace(revision, root=top), path):
            return path
    return ""


def _is_baseline(revision: Revision, path: str) -> bool:
    try:
        parse_baseline(revision.read(path) or b"", path)
    except LLMOpsError:
        return False
    return True
