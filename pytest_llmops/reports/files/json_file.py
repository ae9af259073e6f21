"""JSON files that people keep and review: complete or absent, readable or one clear error."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pytest_llmops.documents.json_document import read_bytes
from pytest_llmops.documents.reading import BrokenValueError
from pytest_llmops.errors import RunFileError, hint

# Controls, bidi overrides, zero width, tags and lone surrogates: only within JSON strings can they occur.
_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_CONFLICT = re.compile(rb"^(<{7}|>{7}|\|{7}) |^={7}\r?$", re.MULTILINE)
_LEAVES = {str, int, float, bool, type(None)}
Content = TypeVar("Content")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """
    The words for a file in errors.

    Attributes:
        name: Its kind, such as `run file`.
        made_by: The command that makes it.
        remedy: Advice on a broken one, the command at its end.
    """

    name: str
    made_by: str
    remedy: str


def read_file(path: Path, kind: FileKind) -> bytes:
    """
    Read the bytes of a file.

    Raises:
        RunFileError: There is none, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        near = hint(path.name, [file.name for file in path.parent.glob("*.json*")])
        raise RunFileError(f"{path}: there is no such {kind.name}.{near} Make it: {kind.made_by}") from None
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read: {error.strerror}. {kind.remedy}") from None


def read_content(data: bytes, shown: str, kind: FileKind, read: Callable[[str], Content]) -> Content:
    """
    Parse the text of a file with `read`.

    Args:
        shown: The file, for the message.

    Raises:
        RunFileError: It is no UTF-8, or contains a broken value; with the place and the remedy.
    """
    try:
        return read_bytes(data, read, kind.name)
    except BrokenValueError as error:
        if conflict := _CONFLICT.search(data):
            line = data.count(b"\n", 0, conflict.start()) + 1
            raise RunFileError(
                f"{shown}: line {line} is a mark of a git conflict. Settle the conflict, or take the file "
                "of one side whole: git checkout --ours or --theirs"
            ) from None
        problem = str(error).removesuffix(".")
        raise RunFileError(
            f"{shown}: {problem}{'' if problem.endswith('?') else '.'} {kind.remedy}"
        ) from None


def dump_json(value: Any, indent: int | None = None) -> str:
    """
    Write a value as JSON without invisible characters.

    Raises:
        TypeError, ValueError: JSON has no such value.
    """
    text = _escape(json.dumps(value, ensure_ascii=False, allow_nan=False))
    return text if indent is None else lay_out(text, indent)


def lay_out(text: str, indent: int) -> str:
    """Indent the JSON of `dump_json`, as `json` does it, whose fast encoder takes no indent."""
    import msgspec

    try:
        return msgspec.json.format(text, indent=indent)
    except msgspec.DecodeError:  # of half a surrogate pair
        return _escape(json.dumps(json.loads(text), indent=indent, ensure_ascii=False))


def _escape(text: str) -> str:
    return _UNSEEN.sub(lambda match: json.dumps(match[0])[1:-1], text)


def plain(value: Any) -> Any:
    """Convert records to mappings of their fields, at any depth."""
    kind: Any = type(value)
    if kind in _LEAVES:
        return value
    if names := _field_names(kind):
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value


@lru_cache(maxsize=256)
def _field_names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
