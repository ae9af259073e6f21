"""Which files are prompts, and what each of them is."""

# ruff: noqa: PTH110, PTH112, PTH113, PTH118  # os.path says no, where Path raises, of a name no system takes

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated

from pytest_llmops.documents.reading import checked, hexadecimal, matching, one_of, read_text, unique
from pytest_llmops.documents.values import Table
from pytest_llmops.errors import Problem, PromptError, hint
from pytest_llmops.printable import printable
from pytest_llmops.prompts.fields import KINDS, read_metadata_fields
from pytest_llmops.prompts.metadata import MetadataError, read_metadata
from pytest_llmops.prompts.versions import parse_version

MAX_BYTES = 2**20
SUFFIXES = (".txt", ".md", ".jinja", ".j2", ".prompt", ".yaml", ".yml")

_YAML = (".yaml", ".yml")
_NAME = matching(".+", "a name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """
    One prompt file, by what it says of itself and by its digest.

    Attributes:
        path: From the project's root, with forward slashes.
        name: Without blanks; the file's own name, less its ending, where it does not say one.
        version: `MAJOR.MINOR.PATCH`; None of a prompt without a version.
        kind: One of `fields.KINDS`.
        tools: Names of the tools it describes to the model.
        output: Digest of the output format it promises; empty where it promises none.
        sha256: Of the file's bytes with CRLF taken as LF, so that a checkout on Windows has the same.
    """

    path: Annotated[str, matching(r"(?!/)(?!(.*/)?\.\.?(/|\Z)).+", "a path below the lock's folder")]
    name: Annotated[str, _NAME]
    version: Annotated[str, checked(read_text, "MAJOR.MINOR.PATCH", parse_version)] | None
    kind: Annotated[str, one_of(*KINDS)] | None
    tools: Annotated[tuple[str, ...], unique(_NAME, "a list of names, each once")]
    output: Annotated[str, matching("([0-9a-f]{16})?", "16 hexadecimal digits or empty")]
    sha256: Annotated[str, hexadecimal(64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A prompt, the line on which it says its name (0 where it says none), and what is wrong in it."""

    prompt: Prompt
    name_line: int
    problems: tuple[Problem, ...]


def find_prompts(paths: Iterable[str], root: Path) -> tuple[Prompt, ...]:
    """
    The prompts that the paths name, each once, by path.

    A folder stands for every prompt file in and below it that is not hidden. To read the prompts of another
    revision, give as `root` a folder that it was exported to.

    Args:
        paths: Files or folders below `root`; relative ones start there.

    Raises:
        PromptError: With everything that is wrong in any file.
    """
    problems: list[Problem] = []
    files: dict[str, Path] = {}
    for written in paths:
        files.update(_files_at(written, root, problems))
    read: list[_Read] = []
    for path, file in sorted(files.items()):
        try:
            with file.open("rb") as opened:
                read.append(_read(path, opened.read(MAX_BYTES + 1)))
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            problems.append(Problem(path=printable(path), line=0, message=message))
    problems += [problem for each in read for problem in each.problems]
    problems += _doubled(read)
    if problems:
        raise PromptError(sorted(problems, key=lambda problem: (problem.path, problem.line)))
    return tuple(each.prompt for each in read)


def read_prompt(path: str, raw: bytes) -> Prompt:
    """The prompt in these bytes, such as those of an old commit; a field that is wrong is left out."""
    return _read(path, raw).prompt


def is_prompt_file(path: str) -> bool:
    """Whether a folder that holds this path, relative to it, holds it as a prompt."""
    parts = PurePosixPath(path).parts
    return path.lower().endswith(SUFFIXES) and not any(part.startswith(".") for part in parts)


def path_from_root(written: str, root: Path) -> str:
    """The path from the root, with forward slashes; it starts with `..` or a slash where it is not below."""
    path = os.path.normpath(os.path.join(root.absolute(), written))
    try:
        return Path(os.path.relpath(path, root.absolute())).as_posix()
    except ValueError:  # another drive
        return "/" + Path(path).as_posix()


def normalise(raw: bytes) -> bytes:
    """The bytes as they are hashed."""
    return raw.replace(b"\r\n", b"\n")


def _files_at(written: str, root: Path, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    from_root = path_from_root(written, root)
    top = root / from_root
    wrong = ""
    if from_root.startswith(("../", "/")) or from_root == "..":
        wrong = "lies outside the project; a prompt is known by its path from the project's root"
    elif os.path.isdir(top):
        yield from _files_in(top, from_root, problems)
    elif not os.path.exists(top):
        near = hint(top.name[:255], _names(top.parent))
        wrong = f"no such file or folder{'.' if near else ''}{near}"
    elif not os.path.isfile(top):
        wrong = "neither a file nor a folder"
    elif not from_root.lower().endswith(SUFFIXES):
        wrong = f"not a prompt file: its name ends in none of {', '.join(SUFFIXES)}"
    else:
        yield from_root, top
    if wrong:
        problems.append(Problem(path=printable(from_root), line=0, message=wrong))


def _files_in(top: Path, from_root: str, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    def complain(error: OSError) -> None:
        message = f"a folder below cannot be read: {error.strerror}"
        problems.append(Problem(path=printable(from_root), line=0, message=message))

    for folder, folders, names in os.walk(top, onerror=complain):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in (Path(folder) / name for name in names):
            below = file.relative_to(top).as_posix()
            if is_prompt_file(below) and os.path.isfile(file):
                yield PurePosixPath(from_root, below).as_posix(), file


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208  # as above
    except (OSError, ValueError):
        return []


def _read(path: str, raw: bytes) -> _Read:
    problems: list[Problem] = []
    metadata = Table()
    try:
        metadata = read_metadata(_decode(raw), is_yaml=path.lower().endswith(_YAML))
    except MetadataError as error:
        problems.append(Problem(path=printable(path), line=error.line, message=str(error)))
    fields, wrong = read_metadata_fields(printable(path), metadata)
    prompt = Prompt(
        path=path,
        name=fields["name"] or _stem(path),
        version=fields["version"],
        kind=fields["kind"],
        tools=fields["tools"] or (),
        output=fields["output"] or "",
        sha256=sha256(normalise(raw)).hexdigest(),
    )
    return _Read(prompt=prompt, name_line=metadata.lines.get("name", 0), problems=(*problems, *wrong))


def _decode(raw: bytes) -> str:
    if len(raw) > MAX_BYTES:
        raise MetadataError(0, f"larger than {MAX_BYTES // 2**20} MiB; that is no prompt")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MetadataError(raw[: error.start].count(b"\n") + 1, f"byte {error.start} is no UTF-8") from None


def _stem(path: str) -> str:
    return "-".join(printable(PurePosixPath(path).stem).split())


def _doubled(read: Iterable[_Read]) -> Iterator[Problem]:
    """Names said twice. A name that only repeats the file's may recur, as of two README.md."""
    said: dict[str, list[_Read]] = defaultdict(list)
    for each in read:
        if each.name_line:
            said[each.prompt.name].append(each)
    for name, (first, *others) in said.items():
        for other in others:
            message = f"the name {name!r} is that of {printable(first.prompt.path)} too"
            path = printable(other.prompt.path)
            yield Problem(path=path, line=other.name_line, message=message)
