"""The line and column of a finding in its file, found once there is one."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.texts import escape
from pytest_llmops.features.scan.files import YAML, has_json_lines, open_text, suffix_of
from pytest_llmops.features.scan.yaml_values import read_yaml_values

_MOST = 1 << 26  # characters of a file; findings of a longer one have no lines
_WHITESPACE = " \t\r\n"
_decode = json.JSONDecoder().raw_decode


def add_lines(path: Path, findings: Sequence[Finding]) -> list[Finding]:
    """
    Return the findings of a file with the line and column at which they, or the texts that have them, begin.

    Of JSON within a text, that is where the text begins. A finding that is not seen stays without.
    """
    if not findings:
        return []
    with open_text(path) as file:
        text = file.read(_MOST)
        if file.read(1):
            return list(findings)
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    find = _finder(text, suffix_of(path), starts)
    located = []
    for finding in findings:
        at = find(finding.pointer) if finding.pointer else finding.start
        line = bisect_right(starts, at)
        found = at >= 0
        located.append(replace(finding, line=line, column=at - starts[line - 1] + 1) if found else finding)
    return located


def _finder(text: str, suffix: str, starts: Sequence[int]) -> Callable[[str], int]:
    """Return the function that finds the text of a pointer in a file; -1 where it is not seen."""
    if has_json_lines(suffix, text):

        def find_in_line(pointer: str) -> int:
            number, _, rest = pointer[1:].partition("/")
            start = starts[int(number)]
            found = _find(text[start : starts[int(number) + 1]], f"/{rest}" if rest else "")
            return start + max(found, 0)

        return find_in_line
    if suffix in YAML and (document := read_yaml_values(text)):
        places = {pointer: start for start, _, pointer in document.scalars}
        return lambda pointer: places.get(document.find_scalar(pointer), -1)
    return partial(_find, text)


def _find(text: str, pointer: str) -> int:
    """Return where the value of a JSON pointer begins; -1 where it is not seen."""
    try:
        at = _skip(text, 0)
        for token in pointer.split("/")[1:]:
            if text[at] == "{":
                at = _find_member(text, at + 1, token)
            elif text[at] == "[":
                at = _find_item(text, at + 1, int(token))
            else:
                break  # JSON within a text
    except (IndexError, StopIteration, ValueError, RecursionError):
        return -1
    return at


def _find_member(text: str, at: int, token: str) -> int:
    while True:
        key, at = _decode(text, _skip(text, at))
        at = _skip(text, text.index(":", at) + 1)
        if escape(key) == token:
            return at
        at = _next(text, at)


def _find_item(text: str, at: int, number: int) -> int:
    at = _skip(text, at)
    for _ in range(number):
        at = _skip(text, _next(text, at))
    return at


def _next(text: str, at: int) -> int:
    """Return the place behind the comma after the value that begins here."""
    _, end = _decode(text, at)
    end = _skip(text, end)
    if text[end] != ",":
        raise ValueError("the last one")
    return end + 1


def _skip(text: str, at: int) -> int:
    while text[at] in _WHITESPACE:
        at += 1
    return at
