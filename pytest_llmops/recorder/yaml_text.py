"""
Writes JSON values as YAML that a person can review: block style, sorted keys, long text line by line.

PyYAML's fast writer folds any text that holds an emoji or a trailing space into one escaped line, and
its slow one costs more than the model call it records; hence this one. Its reader is `read_yaml`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from math import isinf, isnan
from typing import Any

from pytest_llmops.documents.yaml_document import DEEPEST_CASSETTE

# Characters that a reader of YAML refuses or breaks lines at, or that a reviewer would not see.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN = re.compile(r"(?:[^\W\d_]|/)(?:[\w ,.;()'/?!%&*+=<>@$-]*[\w.;()'/?!%*+=<>$-])?")
_NOT_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_NESTED = (dict, list, tuple, Mapping)  # in this order, for the check of an abstract class is slow
_LONGEST_NUMBER = 300  # digits; a longer one is no number to every reader of YAML
_LONGEST_KEY = 1000  # a longer one must be written as an explicit key
_quote = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make an encoder for each text


def to_yaml(value: Any) -> str:
    """
    Return a JSON value as a YAML document; half a surrogate pair and huge numbers are `!json`.

    Raises:
        ValueError: It is nested more deeply than `read_yaml` reads.
    """
    lines: list[str] = []
    _write(value, 0, "", lines, depth=1)
    return "".join(lines)


def _write(value: Any, column: int, lead: str, lines: list[str], *, depth: int) -> None:
    """
    Append a value's lines.

    Args:
        column: Of the keys or dashes of the value.
        lead: The start of the first line: a key, a dash.
        depth: Levels, its own included; an empty list or mapping in it is one more.
    """
    if depth >= DEEPEST_CASSETTE:
        raise ValueError(f"a cassette holds fewer than {DEEPEST_CASSETTE} levels of lists and mappings")
    pad = " " * column
    if _is_leaf(value):
        lines.append(f"{lead}{_leaf(value, column)}\n")
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            start = lead if number == 0 else pad
            if _is_leaf(item):
                lines.append(f"{start}- {_leaf(item, column + 2)}\n")
            else:
                _write(item, column + 2, f"{start}- ", lines, depth=depth + 1)
    else:
        for number, key in enumerate(sorted(value)):
            start = lead if number == 0 else pad
            name = _key(key)
            if len(name) > _LONGEST_KEY:
                lines.append(f"{start}? {name}\n")
                start, name = pad, ""
            part = value[key]
            if _is_leaf(part):
                lines.append(f"{start}{name}: {_leaf(part, column + 2)}\n")
            else:
                lines.append(f"{start}{name}:\n")
                inner = column if isinstance(part, (list, tuple)) else column + 2
                _write(part, inner, " " * inner, lines, depth=depth + 1)


def _is_leaf(value: Any) -> bool:
    return isinstance(value, str) or not value or not isinstance(value, _NESTED)


def _leaf(value: Any, column: int) -> str:
    if isinstance(value, str):
        is_block = "\n" in value and not _UNSAFE.search(value) and not value.isspace()
        return _literal(value, " " * column) if is_block else _scalar(value)
    if isinstance(value, float):
        return _number(value)
    text = json.dumps(value)  # null, true, whole numbers, {} and [] are the same in both
    return text if len(text) < _LONGEST_NUMBER else f"!json {text}"


def _literal(text: str, pad: str) -> str:
    body = text.rstrip("\n")
    ending = len(text) - len(body)
    # The digit says where the text starts, when its own first characters would mislead.
    header = "|" + ("2" if text[0] in " \t\n" else "") + ("-" if not ending else "" if ending == 1 else "+")
    lines = [f"{pad}{line}" if line else "" for line in body.split("\n")]
    return header + "\n" + "\n".join(lines) + "\n" * max(ending - 1, 0)


@lru_cache(maxsize=1000)
def _key(text: str) -> str:
    return _scalar(text)


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    if _SURROGATE.search(text):
        return "!json '" + json.dumps(text).replace("'", "''") + "'"
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", _quote(text))


def _number(value: float) -> str:
    if isnan(value):
        return ".nan"
    if isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")  # YAML's floats have a point
