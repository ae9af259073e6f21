"""
The project's files as they were at a git revision, read without touching the working tree or the index.

`git cat-file` gives objects as they were committed: no checkout, filter or hook runs, and no `.gitattributes`
leaves a file out, as it can with `git archive`. A link is followed within the revision, and so is a submodule
that is checked out. One that leads out of the repository is an error, since leaving its file out could hide
what a change loosened.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from pytest_llmops.errors import RevisionError, hint
from pytest_llmops.printable import printable
from pytest_llmops.revision.git import run_git, start_git
from pytest_llmops.settings import REVISION

_PLACES = ("refs/remotes/{}", "refs/heads/{}", "refs/tags/{}", "refs/{}", "refs/remotes/{}/HEAD")
_NO_NAMES = {"", "@", "HEAD", "FETCH_HEAD", "ORIG_HEAD", "MERGE_HEAD"}
_NAME_AND_REST = re.compile(r"(.*?)((?:[~^:]|@\{).*)?", re.DOTALL)
_WHOLE_HASH, _SHORT_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}"), re.compile("[0-9a-f]{4,63}")

_LINK, _SUBMODULE = "120000", "160000"
_RAW, _PLAIN = 5, {"100644", "100755", "000000"}  # of a line of `git log --raw`: its words, modes of files
_REFS = 5_000  # among which the near miss is looked for
_DEPTH = "with actions/checkout set fetch-depth: 0"
_NOT_CHECKED_OUT = (
    "is a submodule, and the clone lacks what it was then; run: git submodule update --init, with "
    "actions/checkout set submodules: recursive"
)
_LOST = "is missing from the clone; fetch it again, or look with: git fsck"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """
    A commit, seen from a project's folder.

    Attributes:
        ref: As the user named it, `origin/main`.
        commit: The merge base of it and HEAD, in full.
        target: The commit that `ref` names now.
        root: The project's folder, which may be below the top of the repository.
        folder: From the top, with a slash at its end, where the project was then; None where it is now.
        merged: Files that the change has got from `ref` since, by another way than a merge: path from the top
            to the newest blob of `ref` that the change had; None where it was deleted.
    """

    ref: str
    commit: str
    target: str
    root: Path
    folder: str | None = None
    merged: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def top(self) -> Path:
        """The top folder of the repository's working tree."""
        return Path(run_git(["rev-parse", "--show-toplevel"], self.root))

    def read(self, path: str) -> bytes | None:
        """
        Return the content of a file; None where there was none, or a folder.

        Args:
            path: From the project's root, with forward slashes.

        Raises:
            RevisionError: The path or a link leads out, or git cannot read the object.
        """
        return self.read_all([path])[path]

    def read_all(self, paths: Iterable[str]) -> dict[str, bytes | None]:
        """Return the content of several files, as `read` does."""
        contents = {}
        with _open_tree(self) as tree:
            for path in paths:
                entry = tree.find(_inside(path, self))
                contents[path] = entry.content if entry and entry.kind == "blob" else None
        return contents

    def read_anywhere(self, file: Path) -> bytes | None:
        """Return the content of a file by its path on disk; one outside of the repository as it is now."""
        if file.is_relative_to(self.root):
            return self.read(file.relative_to(self.root).as_posix())
        if file.is_relative_to(top := self.top):
            return replace(self, root=top, folder=None).read(file.relative_to(top).as_posix())
        return file.read_bytes() if file.is_file() else None

    def list_names(self) -> list[str]:
        """Return the paths of all files of the commit, from the top."""
        command = ["ls-tree", "-r", "-z", "--name-only", "--full-tree", self.commit]
        return run_git(command, self.root).split("\0")

    def export(self, paths: Iterable[str], folder: Path) -> None:
        """
        Write the files, and everything below the folders, under the same relative paths.

        Links become the files that they lead to. Submodules are left out, and so are links to folders
        within an exported folder, which may lead round in circles.

        Args:
            paths: From the project's root, with forward slashes. `.` is all of it. They need not exist.
            folder: One that holds none of these files yet.

        Raises:
            RevisionError: A path or a link leads out, git cannot read an object, or a name in the commit
                cannot be written below the folder.
        """
        written = set()
        with _open_tree(self) as tree:
            for path in paths:
                for name, content in tree.files(_inside(path, self)):
                    if name not in written:
                        _write(folder, name, content, self)
                        written.add(name)


