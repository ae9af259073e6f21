"""Git as a program: started without a shell, and what it refuses reported with the remedy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from pytest_llmops.errors import RevisionError
from pytest_llmops.printable import printable

_pinned: Mapping[str, str] | None = None

_TRUSTING = re.compile(r"git config --global --add safe\.directory .+")


def pin_environment(environment: Mapping[str, str] | None) -> None:
    """
    Run git in this environment from now on, whatever code of the project does to `os.environ` later.

    Args:
        environment: A copy; None for that of the process again.
    """
    global _pinned  # noqa: PLW0603 - one process has one environment
    _pinned = environment


def run_git(arguments: Sequence[str], root: Path) -> str:
    """
    What git prints, without the line's end.

    Args:
        arguments: A command that neither writes nor refreshes the index. Nothing in them that came from
            a user may start with a dash.
        root: The folder it runs in.

    Raises:
        RevisionError: Git is missing or refuses.
    """
    with start_git(arguments, root) as process:
        output, _ = process.communicate()
    return os.fsdecode(output).removesuffix("\n")


def find_by_git(arguments: Sequence[str], root: Path) -> str | None:
    """As `run_git`; None where git says by an exit status of 1 that there is no such thing."""
    with start_git(arguments, root, fails=(1,)) as process:
        output, _ = process.communicate()
    return None if process.returncode else os.fsdecode(output).removesuffix("\n")


@contextmanager
def start_git(
    arguments: Sequence[str], root: Path, *, fails: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """
    A running git with pipes to and from it, which ends with the block.

    Variables such as `GIT_DIR` hold as for any git that the user starts, if they were set before code of the
    project could set them. Replacements (`git replace`) and grafts do not: they show other commits.

    Args:
        fails: Exit statuses beside 0 that are an answer.

    Raises:
        RevisionError: It cannot be started, or ended by a failure; in the place of an EOFError from the
            block too.
    """
    inherited = os.environ if _pinned is None else _pinned
    program = shutil.which("git", path=inherited.get("PATH"))
    if program is None:
        raise RevisionError("a baseline named by git: needs git, which is not installed or not on the PATH")
    # In English, since the remedy is chosen by what is said; without a prompt, since nobody would answer.
    environment = {**inherited, "LC_ALL": "C", "LANGUAGE": "", "GIT_TERMINAL_PROMPT": "0"}
    environment |= {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.devnull}
    with TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell; see `run_git` on arguments
                [program, "-c", "core.quotepath=off", "-c", "advice.graftFileDeprecated=false", *arguments],
                cwd=root,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
            )
        except OSError as error:
            raise RevisionError(f"git cannot be started in {root}: {error.strerror}") from None
        cut_off = False
        with process:
            try:
                yield process
            except EOFError:
                cut_off = True
        if cut_off or process.returncode not in {0, *fails}:
            complaints.seek(0)
            raise RevisionError(_explain(complaints.read().decode("utf-8", "replace"), root))


def _explain(said: str, root: Path) -> str:
    if "dubious ownership" in said:
        command = _TRUSTING.search(said)
        return (
            f"git does not read the repository at {root}, which belongs to another user; if you trust it: "
            f"{printable(command[0]) if command else 'see safe.directory in the manual of git config'}"
        )
    if "not a git repository" in said:
        note = " (GIT_DIR is set)" if "GIT_DIR" in os.environ else ""
        return (
            f"{root} lies in no git repository{note}; a baseline named by git: needs a clone with its .git "
            "folder; elsewhere name a baseline file"
        )
    lines = [line for line in said.splitlines() if line.strip()]
    return f"git failed in {root}: {printable(lines[0]) if lines else 'it does not say why'}"
