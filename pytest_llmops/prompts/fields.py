"""The fields of a prompt's metadata: name, version, kind, tools and output, each checked for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from hashlib import sha256
from typing import Any

from pytest_llmops.documents.reading import (
    BrokenValueError,
    Reader,
    checked,
    list_of,
    one_of,
    read_text,
    show,
    unique,
)
from pytest_llmops.documents.values import Table
from pytest_llmops.errors import Problem
from pytest_llmops.prompts.versions import parse_version

KINDS = ("system", "planner", "tool", "format", "safety")

_LONGEST_NAME = 100
_DIGITS = 16
_TOOL = checked(read_text, "a name or a mapping with one", lambda name: name and name.isprintable())


def read_metadata_fields(path: str, metadata: Table) -> tuple[dict[str, Any], list[Problem]]:
    """The fields, None where one is not there or is wrong, and what is wrong, each with its line."""
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
    """A prompt with a version is known by name and kind; one without need say nothing."""
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
