"""The time, commit, branch and CI job of a run, for people."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from pytest_llmops.errors import RevisionError
from pytest_llmops.revision.git import run_git

_BRANCH = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME")
_JOB = ("GITHUB_JOB", "CI_JOB_NAME")
_DETACHED = "HEAD"


def describe_environment(root: Path) -> dict[str, str]:
    """
    Return what is known of `ended` (ISO 8601, UTC), `revision`, `branch`, `job` and `url`.

    A revision with changes that are not committed ends in `+`.

    The branch, job and URL are those that GitHub Actions and GitLab CI name, whose checkout is often of no
    branch.
    """
    revision, branch = _read_checkout(root)
    known = {
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision,
        "branch": _first(_BRANCH) or branch,
        "job": _first(_JOB),
        "url": _find_url(),
    }
    return {name: value for name, value in known.items() if value}


def _read_checkout(root: Path) -> tuple[str, str]:
    """Return the commit and its branch; empty outside of git."""
    try:
        revision, _, branch = run_git(["rev-parse", "HEAD", "--abbrev-ref", "HEAD"], root).partition("\n")
        changed = run_git(["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"], root)
    except RevisionError:
        return "", ""
    return revision + ("+" if changed else ""), "" if branch == _DETACHED else branch


def _find_url() -> str:
    host, repository, run = (
        os.environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
    )
    if host and repository and run:
        return f"{host}/{repository}/actions/runs/{run}"
    return os.environ.get("CI_JOB_URL", "")


def _first(names: tuple[str, ...]) -> str:
    return next(filter(None, (os.environ.get(name) for name in names)), "")
