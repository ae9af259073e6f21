"""Values that a project lists itself: those that may appear, and those that must not, disguised or not."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from threading import Lock
from typing import Any

from pytest_llmops.detect.disguises import read_disguised
from pytest_llmops.text.reading import Reading

Stretch = tuple[int, int]
_JOINT = r"[\s_-]{0,4}"  # between words of a denied value


@dataclass(frozen=True, slots=True)
class ValueLists:
    """
    A project's own values; case does not count.

    Attributes:
        allow: May appear, whatever their kind.
        deny: Must never appear; secrets themselves, so never shown.
    """

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()

    def describe(self) -> str:
        """Return both lists as one text, for cache keys."""
        return json.dumps([sorted(self.allow), sorted(self.deny)])


NO_LISTS = ValueLists()
_hidden = NO_LISTS
_lock = Lock()


def hide_everywhere(values: Collection[str]) -> None:
    """
    Mask these values wherever this process masks personal data.

    Values denied by a check must reach no report, run file or cassette, none of which the check writes.
    """
    global _hidden  # noqa: PLW0603  a value denied in a run is denied in its process
    with _lock:
        if not _hidden.deny.issuperset(values):
            _hidden = ValueLists(allow=_hidden.allow, deny=_hidden.deny.union(values))


def show_address(place: str) -> None:
    """
    Mask an address nowhere: the app connects to it, and whoever allows that has to read it.

    Args:
        place: A host, with a port or without; a name is masked as any text.
    """
    global _hidden  # noqa: PLW0603  as above
    for host in (place, place.rpartition(":")[0]):
        with suppress(ValueError), _lock:
            if (address := str(ip_address(host.strip("[]")))) not in _hidden.allow:
                _hidden = ValueLists(allow=_hidden.allow | {address}, deny=_hidden.deny)


def forget_hidden() -> None:
    """Hide nothing any more; to be called when the last run of a process ends."""
    global _hidden  # noqa: PLW0603  as above
    _hidden = NO_LISTS


def hidden_values() -> ValueLists:
    """Return the values that are masked everywhere, and those that are masked nowhere."""
    return _hidden


def mask_denied(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a check's options as they may be stored: denied values by their lengths."""
    denied = options.get("deny")
    if not isinstance(denied, list | tuple):
        return dict(options)
    return {**options, "deny": [f"<DENIED {len(value)} chars>" for value in denied if isinstance(value, str)]}


def find_listed(text: str, values: frozenset[str], *, loose: bool = False) -> Iterator[Stretch]:
    """
    Yield start and end of each of the values in a text.

    Args:
        loose: Words of a value may be joined by a line break, other spaces, hyphens or nothing.
    """
    pattern = _pattern(values, loose=loose)
    return (match.span() for match in pattern.finditer(text)) if pattern else iter(())


@lru_cache(maxsize=64)
def _pattern(values: frozenset[str], *, loose: bool) -> re.Pattern[str] | None:
    written = []
    for value in sorted(filter(None, values), key=len, reverse=True):
        words = re.findall(r"[^\s_-]+", value) if loose else []
        written.append(_JOINT.join(map(re.escape, words or [value])))
    return re.compile("|".join(written), re.IGNORECASE) if written else None


class Allowed:
    """Places of allowed values in a text, as written and under its disguises."""

    def __init__(self, values: frozenset[str], readings: Sequence[Reading]) -> None:
        self._within: dict[int, list[Stretch]] = {}
        self._disguised: list[Stretch] = []
        folded = {value.casefold() for value in values}
        text = readings[0].text
        for reading in readings if values else ():
            spans = self._within[id(reading)] = list(find_listed(reading.text, values))
            for start, end, touched in (reading.place(*span) for span in spans):
                # If the disguise holds the value and nothing else, all findings in it are parts of the value.
                if touched and any(
                    inner.text.strip().casefold() in folded for inner in read_disguised(text[start:end])
                ):
                    self._disguised.append((start, end))

    def covers(self, reading: Reading, span: Stretch, place: Stretch) -> bool:
        """Return whether a span of a reading, at a place of the text, is part of an allowed value."""
        return _is_within(span, self._within.get(id(reading), ())) or _is_within(place, self._disguised)


def _is_within(span: Stretch, outer: Sequence[Stretch]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in outer)
