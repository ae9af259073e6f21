"""Values that are cut over neighbouring texts: items of a list, deltas of a stream, attributes of spans."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.given_values import NOTHING_GIVEN, Given
from pytest_llmops.detect.scanner import scan_labelled
from pytest_llmops.detect.texts import escape

_REACH = 300  # characters of the outer texts that are looked at
_CUT = frozenset({
    "DENIED", "JWT", "API_KEY", "PASSWORD_IN_URL", "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "US_SSN",
    "NATIONAL_ID", "PHONE_NUMBER", "CRYPTO",
})  # fmt: skip
"""Kinds that a shape or a checksum shows; names and places of a list would make addresses of anything."""
_OPEN_END = re.compile(r"(?:[\w@.+:/=&-]|\A)\s?\Z")
_OPEN_START = re.compile(r"\s?(?:[\w@.+:/=&-]|\Z)")
_TELLING = re.compile(r"[\d@]")
_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)*")
_INDEX = re.compile(r"/\d+(?=/|\Z)")


class Neighbour(NamedTuple):
    """
    A text, and those that it stands beside.

    Attributes:
        group: Equal for texts that may be parts of one; empty for one that is no part.
        found: What was found in the text alone.
    """

    group: str
    label: str
    text: str
    found: Sequence[Finding] = ()


class Part(NamedTuple):
    """Where in which text a part of a cut value stands."""

    at: int
    start: int
    end: int


class Cut(NamedTuple):
    """A value and its parts, in order."""

    finding: Finding
    parts: Sequence[Part]


def group_of(pointer: str, text: str) -> str:
    """
    The pointer without its indices: equal for items of one list, and for one field of them all.

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
    Values that begin in one text and end in a later one of its group; arguments as of `scan_texts`.

    A list of numbers is one, however its digits look when they are written together.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for at, each in enumerate(texts):
        if each.text and each.group:
            groups[each.group].append(at)
    runs = [run for group in groups.values() for run in _runs(texts, group)]
    joined = [(texts[run[0].at].label, _join(texts, run)) for run in runs]
    scans = scan_labelled(joined, kinds=kinds, given=given, timeout_s=timeout_s)
    return [
        Cut(_of_first(finding, parts[0]), parts)
        for run, findings in zip(runs, scans, strict=True)
        for finding in findings
        if finding.kind in _CUT and (parts := _parts(texts, run, finding))
    ]


def _runs(texts: Sequence[Neighbour], group: Sequence[int]) -> Iterator[list[Part]]:
    """Texts between which a value may go on; of the first and the last only what is near."""
    start = 0
    for at in range(1, len(group) + 1):
        if at == len(group) or not _may_go_on(texts[group[at - 1]].text, texts[group[at]].text):
            if at - start > 1:
                run = [Part(each, 0, len(texts[each].text)) for each in group[start:at]]
                run[0] = run[0]._replace(start=max(0, run[0].end - _REACH))
                run[-1] = run[-1]._replace(end=min(run[-1].end, _REACH))
                if _TELLING.search(_join(texts, run)):
                    yield run
            start = at


def _may_go_on(before: str, after: str) -> bool:
    return bool(_OPEN_END.search(before[-2:]) and _OPEN_START.match(after))


def _join(texts: Sequence[Neighbour], run: Sequence[Part]) -> str:
    return "".join(texts[each.at].text[each.start : each.end] for each in run)


def _parts(texts: Sequence[Neighbour], run: Sequence[Part], finding: Finding) -> list[Part]:
    """The parts of a finding in joined texts; none where it is in one text, was found there, or is a list."""
    starts = [0, *accumulate(each.end - each.start for each in run)]
    first, last = bisect_right(starts, finding.start) - 1, bisect_right(starts, finding.end - 1) - 1
    parts = [
        Part(
            each.at,
            each.start + max(0, finding.start - starts[at]),
            each.start + min(each.end - each.start, finding.end - starts[at]),
        )
        for at, each in enumerate(run)
        if first <= at <= last
    ]
    known = any(
        part.start < each.end and each.start < part.end for part in parts for each in texts[part.at].found
    )
    numbers = all(_NUMBER.fullmatch(texts[part.at].text) for part in parts)
    return [] if first == last or known or numbers else parts


def _of_first(finding: Finding, part: Part) -> Finding:
    return Finding(kind=finding.kind, start=part.start, end=part.end, score=finding.score, cut=True)
