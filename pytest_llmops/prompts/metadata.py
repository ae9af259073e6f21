"""What a prompt file says of itself: its front matter, or the top-level keys of a YAML file that has none."""

from __future__ import annotations

import re

from pytest_llmops.documents.values import Table, UnreadableError
from pytest_llmops.documents.yaml_document import read_yaml
from pytest_llmops.printable import printable

_FENCE = "---"
_LINE_END = re.compile(r"\r\n|\n")


class MetadataError(Exception):
    """The file cannot be read past this line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def read_metadata(text: str, *, is_yaml: bool) -> Table:
    """
    The metadata of a prompt file; none at all where a text has no front matter.

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
            1, "the front matter that --- opens here is never closed; a rule of a text stands on a line below"
        )
    front = "\n".join(["", *lines[1 : fences[1]]])
    return _read_mapping(front, first_line=2) if front.strip() else Table()


def _read_mapping(text: str, *, first_line: int) -> Table:
    try:
        table, mistakes = read_yaml(text, file="prompt file", strict=False)
    except UnreadableError as error:
        mistakes = [error.mistake]
    if mistakes:
        raise MetadataError(mistakes[0].line, printable(mistakes[0].message))
    if not isinstance(table, Table):
        raise MetadataError(first_line, "holds no mapping; metadata is written as `name: value` lines")
    return table