def is_revision(text: str) -> bool:
    """Return whether a baseline is named by a revision and not as a file."""
    return text.startswith(REVISION)


def open_revision(text: str, root: Path) -> Revision:
    """
    Find the merge base of HEAD and the commit of `git:REF`, where this change began.

    On a branch that REF holds already that is HEAD itself.

    Args:
        text: `git:` and anything that git takes for a commit: a branch, a tag, a hash.

    Raises:
        RevisionError: Git, the repository, the commit or a common ancestor is missing.
    """
    ref = text.removeprefix(REVISION)
    if not ref.strip() or ref.startswith("-") or not ref.isprintable():
        raise RevisionError(
            f"{printable(text)} names no revision; write a branch, tag or commit, git:origin/main"
        )
    run_git(["rev-parse", "--git-dir"], root)
    head, commit = _resolve("HEAD", root), _resolve(_qualified(ref, root), root)
    if not head:
        raise RevisionError(f"{text}: the repository at {root} has no commit yet; commit first")
    if not commit:
        raise RevisionError(
            f"{text}: the repository at {root} has no such revision.{_near_miss(ref, root)} A branch of a "
            f"remote must be fetched first: git fetch origin; {_DEPTH}"
        )
    base = run_git(["merge-base", commit, head], root, may_fail=True)
    if not base:
        why = "they share no history; name a revision that this branch came from"
        if run_git(["rev-parse", "--is-shallow-repository"], root) == "true":
            why = f"the clone is shallow and lacks it; {_DEPTH}, elsewhere run: git fetch --unshallow"
        raise RevisionError(f"{text}: HEAD and {ref} have no common ancestor: {why}")
    merged = _find_merged(base, commit, head, root) if base != commit else {}
    return Revision(ref=ref, commit=base, target=commit, root=root, merged=merged)


def _find_merged(base: str, target: str, head: str, root: Path) -> dict[str, str | None]:
    """
    Files of which the change once had a later version of the target than that of the merge base.

    That is so after the branch below was squashed, or commits were picked: git then names a merge base from
    which the change looks as if it had done all that itself.
    """
    had = defaultdict[str, set[str]](set)
    for path, blob in _list_versions(f"{base}..{head}", root):
        had[path].add(blob)
    merged: dict[str, str | None] = {}
    if had:
        for path, blob in _list_versions(f"{base}..{target}", root, "--first-parent"):
            if blob in had.get(path, ()) and path not in merged:
                merged[path] = blob if blob.strip("0") else None
    return merged


def _list_versions(commits: str, root: Path, *options: str) -> Iterator[tuple[str, str]]:
    """Yield path and blob of each file that a commit changed, the newest first; links are left out."""
    command = [
        "log",
        "-m",
        *options,
        "--format=",
        "--raw",
        "-z",
        "--no-abbrev",
        "--no-renames",
        commits,
        "--",
    ]
    parts = iter(run_git(command, root).lstrip("\0").split("\0"))
    for about in parts:
        words = about.split(" ")
        if len(words) >= _RAW and (path := next(parts, "")) and words[1] in _PLAIN:
            yield path, words[3]


def _qualified(ref: str, root: Path) -> str:
    """
    The name in full, that of a remote's branch first: git prefers a tag, which may be anybody's to push.

    Raises:
        RevisionError: Several are so named, and they are different commits.
    """
    name, rest = _NAME_AND_REST.fullmatch(ref).groups()  # type: ignore[union-attr]  # it matches any text
    if name in _NO_NAMES or name.startswith("refs/") or _WHOLE_HASH.fullmatch(name):
        return ref
    places = (place.format(name) for place in _PLACES)
    meanings = {place: commit for place in places if (commit := _resolve(place, root))}
    if meanings and _SHORT_HASH.fullmatch(name):
        objects = run_git(["rev-parse", f"--disambiguate={name}"], root).splitlines()
        meanings |= {f"the object {hash_}": hash_ for hash_ in objects}
    if len(set(meanings.values())) > 1:
        raise RevisionError(
            f"{REVISION}{ref} is ambiguous: {' and '.join(meanings)} are different commits; write one of "
            f"them in full, {REVISION}{next(iter(meanings))}{rest or ''}"
        )
    return f"{next(iter(meanings))}{rest or ''}" if meanings else ref


