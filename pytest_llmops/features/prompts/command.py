"""
`llmops prompts check|lock|diff [PATH…]`: do the prompts keep the promises of their versions?

Exit 0 good, 1 a rule is broken.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from difflib import unified_diff
from pathlib import Path, PurePosixPath

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.golden import find_golden_files, load_golden
from pytest_llmops.printable import counted, printable
from pytest_llmops.prompts.files import (
    SUFFIXES,
    Prompt,
    find_prompts,
    is_prompt_file,
    normalise,
    path_from_root,
    read_prompt,
)
from pytest_llmops.prompts.lock import PromptFinding, check_prompts, lock_prompts, locked_prompts
from pytest_llmops.settings import find_root, load_settings

_LONGEST_LINE = 10_000  # a paragraph of a prompt is often one line, and its changes must be seen


def read_committed(paths: Iterable[str], root: Path) -> Mapping[str, bytes] | None:
    """
    The committed bytes of every prompt file at the paths, by its path from `root`.

    None without git, a repository or a commit. The working tree and the index are neither read nor changed.
    """
    listed = _git(root, "ls-tree", "-r", "-z", "--name-only", "HEAD", "./")
    if listed is None:
        return None
    chosen = [path_from_root(path, root) for path in paths]
    texts: dict[str, bytes] = {}
    for path in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
        if any(_names(written, path) for written in chosen):
            blob = _git(root, "cat-file", "blob", f"HEAD:./{path}")
            if blob is not None:  # a submodule has none
                texts[path] = blob
    return texts


def _names(chosen: str, path: str) -> bool:
    """True if the chosen path means this file."""
    if path == chosen:
        return True
    inside = PurePosixPath(path)
    return inside.is_relative_to(chosen) and is_prompt_file(inside.relative_to(chosen).as_posix())


def _git(root: Path, *arguments: str) -> bytes | None:
    """The output of git; None where it is missing or fails."""
    try:
        process = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)  # noqa: S603, S607  # the user's own git
    except OSError:
        return None
    return process.stdout if process.returncode == 0 else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="what to do", metavar="check|lock|diff", required=True)
    check = verbs.add_parser("check", help="do the prompts keep the rules of their versions?")
    check.add_argument("--format", choices=("text", "json"), default="text")
    check.set_defaults(do=_check)
    lock = verbs.add_parser("lock", help="write prompts.lock")
    lock.add_argument("--force", action="store_true", help="even where that hides a broken rule")
    lock.set_defaults(do=_lock)
    diff = verbs.add_parser("diff", help="changes since the last commit")
    diff.set_defaults(do=_diff)
    for verb in (check, lock, diff):
        verb.add_argument(
            "paths",
            nargs="*",
            metavar="PATH",
            help="files or folders; default: `prompts:` of the golden files",
        )


def _check(arguments: argparse.Namespace) -> int:
    paths, root = _find_paths(arguments)
    prompts = find_prompts(paths, root)
    locked = locked_prompts(paths, root)
    _refuse_none(paths, prompts or locked)
    findings = check_prompts(locked, prompts)
    red = sum(finding.red for finding in findings)
    if arguments.format == "json":
        shown = [
            {"file": finding.file, "name": finding.name, "what": finding.what, "red": finding.red,
             "reason": finding.reason, "remedy": finding.remedy}
            for finding in findings
        ]  # fmt: skip
        print(json.dumps({"version": 1, "prompts": len(prompts), "red": red, "findings": shown}, indent=2))  # noqa: T201 - a command talks to its user
    else:
        for finding in findings:
            print(_show(finding))  # noqa: T201 - as above
        print(f"{len(prompts):,} checked, {red:,} red")  # noqa: T201 - as above
    return int(red > 0)


def _lock(arguments: argparse.Namespace) -> int:
    paths, root = _find_paths(arguments)
    prompts = find_prompts(paths, root)
    locked = locked_prompts(paths, root)
    _refuse_none(paths, prompts or locked)
    broken = [finding for finding in check_prompts(locked, prompts) if finding.hidden_by_lock]
    for finding in broken:
        print(_show(finding))  # noqa: T201 - a command talks to its user
    if broken and not arguments.force:
        print("nothing was written: a new lock would hide this; --force writes it all the same")  # noqa: T201 - as above
        return 1
    written = lock_prompts(paths, root, prompts)
    for lock in written:
        print(f"{printable(path_from_root(str(lock), root))}: written")  # noqa: T201 - as above
    print(f"{len(prompts):,} locked{'' if written else '; nothing had changed'}")  # noqa: T201 - as above
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    paths, root = _find_paths(arguments)
    now = {prompt.path: prompt for prompt in find_prompts(paths, root)}
    committed = read_committed(paths, root)
    if committed is None:
        print("there is no commit to compare with: hashes and metadata against prompts.lock")  # noqa: T201 - a command talks to its user
        before = {prompt.path: prompt for prompt in locked_prompts(paths, root)}
        texts: dict[str, bytes] = {}
    else:
        before = {path: read_prompt(path, raw) for path, raw in committed.items()}
        texts = dict(committed)
    _refuse_none(paths, (*now.values(), *before.values()))
    changed = [path for path in sorted(before.keys() | now.keys()) if before.get(path) != now.get(path)]
    for path in changed:
        for line in _describe(path, before.get(path), now.get(path)):
            print(line)  # noqa: T201 - as above
        if committed is not None:
            new = (root / path).read_bytes() if path in now else b""
            for line in _diff_lines(texts.get(path, b""), new):
                print(line)  # noqa: T201 - as above

    print(f"{len(changed):,} of {counted(len(before.keys() | now.keys()), 'prompt')} changed")  # noqa: T201 - as above
    return 0


def _describe(path: str, old: Prompt | None, new: Prompt | None) -> Iterator[str]:
    """A line for the prompt, and one for each changed part of its metadata."""
    either = new or old
    if either is None:
        return
    before, after = (prompt.version or "no version" if prompt else "absent" for prompt in (old, new))
    yield f"{printable(path)}: {printable(either.name)} {before} → {after}"
    for part in ("name", "kind", "tools", "output", "sha256"):
        values = [getattr(prompt, part) if prompt else None for prompt in (old, new)]
        if values[0] != values[1]:
            texts = (", ".join(value) if isinstance(value, tuple) else value or "" for value in values)
            before, after = (printable(text) or "none" for text in texts)
            yield f"  {part}: {before} → {after}"


def _diff_lines(old: bytes, new: bytes) -> Iterator[str]:
    before, after = (normalise(raw).decode("utf-8", "backslashreplace").split("\n") for raw in (old, new))
    for line in unified_diff(before, after, "HEAD", "now", lineterm=""):
        yield printable(line, _LONGEST_LINE)


def _find_paths(arguments: argparse.Namespace) -> tuple[list[str], Path]:
    """The paths of the prompts, and the project's root. A typed path starts at the working folder."""
    root = find_root(Path.cwd())
    if arguments.paths:
        return [str(Path.cwd() / path) for path in arguments.paths], root
    settings = load_settings(root)
    goldens = [load_golden(file, root=root) for file in find_golden_files(settings.golden, root)]
    paths = list(dict.fromkeys(path for golden in goldens for path in golden.prompts))
    if not paths:
        named = ", ".join(golden.path for golden in goldens)
        raise LLMOpsError(
            f"{printable(named)}: no prompts are named; write `prompts: [FOLDER]` there, or give a PATH"
        )
    return paths, root


def _refuse_none(paths: list[str], prompts: tuple[Prompt, ...]) -> None:
    if not prompts:
        names = printable(", ".join(paths))
        raise LLMOpsError(f"{names}: holds no prompt file, none that ends in {', '.join(SUFFIXES)}")


def _show(finding: PromptFinding) -> str:
    mark = "red" if finding.red else "to lock"
    return (
        f"{mark}: {printable(finding.file)}: {printable(finding.name)}: {finding.reason}. {finding.remedy}."
    )
