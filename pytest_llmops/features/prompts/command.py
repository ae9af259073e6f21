"""
`llmops prompts check|lock|diff [PATH…]`: do the prompts keep what their versions promise?

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


def read_committed(paths: Iterable[str], root: Path) -> Mapping[str, bytes] | None:
    """
    The committed bytes of every prompt file that the paths name, by its path from `root`.

    None where nothing can be asked: no git, no repository or no commit yet. The working tree and the index
    are neither read nor touched.
    """
    listed = _git(root, "ls-tree", "-r", "-z", "--name-only", "HEAD", "./")
    if listed is None:
        return None
    chosen = [path_from_root(path, root) for path in paths]
    texts: dict[str, bytes] = {}
    for path in filter(None, listed.decode("utf-8", "surrogateescape").split("\0")):
        if any(_names(each, path) for each in chosen):
            blob = _git(root, "cat-file", "blob", f"HEAD:./{path}")
            if blob is not None:  # a submodule has none
                texts[path] = blob
    return texts


def _names(chosen: str, path: str) -> bool:
    """Whether a path that was given stands for this file."""
    if path == chosen:
        return True
    inside = PurePosixPath(path)
    return inside.is_relative_to(chosen) and is_prompt_file(inside.relative_to(chosen).as_posix())


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git prints; None where it is missing or refuses."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)  # noqa: S603, S607  # the user's own git
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


_LONGEST_LINE = 10_000  # a paragraph of a prompt is often one line, and what changed must be seen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    deeds = parser.add_subparsers(title="what to do", metavar="check|lock|diff", required=True)
    check = deeds.add_parser("check", help="do the prompts keep the rules of their versions?")
    check.add_argument("--format", choices=("text", "json"), default="text")
    check.set_defaults(do=_check)
    lock = deeds.add_parser("lock", help="write prompts.lock")
    lock.add_argument("--force", action="store_true", help="even where that hides a broken rule")
    lock.set_defaults(do=_lock)
    diff = deeds.add_parser("diff", help="what changed since the last commit")
    diff.set_defaults(do=_diff)
    for deed in (check, lock, diff):
        deed.add_argument(
            "paths",
            nargs="*",
            metavar="PATH",
            help="files or folders; default: `prompts:` of the golden files",
        )


def _check(given: argparse.Namespace) -> int:
    paths, root = _places(given)
    prompts = find_prompts(paths, root)
    locked = locked_prompts(paths, root)
    _ask_for_any(paths, prompts or locked)
    findings = check_prompts(locked, prompts)
    red = sum(finding.red for finding in findings)
    if given.format == "json":
        shown = [
            {"file": each.file, "name": each.name, "what": each.what, "red": each.red,
             "reason": each.reason, "remedy": each.remedy}
            for each in findings
        ]  # fmt: skip
        print(json.dumps({"version": 1, "prompts": len(prompts), "red": red, "findings": shown}, indent=2))  # noqa: T201 - a command talks to its user
    else:
        for finding in findings:
            print(_line(finding))  # noqa: T201 - as above
        print(f"{len(prompts):,} checked, {red:,} red")  # noqa: T201 - as above
    return int(red > 0)


def _lock(given: argparse.Namespace) -> int:
    paths, root = _places(given)
    prompts = find_prompts(paths, root)
    locked = locked_prompts(paths, root)
    _ask_for_any(paths, prompts or locked)
    broken = [finding for finding in check_prompts(locked, prompts) if finding.hidden_by_lock]
    for finding in broken:
        print(_line(finding))  # noqa: T201 - a command talks to its user
    if broken and not given.force:
        print("nothing was written: a new lock would hide this; --force writes it all the same")  # noqa: T201 - as above
        return 1
    written = lock_prompts(paths, root, prompts)
    for lock in written:
        print(f"{printable(path_from_root(str(lock), root))}: written")  # noqa: T201 - as above
    print(f"{len(prompts):,} locked{'' if written else '; nothing had changed'}")  # noqa: T201 - as above
    return 0


def _diff(given: argparse.Namespace) -> int:
    paths, root = _places(given)
    now = {prompt.path: prompt for prompt in find_prompts(paths, root)}
    committed = read_committed(paths, root)
    if committed is None:
        print("there is no commit to compare with: hashes and metadata against prompts.lock")  # noqa: T201 - a command talks to its user
        before = {prompt.path: prompt for prompt in locked_prompts(paths, root)}
        texts: dict[str, bytes] = {}
    else:
        before = {path: read_prompt(path, raw) for path, raw in committed.items()}
        texts = dict(committed)
    _ask_for_any(paths, (*now.values(), *before.values()))
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
    """The line of the prompt, and one for each part of its metadata that changed."""
    either = new or old
    if either is None:
        return
    versions = [each.version or "no version" if each else "absent" for each in (old, new)]
    yield f"{printable(path)}: {printable(either.name)} {versions[0]} → {versions[1]}"
    for part in ("name", "kind", "tools", "output", "sha256"):
        values = [getattr(each, part) if each else None for each in (old, new)]
        if values[0] != values[1]:
            was, now = (
                printable(", ".join(value) if isinstance(value, tuple) else value or "") for value in values
            )
            yield f"  {part}: {was or 'none'} → {now or 'none'}"


def _diff_lines(old: bytes, new: bytes) -> Iterator[str]:
    before, after = (normalise(raw).decode("utf-8", "backslashreplace").split("\n") for raw in (old, new))
    for line in unified_diff(before, after, "HEAD", "now", lineterm=""):
        yield printable(line, _LONGEST_LINE)


def _places(given: argparse.Namespace) -> tuple[list[str], Path]:
    """The paths to look at, and the project's root. What is typed starts where it is typed."""
    root = find_root(Path.cwd())
    if given.paths:
        return [str(Path.cwd() / path) for path in given.paths], root
    settings = load_settings(root)
    goldens = [load_golden(file, root=root) for file in find_golden_files(settings.golden, root)]
    paths = list(dict.fromkeys(path for golden in goldens for path in golden.prompts))
    if not paths:
        named = ", ".join(golden.path for golden in goldens)
        raise LLMOpsError(
            f"{printable(named)}: no prompts are named; write `prompts: [FOLDER]` there, or give a PATH"
        )
    return paths, root


def _ask_for_any(paths: list[str], prompts: tuple[Prompt, ...]) -> None:
    if not prompts:
        where = printable(", ".join(paths))
        raise LLMOpsError(f"{where}: holds no prompt file, none that ends in {', '.join(SUFFIXES)}")


def _line(finding: PromptFinding) -> str:
    mark = "red" if finding.red else "to lock"
    return (
        f"{mark}: {printable(finding.file)}: {printable(finding.name)}: {finding.reason}. {finding.remedy}."
    )
