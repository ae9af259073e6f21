"""The reason why a revision has no baseline: none was accepted yet, or it is where git cannot show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_llmops.gates.baseline import ACCEPT
from pytest_llmops.printable import printable
from pytest_llmops.revision.git import run_git
from pytest_llmops.revision.revision import Revision


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
