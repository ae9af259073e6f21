"""Values that a project names itself: those that may appear, and those that must not, under disguises too."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_llmops.detect.disguises import Reading, read_disguised

Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Given:
    """
    What a project says of values; case does not count.

    Attributes:
        allow: May appear, whatever their kind.
        deny: Must never appear; secrets themselves, so never shown.
    """

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    def describe(self) -> str:
        """For keys of what was found."""
        return json.dumps([sorted(self.allow), sorted(self.deny)])


NOTHING_GIVEN = Given()
_JOINT = r"[\s_-]{0,4}"  # between words of a value that is denied
_hidden = NOTHING_GIVEN


def hide_everywhere(values: Collection[str]) -> None:
    """
    Have this process mask these values wherever it masks personal data.

    What a check denies must stand in no report, run file or cassette, which the check does not write.
    """
    global _hidden  # noqa: PLW0603  what is denied to a run is denied to its process
    if not _hidden.deny.issuperset(values):
        _hidden = Given(deny=_hidden.deny.union(values))


def forget_hidden() -> None:
    """From now on nothing is hidden everywhere; to be called where the last run of a process ends."""
    global _hidden  # noqa: PLW0603  as above
    _hidden = NOTHING_GIVEN


def hidden_values() -> Given:
    """What is masked everywhere."""
    return _hidden


def mask_denied(options: Mapping[str, Any]) -> dict[str, Any]:
    """A check's options as they may be stored: of what is denied the lengths alone."""
    denied = options.get("deny")
    if not isinstance(denied, list | tuple):
        return dict(options)
    return {**options, "deny": [f"<DENIED {len(each)} chars>" for each in denied if isinstance(each, str)]}


def find_given(text: str, values: frozenset[str], *, loose: bool = False) -> Iterator[Stretch]:
    """
    Start and end of each of the values in a text.

    Args:
        loose: Words of a value may be joined otherwise: by a line break, other spaces, hyphens or nothing.
    """
    pattern = _pattern(values, loose=loose)
    return (match.span() for match in pattern.finditer(text)) if pattern else iter(())


class Allowed:
    """Where in a text, as written and under its disguises, values stand that may appear."""

    def __init__(self, values: frozenset[str], readings: Sequence[Reading]) -> None:
        self._within: dict[int, list[Stretch]] = {}
        self._disguised: list[Stretch] = []
        if values:
            known = {value.casefold() for value in values}
            for reading in readings:
                self._within[id(reading)] = list(find_given(reading.text, values))
                self._disguised += _pure(reading, self._within[id(reading)], readings[0].text, known)

    def covers(self, reading: Reading, span: Stretch, place: Stretch) -> bool:
        """Whether what was found at a span of a reading, a place of the text, is a part of such a value."""
        return _is_within(span, self._within.get(id(reading), ())) or _is_within(place, self._disguised)


def _pure(reading: Reading, spans: Sequence[Stretch], text: str, known: Collection[str]) -> Iterator[Stretch]:
    """Places that hold a disguised value and nothing else: what is found in the disguise is a part of it."""
    for span in spans:
        start, end, touched = reading.place(*span)
        if touched and any(each.text.strip().casefold() in known for each in read_disguised(text[start:end])):
            yield start, end


def _is_within(span: Stretch, outer: Sequence[Stretch]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in outer)


def _words(value: str) -> list[str]:
    return re.findall(r"[^\s_-]+", value) or [value]


@lru_cache(maxsize=64)
def _pattern(values: frozenset[str], *, loose: bool) -> re.Pattern[str] | None:
    ordered = sorted(filter(None, values), key=len, reverse=True)
    written = [_JOINT.join(map(re.escape, _words(value))) if loose else re.escape(value) for value in ordered]
    return re.compile("|".join(written), re.IGNORECASE) if written else None
