"""Values that are cut over neighbouring texts: items of a list, deltas of a stream, attributes of spans."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.given_values import NOTHING_GIVEN, Given
from pytest_llmops.detect.scanner import scan_labelled
from pytest_llmops.detect.texts import escape

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
        found: Findings in the text itself.
    """

    group: str
    label: str
    text: str
    found: Sequence[Finding] = ()


class Part(NamedTuple):
    """A part of a cut value: its text's position, and start and end in that text."""

    at: int
    start: int
    end: int


class Cut(NamedTuple):
    """A value and its parts, in order."""

    finding: Finding
    parts: Sequence[Part]


def group_of(pointer: str, text: str) -> str:
    """
    Return the pointer without its indices: equal for items of one list, and for one field of them all.

    Empty for a text that is the key at its pointer, since it stands between the values.
    """
    return "" if pointer.endswith(f"/{escape(text)}") else _INDEX.sub("/*", pointer)


def scan_neighbours(
    texts: Sequence[Neighbour],
    *,
    kinds: Collection[str] = (),
    given: Given = NOTHING_GIVEN,
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
    runs = [run for group in groups.values() for run in _runs(texts, group)]
    joined = [(texts[run[0].at].label, _join(texts, run)) for run in runs]
    scans = scan_labelled(joined, kinds=kinds, given=given, timeout_s=timeout_s)
    return [
        Cut(replace(finding, start=parts[0].start, end=parts[0].end, cut=True), parts)
        for run, findings in zip(runs, scans, strict=True)
        for finding in findings
        if finding.kind in _CUT and (parts := _parts(texts, run, finding))
    ]


def _runs(texts: Sequence[Neighbour], group: Sequence[int]) -> Iterator[list[Part]]:
    """Yield runs of texts between which a value may continue; the outer texts from or up to `_REACH`."""
    start = 0
    for end in range(1, len(group) + 1):
        if (
            end < len(group)
            and _OPEN_END.search(texts[group[end - 1]].text[-2:])
            and _OPEN_START.match(texts[group[end]].text)
        ):
            continue
        if end - start > 1:
            run = [Part(at, 0, len(texts[at].text)) for at in group[start:end]]
            run[0] = run[0]._replace(start=max(0, run[0].end - _REACH))
            run[-1] = run[-1]._replace(end=min(run[-1].end, _REACH))
            if _TELLING.search(_join(texts, run)):
                yield run
        start = end


def _join(texts: Sequence[Neighbour], run: Sequence[Part]) -> str:
    return "".join(texts[part.at].text[part.start : part.end] for part in run)


def _parts(texts: Sequence[Neighbour], run: Sequence[Part], finding: Finding) -> list[Part]:
    """Return the parts of a finding in joined texts; none if one text has it, or it is a list of numbers."""
    starts = [0, *accumulate(part.end - part.start for part in run)]
    first, last = bisect_right(starts, finding.start) - 1, bisect_right(starts, finding.end - 1) - 1
    parts = [
        Part(
            run[at].at,
            run[at].start + max(0, finding.start - starts[at]),
            run[at].start + min(run[at].end - run[at].start, finding.end - starts[at]),
        )
        for at in range(first, last + 1)
    ]
    known = any(
        part.start < other.end and other.start < part.end for part in parts for other in texts[part.at].found
    )
    numbers = all(_NUMBER.fullmatch(texts[part.at].text) for part in parts)
    return [] if first == last or known or numbers else parts
