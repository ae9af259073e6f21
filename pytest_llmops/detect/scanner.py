"""
Personal data and secrets in texts.

What was found is kept by the text's hash and signed, so a text is scanned once; a cached scan imports
nothing.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import repeat

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.detect.disguises import Reading, read_disguised
from pytest_llmops.detect.finding import KINDS, PERSONAL, Finding, Found
from pytest_llmops.detect.given_values import NOTHING_GIVEN, Allowed, Given, find_given
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.recognizers.addresses import find_addresses
from pytest_llmops.detect.recognizers.labels import find_labelled
from pytest_llmops.detect.recognizers.names import find_names
from pytest_llmops.detect.recognizers.national_ids import find_national_ids
from pytest_llmops.detect.recognizers.numbers import check_installed, find_personal
from pytest_llmops.detect.recognizers.presidio import (
    Candidate,
    Confirmed,
    Recognise,
    accept_all,
    recognise,
)
from pytest_llmops.detect.recognizers.secrets import find_credentials
from pytest_llmops.detect.soundness.self_test import SECRETS, check_scan
from pytest_llmops.detect.soundness.time_limit import make_in_time
from pytest_llmops.errors import ScanError

Place = tuple[int, int, float]
VERSION = 7  # raised whenever a text may be judged otherwise

_IN_MEMORY = 16_384  # texts
_NEAR = 150  # characters between a name and what is said to be that person's
_ABOUT_SOMEBODY = "Yesterday Barack Obama met Angela Merkel in Berlin."
_BESIDE = 0.4  # the score of a name that nothing but other personal data says is one


def scan_texts(
    texts: Sequence[str],
    *,
    names: bool = False,
    kinds: Collection[str] = (),
    given: Given = NOTHING_GIVEN,
    timeout_s: float = math.inf,
) -> list[tuple[Finding, ...]]:
    """
    The findings of each text, in order of place and without overlaps.

    Args:
        names: Look for people whom only a language model of the extra `pii-names` finds, too.
        kinds: Kinds that are reported, all by default; one that is not hides none that it overlaps.
        given: Values that may appear, and that must not.
        timeout_s: Time limit of one text, in seconds.

    Raises:
        MissingExtraError: A text was never scanned before and Presidio or, with `names`, its model is not
            installed.
        ScanError: A text takes longer than the limit, or the scanner is broken.
    """
    if names:
        entities.check_installed("names: true")
    how = (
        describe_scan(names=names),
        _describe_libraries(names=names),
        ",".join(sorted(kinds)),
        given.describe(),
    )
    keys = [key_of(*how, text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, tuple[Finding, ...]]]:
        check_installed("pii_leak")
        return make_in_time(fresh, scan_all(fresh), timeout_s)

    def scan_all(fresh: Sequence[bytes]) -> Iterator[tuple[Finding, ...]]:
        _check_patterns()
        people = _find_people([text_of[key] for key in fresh]) if names else repeat([])
        for key in fresh:
            yield _scan(text_of[key], people=next(people), kinds=kinds, given=given)

    def fits(key: bytes, findings: tuple[Finding, ...]) -> bool:
        return all(each.end <= len(text_of[key]) for each in findings)

    found = _memory.recall(keys, make, fits=fits)
    return [found[key] for key in keys]


def describe_scan(*, names: bool) -> str:
    """What a scan depends on, besides the text."""
    return f"scanner v{VERSION}{f', names by {entities.describe()}' if names else ''}"


@cache
def _describe_libraries(*, names: bool) -> str:
    """The versions of the libraries that a scan uses, for keys of what was found."""
    libraries = ("presidio-analyzer", "phonenumbers", "regex", "tldextract", *(("spacy",) if names else ()))
    return " ".join(f"{each} {_version(each)}" for each in libraries)


def _version(library: str) -> str:
    with suppress(PackageNotFoundError):
        return version(library)
    return "none"


def scan_labelled(
    texts: Sequence[tuple[str, str]],
    *,
    names: bool = False,
    kinds: Collection[str] = (),
    given: Given = NOTHING_GIVEN,
    timeout_s: float = math.inf,
) -> list[list[Finding]]:
    """
    The findings of each pair of label and text, by their place in the text alone; else as `scan_texts`.

    The label, such as `ssn: `, is what a person would read before the text: a number's kind may show by it.
    """
    labelled = [label + text for label, text in texts]
    scans = scan_texts(labelled, names=names, kinds=kinds, given=given, timeout_s=timeout_s)
    return [_without_label(label, findings) for (label, _), findings in zip(texts, scans, strict=True)]


def scan_secrets(text: str, *, label: str = "", given: Given = NOTHING_GIVEN) -> list[Finding]:
    """As `scan_labelled`, of one text and for keys, tokens and passwords alone, which needs no extra."""
    _check_secrets()
    return _without_label(label, _scan(label + text, recognise=None, given=given))


def forget() -> None:
    """Drop the findings in memory, and that the scanner was tested; the cache keeps its own."""
    _memory.forget()
    for check in (_check_secrets, _check_patterns, _check_recogniser, _check_model):
        check.cache_clear()


@cache
def _check_secrets() -> None:
    check_scan(lambda text: {each.kind for each in _scan(text, recognise=None)}, SECRETS)


@cache
def _check_patterns() -> None:
    """All kinds, but whatever needs an import is taken as confirmed: ordinary text should need none."""
    check_scan(lambda text: {each.kind for each in _scan(text, recognise=accept_all)})


@cache
def _check_recogniser(kind: str) -> None:
    check_scan(lambda text: {each.kind for each in _scan(text, recognise=recognise)}, (kind,))


def _recognise(candidate: Candidate) -> list[Confirmed]:
    """What is confirmed, by a recogniser that confirms a canary of the kind."""
    _check_recogniser(candidate.kind)
    return recognise(candidate)


@cache
def _check_model() -> None:
    if not any(entities.find_people([_ABOUT_SOMEBODY])):
        raise ScanError(f"the model {entities.describe()} finds no name, so no text can be said to be clean")


def _find_people(texts: Sequence[str]) -> Iterator[list[Place]]:
    _check_model()
    return entities.find_people(texts)


def _without_label(label: str, findings: Sequence[Finding]) -> list[Finding]:
    """Without what begins in the label."""
    shift = len(label)
    return [
        replace(each, start=each.start - shift, end=each.end - shift) if shift else each
        for each in findings
        if each.start >= shift
    ]


def _scan(
    text: str,
    *,
    people: Sequence[Place] = (),
    kinds: Collection[str] = (),
    given: Given = NOTHING_GIVEN,
    recognise: Recognise | None = _recognise,
) -> tuple[Finding, ...]:
    """Findings without overlaps, in order of place; without a recogniser secrets alone."""
    readings = (Reading(text), *read_disguised(text))
    kept = _Kept(kinds, Allowed(given.allow, readings))
    for reading in readings:
        for found in _find_in(reading, given, recognise):
            kept.add(reading, found)
        for begin, stop in find_names(reading.text) if kept.is_of_somebody() else ():
            kept.add(reading, ("PERSON", begin, stop, _BESIDE), near=True)
    for start, end, score in people:
        kept.add(readings[0], ("PERSON", start, end, score))
    return tuple(kept.wanted if kinds else kept.every)


class _Kept:
    """Findings in order of place; of two that overlap the one that came first, the graver one."""

    def __init__(self, kinds: Collection[str], allowed: Allowed) -> None:
        self.every: list[Finding] = []
        self.wanted: list[Finding] = []
        self._kinds = kinds
        self._allowed = allowed

    def add(self, reading: Reading, found: Found, *, near: bool = False) -> None:
        """
        Keep what was found in a reading, unless it may appear.

        Args:
            near: Only near what belongs to a person.
        """
        kind, begin, stop, score = found
        start, end, _ = reading.place(begin, stop)
        if near and not self._is_near_somebody(start, end):
            return
        if kind == "DENIED" or not self._allowed.covers(reading, (begin, stop), (start, end)):
            finding = Finding(kind=kind, start=start, end=end, score=score)
            _insert(self.every, finding)
            if kind in self._kinds:
                _insert(self.wanted, finding)

    def is_of_somebody(self) -> bool:
        return any(each.kind in PERSONAL for each in self.every)

    def _is_near_somebody(self, start: int, end: int) -> bool:
        first = bisect_left(self.every, start - _NEAR, key=lambda each: each.end)
        last = bisect_left(self.every, end + _NEAR, key=lambda each: each.start)
        return any(each.kind in PERSONAL for each in self.every[first:last])


def _find_in(reading: Reading, given: Given, recognise: Recognise | None) -> Iterator[Found]:
    """All that is found in one reading, graver kinds first."""
    text = reading.text
    for start, end in find_given(text, given.deny, loose=True):
        yield "DENIED", start, end, 1.0
    for kind, start, end in find_credentials(text):
        yield kind, start, end, 1.0
    if recognise is not None:
        yield from find_personal(reading, recognise)
        yield from find_national_ids(text, recognise)
        yield from find_labelled(text)
        yield from find_addresses(text)


def _insert(kept: list[Finding], finding: Finding) -> None:
    """In its place, unless it overlaps what was found before."""
    at = bisect_left(kept, finding.end, key=lambda each: each.start)
    if at == 0 or kept[at - 1].end <= finding.start:
        kept.insert(at, finding)


def _write(findings: Sequence[Finding]) -> bytes:
    return json.dumps([[each.kind, each.start, each.end, each.score] for each in findings]).encode()


def _read(stored: bytes) -> tuple[Finding, ...] | None:
    """Stored findings; None when they cannot be of any text."""
    try:
        findings = tuple(
            Finding(kind=kind, start=start, end=end, score=score)
            for kind, start, end, score in json.loads(stored)
        )
        sound = all(each.kind in KINDS and 0 <= each.start < each.end for each in findings)
    except (TypeError, ValueError):
        return None
    return findings if sound else None


_memory: Memory[tuple[Finding, ...]] = Memory("pii", _IN_MEMORY, _write, _read, signed=True)
