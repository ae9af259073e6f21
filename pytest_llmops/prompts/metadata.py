"""
What a prompt file says of itself: its front matter, or the top-level keys of a YAML file that has none.

Nothing is built before its depth is known, and aliases are counted as they unfold, so no file can cost
more than its size allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_llmops.printable import printable

MAX_DEPTH = 50
MAX_VALUES = 100_000

_FENCE = "---"
_NESTS = {"MappingStartEvent": 1, "SequenceStartEvent": 1, "MappingEndEvent": -1, "SequenceEndEvent": -1}
_LINE_END = re.compile(r"\r\n|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Top-level keys of a file and the line of each, counted from 1."""

    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)


class MetadataError(Exception):
    """The file cannot be read past this line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read_metadata(text: str, *, is_yaml: bool) -> Metadata:
    """
    The metadata of a prompt file; none at all where a text has no front matter.

    Raises:
        MetadataError: No YAML, no mapping, a key twice, front matter that is never closed, too deep, or
            aliases that unfold to too many values.
    """
    lines = _LINE_END.split(text)
    fences = [number for number, line in enumerate(lines) if line.rstrip() == _FENCE]
    if fences[:1] != [0] or (is_yaml and fences == [0]):  # `---` may also just begin a YAML file
        return _read_mapping(text, first_line=1) if is_yaml else Metadata()
    if fences == [0]:
        raise MetadataError(
            1, "the front matter that --- opens here is never closed; a rule of a text stands on a line below"
        )
    front = "\n".join(lines[1 : fences[1]])
    return _read_mapping(front, first_line=2) if front.strip() else Metadata()


def _read_mapping(text: str, *, first_line: int) -> Metadata:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _measure_depth(yaml.parse(text, Loader=loader), first_line)
        root = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        raise _translated(error, first_line) from None
    if not isinstance(root, yaml.MappingNode):
        said = "holds no mapping; metadata is written as `name: value` lines"
        raise MetadataError(first_line, said)
    return _Reading(first_line).read(root)


def _measure_depth(events: Any, first_line: int) -> None:
    """Before a tree is composed, since composing is recursive and in C."""
    depth = 0
    for event in events:
        depth += _NESTS.get(type(event).__name__, 0)
        if depth > MAX_DEPTH:
            line = event.start_mark.line + first_line
            raise MetadataError(line, f"nested more than {MAX_DEPTH} levels deep")


class _Reading:
    """Nodes to plain values. `read` counts each as often as an alias repeats it."""

    def __init__(self, first_line: int) -> None:
        self._first = first_line
        self._values = 0

    def read(self, root: Any) -> Metadata:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, node in root.value:
            line, key = self._line(key_node), self._key(key_node)
            if key_node.tag.endswith(":merge"):
                raise MetadataError(line, "merge keys (<<) are not read at the top; write the keys out")
            if key in lines:
                shown = printable(key, 60)
                raise MetadataError(line, f"the key {shown!r} is written twice; first on line {lines[key]}")
            values[key], lines[key] = self._plain(node, 1), line
        return Metadata(values=values, lines=lines)

    def _plain(self, node: Any, depth: int) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise MetadataError(self._line(node), f"the aliases unfold to more than {MAX_VALUES:,} values")
        if depth > MAX_DEPTH:
            raise MetadataError(self._line(node), f"an alias nests more than {MAX_DEPTH} levels deep")
        if node.id == "scalar":
            return _scalar(node)
        if node.id == "sequence":
            return [self._plain(item, depth + 1) for item in node.value]
        return {self._key(key): self._plain(value, depth + 1) for key, value in node.value}

    def _key(self, node: Any) -> str:
        if node.id != "scalar":
            said = "a key must be text, not a list or a mapping; text that starts with { or [ goes in quotes"
            raise MetadataError(self._line(node), said)
        return str(node.value)

    def _line(self, node: Any) -> int:
        return int(node.start_mark.line) + self._first


def _scalar(node: Any) -> Any:
    """What YAML reads it as, but for dates and the like, which stay text."""
    text, kind = node.value, node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in {"yes", "true", "on"}
    for number in (int, float) if kind in {"int", "float"} else ():
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _translated(error: Any, first_line: int) -> MetadataError:
    """The parser's complaint; one about a character YAML forbids has no mark."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    line = mark.line + first_line if mark else 0
    if getattr(error, "context", None) == "expected a single document in the stream":
        said = "a second document starts here; a prompt file holds one"
    return MetadataError(line, f"not valid YAML: {printable(str(said))}")
