"""Prompt files: their search, metadata and digests."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pytest_llmops.documents.reading import (
    BrokenValueError,
    Reader,
    checked,
    hexadecimal,
    list_of,
    matching,
    one_of,
    read_text,
    show,
    unique,
)
from pytest_llmops.documents.values import Table
from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.errors import Problem, PromptError, hint
from pytest_llmops.printable import printable

_FENCE = "---"
_LINE_END = re.compile(r"\r\n|\n")
Version = tuple[int, int, int]
_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
KINDS = ("system", "planner", "tool", "format", "safety")
_LONGEST_NAME = 100
_DIGITS = 16
_TOOL = checked(read_text, "a name or a mapping with one", lambda name: name and name.isprintable())
MAX_BYTES = 2**20
SUFFIXES = (".txt", ".md", ".jinja", ".j2", ".prompt", ".yaml", ".yml")
_YAML = (".yaml", ".yml")
_NAME = matching(".+", "a name")

# ruff: noqa: PTH110, PTH112, PTH113, PTH118  # for impossible names os.path returns False where Path raises


class MetadataError(Exception):
    """The file cannot be read past this line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read_metadata(text: str, *, is_yaml: bool) -> Table:
    """
    Read the metadata of a prompt file; empty for a text without front matter.

    Raises:
        MetadataError: No YAML, no mapping, a key twice, front matter that is never closed, too deep, or
            aliases that unfold to too many values.
    """
    lines = _LINE_END.split(text)
    fences = [number for number, line in enumerate(lines) if line.rstrip() == _FENCE]
    if fences[:1] != [0] or (is_yaml and fences == [0]):  # `---` may also just begin a YAML file
        return _read_mapping(text, first_line=1) if is_yaml else Table()
    if fences == [0]:
        raise MetadataError(
            1, "the front matter that --- opens here is never closed; a rule of a text goes on a line below"
        )
    front = "\n".join(["", *lines[1 : fences[1]]])
    return _read_mapping(front, first_line=2) if front.strip() else Table()


def _read_mapping(text: str, *, first_line: int) -> Table:
    table, mistakes = read_yaml(text, file="prompt file", strict=False)
    if mistakes:
        raise MetadataError(mistakes[0].line, printable(mistakes[0].message))
    if not isinstance(table, Table):
        raise MetadataError(first_line, "holds no mapping; metadata is written as `name: value` lines")
    return table


def parse_version(text: str) -> Version | None:
    """The three numbers, each below a thousand million and without leading zeros; None for anything else."""
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def read_metadata_fields(path: str, metadata: Table) -> tuple[dict[str, Any], list[Problem]]:
    """The fields, None for a missing or broken one, and the problems with their lines."""
    fields: dict[str, Any] = dict.fromkeys(_READERS)
    problems = list(_find_missing(metadata))
    for name, read in _READERS.items():
        try:
            fields[name] = None if metadata.get(name) is None else read(metadata[name])
        except BrokenValueError as error:
            problems.append((name, str(error.within(name))))
    lines = metadata.lines
    return fields, [Problem(path=path, line=lines.get(key, 0), message=message) for key, message in problems]


def _find_missing(metadata: Table) -> Iterator[tuple[str, str]]:
    """A prompt with a version needs name and kind; one without needs nothing."""
    if metadata.get("version") is not None:
        for key in ("name", "kind"):
            if metadata.get(key) is None:
                yield "version", f"a prompt with a version needs a {key} too: write `{key}:`"
    elif "version" in metadata:
        yield "version", "version is empty; the first one is 1.0.0"
    elif near := get_close_matches("version", metadata, n=1, cutoff=0.8):
        yield near[0], f"unknown key {show(near[0])}. Did you mean 'version'?"


