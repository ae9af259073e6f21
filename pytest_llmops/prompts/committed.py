"""Prompt files as the last commit has them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from pytest_llmops.prompts.files import is_prompt_file, path_from_root


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
