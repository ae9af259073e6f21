"""The line and column of a finding in its file, found once there is one."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
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
    pointers = {finding.pointer for finding in findings if finding.pointer}
    places = _find_all(text, suffix_of(path), starts, pointers)
    located = []
    for finding in findings:
        at = places.get(finding.pointer, -1) if finding.pointer else finding.start
        line = bisect_right(starts, at)
        located.append(finding if at < 0 else replace(finding, line=line, column=at - starts[line - 1] + 1))
    return located


def _find_all(text: str, suffix: str, starts: Sequence[int], pointers: Iterable[str]) -> dict[str, int]:
    """Return where the texts of pointers begin in a file, as far as they are seen."""
    if has_json_lines(suffix, text):
        by_line: defaultdict[int, list[str]] = defaultdict(list)
        for pointer in pointers:
            by_line[int(pointer.split("/")[1])].append(pointer)
        places: dict[str, int] = {}
        for number, of_line in by_line.items():
            start = starts[number]
            line = text[start : starts[number + 1]]
            rests = {pointer: pointer[len(f"/{number}") :] for pointer in of_line}
            found = _find_in_json(line, rests.values())
            places |= {pointer: start + found.get(rest, 0) for pointer, rest in rests.items()}
        return places
    if suffix in YAML and (document := read_yaml_values(text)):
        scalars = {pointer: start for start, _, pointer in document.scalars}
        return {pointer: scalars.get(document.find_scalar(pointer), -1) for pointer in pointers}
    return _find_in_json(text, pointers)


class _Wanted(dict[str, "_Wanted"]):
    """Tokens of pointers that go on below a place; those that end here are in `ends`."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[str] = []


def _find_in_json(text: str, pointers: Iterable[str]) -> dict[str, int]:
    """Return where the values of JSON pointers begin, found in one pass."""
    wanted = _Wanted()
    for pointer in pointers:
        place = wanted
        for token in pointer.split("/")[1:]:
            place = place.setdefault(token, _Wanted())
        place.ends.append(pointer)
    places: dict[str, int] = {}
    with suppress(IndexError, StopIteration, ValueError, RecursionError):  # no JSON, or it is cut
        _walk(text, _skip(text, 0), wanted, places)
    return places


def _walk(text: str, at: int, wanted: _Wanted, places: dict[str, int]) -> int:
    """Note the places of what is wanted in the value that begins here, and return its end."""
    places.update(dict.fromkeys(wanted.ends, at))
    if not wanted or text[at] not in "{[":
        places.update(dict.fromkeys(_all_below(wanted), at))  # JSON within a text
        return _decode(text, at)[1]
    is_object, close = text[at] == "{", "}" if text[at] == "{" else "]"
    at = _skip(text, at + 1)
    number = 0
    while text[at] != close:
        token = str(number)
        if is_object:
            key, at = _decode(text, at)
            at = _skip(text, text.index(":", at) + 1)
            token = escape(key)
        below = wanted.get(token)
        at = _skip(text, _decode(text, at)[1] if below is None else _walk(text, at, below, places))
        number += 1
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _all_below(wanted: _Wanted) -> Iterator[str]:
    for below in wanted.values():
        yield from below.ends
        yield from _all_below(below)


def _skip(text: str, at: int) -> int:
    while text[at] in _WHITESPACE:
        at += 1
    return at