def _is_word(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable() and not any(map(str.isspace, text))


def _read_tools(value: Any) -> tuple[str, ...]:
    names = list_of(lambda tool: _TOOL(tool.get("name") if isinstance(tool, dict) else tool))(value)
    return tuple(unique(read_text, "names that differ")(names))


def _read_output(value: Any) -> str:
    """The digest of the format; neither the order of keys nor white space around a text counts."""
    if not isinstance(value, str | dict):
        raise BrokenValueError(f"must be a JSON schema or a text, not {show(value)}")
    promised = value.strip() if isinstance(value, str) else value
    written = json.dumps(promised, sort_keys=True)
    return "" if promised == "" else sha256(written.encode()).hexdigest()[:_DIGITS]


_READERS: Mapping[str, Reader] = {
    "name": checked(read_text, f"text without blanks, at most {_LONGEST_NAME} characters", _is_word),
    "version": checked(read_text, "MAJOR.MINOR.PATCH, such as 1.0.0", parse_version),
    "kind": one_of(*KINDS),
    "tools": _read_tools,
    "output": _read_output,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """
    One prompt file, by its metadata and digest.

    Attributes:
        path: From the project's root, with forward slashes.
        name: Without blanks; by default the file's own name, less its ending.
        version: `MAJOR.MINOR.PATCH`; None of a prompt without a version.
        kind: One of `KINDS`.
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
    """A prompt, the line of its name (0 without one), and its problems."""

    prompt: Prompt
    name_line: int
    problems: tuple[Problem, ...]


def find_prompts(paths: Iterable[str], root: Path) -> tuple[Prompt, ...]:
    """
    Read the prompts at the paths, each once, sorted by path.

    A folder means every prompt file in and below it that is not hidden. To read the prompts of another
    revision, export it to a folder and give that as `root`.

    Args:
        paths: Files or folders below `root`; relative ones start there.

    Raises:
        PromptError: With all problems of all files.
    """
    problems: list[Problem] = []
    files: dict[str, Path] = {}
    for written in paths:
        files.update(_files_at(written, root, problems))
    read: list[_Read] = []
    for path, file in sorted(files.items()):
        try:
            with file.open("rb") as stream:
                read.append(_read(path, stream.read(MAX_BYTES + 1)))
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            problems.append(Problem(path=printable(path), line=0, message=message))
    problems += [problem for entry in read for problem in entry.problems]
    problems += _find_doubled(read)
    if problems:
        problems.sort(key=lambda problem: (problem.path, problem.line))
        raise PromptError(problems)
    return tuple(entry.prompt for entry in read)


def read_prompt(path: str, raw: bytes) -> Prompt:
    """Read a prompt from bytes, such as those of an old commit, without its broken fields."""
    return _read(path, raw).prompt


def is_prompt_file(path: str) -> bool:
    """True if this path, from the folder of prompts, is a prompt file."""
    parts = PurePosixPath(path).parts
    return path.lower().endswith(SUFFIXES) and not any(part.startswith(".") for part in parts)


def path_from_root(written: str, root: Path) -> str:
    """The path from the root, with forward slashes; it starts with `..` or a slash where it lies outside."""
    path = os.path.normpath(os.path.join(root.absolute(), written))
    try:
        return Path(os.path.relpath(path, root.absolute())).as_posix()
    except ValueError:  # another drive
        return "/" + Path(path).as_posix()


def normalise(raw: bytes) -> bytes:
    """The bytes for the digest, with LF as line ends."""
    return raw.replace(b"\r\n", b"\n")


def _files_at(written: str, root: Path, problems: list[Problem]) -> Iterator[tuple[str, Path]]:
    from_root = path_from_root(written, root)
    top = root / from_root
    problem = ""
    if from_root.startswith(("../", "/")) or from_root == "..":
        problem = "lies outside the project; a prompt is known by its path from the project's root"
    elif os.path.isdir(top):
        yield from _files_in(top, from_root, problems)
    elif not os.path.exists(top):
        near = hint(top.name[:255], _list_names(top.parent))
        problem = f"no such file or folder{'.' if near else ''}{near}"
    elif not os.path.isfile(top):
        problem = "neither a file nor a folder"
    elif not from_root.lower().endswith(SUFFIXES):
        problem = f"not a prompt file: its name ends in none of {', '.join(SUFFIXES)}"
    else:
        yield from_root, top
    if problem:
        problems.append(Problem(path=printable(from_root), line=0, message=problem))


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


def _list_names(folder: Path) -> list[str]:
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
        name=fields["name"] or "-".join(printable(PurePosixPath(path).stem).split()),
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


def _find_doubled(read: Iterable[_Read]) -> Iterator[Problem]:
    """Names in two files. A name that only repeats the file's may recur, as of two README.md."""
    files_of: dict[str, list[_Read]] = defaultdict(list)
    for file in read:
        if file.name_line:
            files_of[file.prompt.name].append(file)
    for name, (first, *others) in files_of.items():
        for other in others:
            message = f"the name {name!r} is that of {printable(first.prompt.path)} too"
            path = printable(other.prompt.path)
            yield Problem(path=path, line=other.name_line, message=message)
