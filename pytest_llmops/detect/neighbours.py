"""Values that are cut over neighbouring texts: items of a list, deltas of a stream, attributes of spans."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.scanner import scan_labelled
from pytest_llmops.detect.texts import escape
from pytest_llmops.detect.value_lists import NO_LISTS, ValueLists

_REACH = 300  # characters of the outer texts that are read
_CUT = frozenset({
    "DENIED", "JWT", "API_KEY", "PASSWORD_IN_URL", "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "US_SSN",
    "NATIONAL_ID", "PHONE_NUMBER", "CRYPTO",
})  # fmt: skip
"""Kinds with a shape or a checksum; names and places of a list would make addresses of anything."""
_OPEN_END = re.compile(r"(?:[\w@.+:/=&-]|\A)\s?\Z")
_OPEN_START = re.compile(r"\s?(?:[\w@.+:/=&-]|\Z)")
_TELLING = re.compile(r"[\d@]")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*")
_INDEX = re.compile(r"/\d+(?=/|\Z)")


class Neighbour(NamedTuple):
    """
    A text and its neighbours.

    Attributes:
        group: Equal for texts that may be parts of one; empty for a text that is no part.
        findings: Findings in the text itself.
    """

    group: str
    label: str
    text: str
    findings: Sequence[Finding] = ()


class Part(NamedTuple):
    """A part of a text: the text's position, and start and end in it."""

    at: int
    start: int
    end: int


class Cut(NamedTuple):
    """A value and its parts, in order."""

    finding: Finding
    parts: Sequence[Part]


class Joined:
    """Parts of texts in a row, read together as `text`."""

    def __init__(self, texts: Sequence[str], parts: Sequence[Part], between: str = "") -> None:
        pieces = [texts[part.at][part.start : part.end] for part in parts]
        self.text = between.join(pieces)
        self._parts = parts
        self._starts = [0, *accumulate(len(piece) + len(between) for piece in pieces)][: len(parts)]

    def parts_of(self, start: int, end: int) -> list[Part]:
        """Return the parts of a stretch of the joined text."""
        first, last = (bisect_right(self._starts, at) for at in (start, end - 1))
        return [
            Part(
                part.at,
                part.start + max(0, start - begin),
                part.start + min(part.end - part.start, end - begin),
            )
            for part, begin in zip(self._parts[first - 1 : last], self._starts[first - 1 : last], strict=True)
        ]


def group_of(pointer: str, name: str, text: str) -> str:
    """
    Return the pointer without its indices, and the name: equal for items of one list, and for one field.

    Empty for a text that is the key at its pointer, since it is between the values.
    """
    if not pointer or pointer.endswith(f"/{escape(text)}"):
        return ""
    return f"{_INDEX.sub('/*', pointer)} {name}"


def scan_neighbours(
    texts: Sequence[Neighbour],
    *,
    kinds: Collection[str] = (),
    lists: ValueLists = NO_LISTS,
    timeout_s: float = math.inf,
) -> list[Cut]:
    """
    Return values that begin in one text and end in a later one of its group; arguments as of `scan_texts`.

    A list of numbers contains none, however its digits look when they are written together.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for at, neighbour in enumerate(texts):
        if neighbour.text and neighbour.group:
            groups[neighbour.group].append(at)
    contents = [neighbour.text for neighbour in texts]
    runs = [(texts[run[0].at].label, Joined(contents, run)) for run in _runs(contents, groups.values())]
    runs = [(label, joined) for label, joined in runs if _TELLING.search(joined.text)]
    joined_texts = [(label, joined.text) for label, joined in runs]
    scans = scan_labelled(joined_texts, kinds=kinds, lists=lists, timeout_s=timeout_s)
    return [
        Cut(replace(finding, start=parts[0].start, end=parts[0].end, cut=True), parts)
        for (_, joined), findings in zip(runs, scans, strict=True)
        for finding in findings
        if finding.kind in _CUT and _is_cut(parts := joined.parts_of(finding.start, finding.end), texts)
    ]


def _runs(texts: Sequence[str], groups: Iterable[Sequence[int]]) -> Iterator[list[Part]]:
    """Yield runs of texts between which a value may continue; the outer texts from or up to `_REACH`."""
    for group in groups:
        start = 0
        for end in range(1, len(group) + 1):
            if (
                end < len(group)
                and _OPEN_END.search(texts[group[end - 1]][-2:])
                and _OPEN_START.match(texts[group[end]])
            ):
                continue
            if end - start > 1:
                run = [Part(at, 0, len(texts[at])) for at in group[start:end]]
                run[0] = run[0]._replace(start=max(0, run[0].end - _REACH))
                run[-1] = run[-1]._replace(end=min(run[-1].end, _REACH))
                yield run
            start = end


def _is_cut(parts: Sequence[Part], texts: Sequence[Neighbour]) -> bool:
    """Return whether a value has several parts, none of them found before, and is no list of numbers."""
    known = any(
        part.start < finding.end and finding.start < part.end
        for part in parts
        for finding in texts[part.at].findings
    )
    return len(parts) > 1 and not known and not all(_NUMBER.fullmatch(texts[part.at].text) for part in parts)
