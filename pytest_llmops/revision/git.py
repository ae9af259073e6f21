"""Git as a program, started without a shell; its refusals are reported with a remedy."""

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
    """Run git in this copy from now on, whatever code of the project does to `os.environ`; None ends that."""
    global _pinned  # noqa: PLW0603 - one process has one environment
    _pinned = environment


def run_git(arguments: Sequence[str], root: Path, *, may_fail: bool = False) -> str:
    """
    Return the output of git without the line's end.

    Args:
        arguments: A command that neither writes nor refreshes the index. No word of a user's may start with a
            dash.
        may_fail: An exit status of 1 is an answer too: there is no such thing.

    Raises:
        RevisionError: Git is missing or refuses.
    """
    with start_git(arguments, root, may_fail=may_fail) as process:
        output, _ = process.communicate()
    return "" if process.returncode else os.fsdecode(output).removesuffix("\n")


@contextmanager
def start_git(
    arguments: Sequence[str], root: Path, *, may_fail: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Start git with pipes to and from it, until the block ends.

    Variables such as `GIT_DIR` hold, unless code of the project set them. Replacements (`git replace`) and
    grafts do not: they show other commits.

    Raises:
        RevisionError: It cannot be started, or it failed, or the block raised an EOFError.
    """
    inherited = os.environ if _pinned is None else _pinned
    program = shutil.which("git", path=inherited.get("PATH"))
    if program is None:
        raise RevisionError("a baseline named by git: needs git, which is not installed or not on the PATH")
    # English, by which the remedy is chosen; and no prompt, which would wait forever.
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
        if cut_off or process.returncode > may_fail or process.returncode < 0:
            complaints.seek(0)
            raise RevisionError(_explain(complaints.read().decode("utf-8", "replace"), root))


def _explain(complaint: str, root: Path) -> str:
    if "dubious ownership" in complaint:
        command = _TRUSTING.search(complaint)
        return (
            f"git does not read the repository at {root}, which belongs to another user; if you trust it: "
            f"{printable(command[0]) if command else 'see safe.directory in the manual of git config'}"
        )
    if "not a git repository" in complaint:
        note = " (GIT_DIR is set)" if "GIT_DIR" in os.environ else ""
        return (
            f"{root} lies in no git repository{note}; a baseline named by git: needs a clone with its .git "
            "folder; elsewhere name a baseline file"
        )
    lines = [line for line in complaint.splitlines() if line.strip()]
    return f"git failed in {root}: {printable(lines[0]) if lines else 'it does not say why'}"