def _resolve(ref: str, root: Path) -> str:
    """The commit that git takes the words for; empty for none, and for `^main`, which is all but a commit."""
    commit = run_git(["rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"], root, may_fail=True)
    return "" if commit.startswith("^") else commit


def _near_miss(ref: str, root: Path) -> str:
    names = run_git(["for-each-ref", f"--count={_REFS}", "--format=%(refname:short)"], root).splitlines()
    of_a_remote = [name for name in names if name.endswith(f"/{ref}")]
    return f" Did you mean {of_a_remote[0]!r}?" if of_a_remote else hint(ref, names)


class _Object(NamedTuple):
    """An answer of git: a `blob`, a `tree`, or the word for why there is neither."""

    kind: str
    id: str = ""
    content: bytes = b""


class _Tree:
    """A conversation with one `git cat-file`: a question a line, an object an answer."""

    def __init__(self, revision: Revision, process: subprocess.Popen[bytes], stack: ExitStack) -> None:
        self._revision = revision
        self._process = process
        self._stack = stack
        self._links: dict[str, str] = {}
        self._names: set[str] | None = None
        self._submodules: dict[str, _Tree | None] = {}
        folder = revision.folder
        self._prefix = run_git(["rev-parse", "--show-prefix"], revision.root) if folder is None else folder

    def find(self, path: str) -> _Object | None:
        """The object at a path, through links; None where there is none."""
        return self._find(f"{self._prefix}{path}".removesuffix("/"), path)

    def _find(self, from_top: str, path: str) -> _Object | None:
        if from_top in self._revision.merged:
            blob = self._revision.merged[from_top]
            return self._request(blob) if blob else None
        entry = self._request(f"{self._revision.commit}:{from_top}")
        if entry.kind == "symlink":
            raise self._broken(path, "is a link out of the repository, so what it held is not known")
        if entry.kind not in {"blob", "tree"} and (found := self._enter(from_top)):
            tree, rest = found
            return tree.find(rest)
        if entry.kind == "missing" and from_top in self._entries():
            raise self._broken(path, _LOST)
        return entry if entry.kind in {"blob", "tree"} else None

    def files(self, path: str) -> Iterator[tuple[str, bytes]]:
        """The files at and below a path, with their content."""
        from_top = f"{self._prefix}{path}".removesuffix("/")
        if found := self._enter(from_top):
            tree, rest = found
            for name, content in tree.files(rest):
                yield f"{path}{name.removeprefix(rest)}" if rest else f"{path}/{name}", content
            return
        entry = self.find(path)
        if entry and entry.kind == "blob":
            yield path, entry.content
            return
        below = f"{from_top}/" if from_top else ""
        later = {name for name in self._revision.merged if name.startswith(below)}
        for mode, id_, name in self._list("-r", entry.id) if entry else ():
            later.discard(f"{below}{name}")
            yield from self._read_entry(mode, id_, f"{path}/{name}" if path else name)
        for name in sorted(later):
            yield from self._read_entry(_LINK, "", name.removeprefix(self._prefix))

    def _read_entry(self, mode: str, id_: str, name: str) -> Iterator[tuple[str, bytes]]:
        if mode == _SUBMODULE:
            yield from self.files(name)
            return
        if mode == _LINK and "\n" in name:  # which a question cannot hold
            return
        is_plain = mode != _LINK and f"{self._prefix}{name}" not in self._revision.merged
        file = self._request(id_) if is_plain else self.find(name)
        if file and file.kind == "missing":
            raise self._broken(name, _LOST)
        if file and file.kind == "blob":
            yield name, file.content

    def _enter(self, from_top: str) -> tuple[_Tree, str] | None:
        """The tree of the submodule that a path is in, and the rest of the path; None where it is in none."""
        self._entries()
        for place, commit in self._links.items():
            if from_top == place or from_top.startswith(f"{place}/"):
                if place not in self._submodules:
                    self._submodules[place] = self._open_submodule(place, commit)
                tree = self._submodules[place]
                return (tree, from_top.removeprefix(place).removeprefix("/")) if tree else None
        return None

    def _open_submodule(self, place: str, commit: str) -> _Tree | None:
        """The tree of a submodule; None where neither side has checked it out, and nothing in it is run."""
        revision = self._revision
        folder = revision.top / place
        if (folder / ".git").exists():
            inner = Revision(ref=revision.ref, commit=commit, target=commit, root=folder, folder="")
            with suppress(RevisionError):
                run_git(["cat-file", "-e", f"{commit}^{{commit}}"], folder)
                return self._stack.enter_context(_open_tree(inner))
        elif any(id_ == commit for _, id_, path in self._list("HEAD", "--", place) if path == place):
            return None
        raise self._broken(place, _NOT_CHECKED_OUT)

    def _entries(self) -> set[str]:
        """All files and folders of the commit but submodules, which are noted by the way."""
        if self._names is None:
            self._names = set()
            for mode, id_, path in self._list("-r", "-t", self._revision.commit):
                if mode == _SUBMODULE:
                    self._links[path] = id_
                else:
                    self._names.add(path)
        return self._names

    def _list(self, *arguments: str) -> Iterator[tuple[str, str, str]]:
        """Mode, id and path of each entry of a tree."""
        command = ["--literal-pathspecs", "ls-tree", "-z", "--full-tree", *arguments]
        for entry in filter(None, run_git(command, self._revision.root).split("\0")):
            about, _, path = entry.partition("\t")
            mode, _, id_ = about.split(" ")
            yield mode, id_, path

    def _request(self, name: str) -> _Object:
        question, answer = self._process.stdin, self._process.stdout
        if question is None or answer is None:
            raise RuntimeError("git cat-file was started without pipes")
        with suppress(BrokenPipeError):  # it has ended, and so has its answer
            question.write(os.fsencode(name) + b"\n")
            question.flush()
        *words, last = os.fsdecode(answer.readline()).rstrip("\n").rsplit(" ", 2)
        if not last:
            raise EOFError
        if not last.isdecimal():
            return _Object(last)
        content = answer.read(int(last))
        answer.read(1)
        return _Object(words[-1], words[0], content)

    def _broken(self, path: str, why: str) -> RevisionError:
        revision = self._revision
        return RevisionError(f"git:{revision.ref}: {printable(path)} at {revision.commit[:12]} {why}")


