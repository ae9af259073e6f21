"""The fields of a prompt's metadata: name, version, kind, tools and output, each checked for itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from hashlib import sha256
from typing import Any

from pytest_llmops.documents.values import Table
from pytest_llmops.errors import Problem, hint
from pytest_llmops.printable import printable
from pytest_llmops.prompts.versions import parse_version

KINDS = ("system", "planner", "tool", "format", "safety")

_LONGEST_NAME = 100
_DIGITS = 16


class Fields:
    """
    What the metadata says, field by field; what is wrong in a field is kept, and the field is empty.

    Attributes:
        problems: Of the fields read so far, each with its line.
    """

    def __init__(self, path: str, metadata: Table) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._values: Mapping[str, Any] = metadata
        self._lines = metadata.lines

    def name(self) -> str | None:
        name = self._values.get("name")
        if name is None:
            self._miss("name")
        elif not _is_word(name):
            said = f"name must be text without blanks, at most {_LONGEST_NAME} characters"
            self._note("name", f"{said}, not {_shown(name)}")
        else:
            return str(name)
        return None

    def version(self) -> str | None:
        version = self._values.get("version")
        if version is None:
            near = get_close_matches("version", self._values, n=1, cutoff=0.8)
            if near and near != ["version"]:
                self._note(near[0], f"unknown key {_shown(near[0])}. Did you mean 'version'?")
            elif "version" in self._values:
                self._note("version", "version is empty; the first one is 1.0.0")
            return None
        if not isinstance(version, str) or parse_version(version) is None:
            said = "version must be MAJOR.MINOR.PATCH, such as 1.0.0"
            self._note("version", f"{said}, not {_shown(version)}")
            return None
        return version

    def kind(self) -> str | None:
        kind = self._values.get("kind")
        if kind is None:
            self._miss("kind")
        elif kind not in KINDS:
            near = hint(str(kind)[:60], KINDS)
            self._note("kind", f"kind is one of {', '.join(KINDS)}, not {_shown(kind)}.{near}")
        else:
            return str(kind)
        return None

    def tools(self) -> tuple[str, ...]:
        written = self._values.get("tools")
        given = [] if written is None else written
        if not isinstance(given, list):
            self._note(
                "tools", f"tools must be a list of names, or of mappings with a name, not {_shown(given)}"
            )
            return ()
        names = [tool.get("name") if isinstance(tool, dict) else tool for tool in given]
        for number, name in enumerate(names, start=1):
            if not isinstance(name, str) or not name or not name.isprintable():
                self._note("tools", f"item {number} of tools must be a name or a mapping with one")
            elif name in names[: number - 1]:
                self._note("tools", f"tools holds {_shown(name)} twice")
        return tuple(str(name) for name in names)

    def output(self) -> str:
        """The digest of the format; neither the order of keys nor white space around a text counts."""
        output = self._values.get("output")
        if output is None:
            return ""
        if not isinstance(output, str | dict):
            self._note("output", f"output must be a JSON schema or a text, not {_shown(output)}")
            return ""
        promised = output.strip() if isinstance(output, str) else output
        said = json.dumps(promised, sort_keys=True)
        return "" if promised == "" else sha256(said.encode()).hexdigest()[:_DIGITS]

    def _miss(self, key: str) -> None:
        """A prompt with a version is known by name and kind; one without need say nothing."""
        if self._values.get("version") is not None:
            self._note("version", f"a prompt with a version needs a {key} too: write `{key}:`")

    def _note(self, key: str, message: str) -> None:
        self.problems.append(Problem(path=self._path, line=self._lines.get(key, 0), message=message))


def _is_word(value: Any) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_NAME
        and value.isprintable()
        and not any(character.isspace() for character in value)
    )


def _shown(value: Any) -> str:
    shown = printable(value, 60)
    return f"'{shown}'" if isinstance(value, str) else shown
