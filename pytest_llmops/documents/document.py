"""Documents that people write, from their bytes to values with lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmops.documents.json_document import read_json, read_json_lines
from pytest_llmops.documents.values import Mistake, split_lines
from pytest_llmops.documents.yaml_document import read_yaml

SUFFIXES = (".yaml", ".yml", ".json", ".jsonl")

_READERS: Mapping[str, Callable[[str], tuple[Any, list[Mistake]]]] = {
    ".yaml": read_yaml,
    ".yml": read_yaml,
    ".json": read_json,
    ".jsonl": read_json_lines,
}
_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_document(raw: bytes, suffix: str = ".yaml") -> tuple[Any, list[Mistake]]:
    """
    Return the value of a file, whose form its suffix names, and the mistakes in it.

    What is no UTF-8 or contains a control character is one mistake, and no value.
    """
    text, mistakes = read_text(raw)
    return (None, mistakes) if text is None else _READERS[suffix](text)


def read_text(raw: bytes) -> tuple[str | None, list[Mistake]]:
    """Return the text of a file; or None, and the reason why it is none."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The offset leaves out a byte order mark at the front, which ends no line.
        line = len(split_lines(raw[: error.start].decode(errors="replace")))
        message = f"not UTF-8 text, by the byte 0x{error.object[error.start]:02x}; save the file as UTF-8"
        return None, [Mistake(line=line, message=message)]
    if match := _NOT_TEXT.search(text):
        message = f"the control character U+{ord(match[0]):04X} is not allowed in a file; write an escape"
        return None, [Mistake(line=len(split_lines(text[: match.start()])), message=message)]
    return text, []