@contextmanager
def _open_tree(revision: Revision) -> Iterator[_Tree]:
    with (
        start_git(["cat-file", "--batch", "--follow-symlinks"], revision.root) as process,
        ExitStack() as stack,
    ):
        yield _Tree(revision, process, stack)


def _inside(path: str, revision: Revision) -> str:
    """The path in its shortest form, empty for the root itself."""
    if "\n" in path or not _is_safe(path):
        raise RevisionError(f"git:{revision.ref}: {printable(path)} must lie in the project")
    return "/".join(PurePosixPath(path).parts)


def _is_safe(path: str) -> bool:
    """A path stays below the folder that it starts in, on any system, and names no `.git`."""
    parts = (*PurePosixPath(path).parts, *PureWindowsPath(path).parts)
    only_there = os.name == "nt" and ("\\" in path or ":" in path)
    return not (
        path.startswith("/")
        or "\0" in path
        or any(part == ".." or part.casefold() == ".git" for part in parts)
        or only_there
    )


def _write(folder: Path, name: str, content: bytes, revision: Revision) -> None:
    target = folder / name
    wrong = ""
    if not _is_safe(name):
        wrong = "it leads out of the folder, or names .git"
    elif not target.parent.resolve().is_relative_to(folder.resolve()):
        wrong = "a link in the folder leads out of it"
    else:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:  # never through a link that lies there
                file.write(content)
        except OSError as error:
            wrong = error.strerror or str(error)
    if wrong:
        raise RevisionError(f"git:{revision.ref}: {printable(name)} cannot be written: {wrong}")
