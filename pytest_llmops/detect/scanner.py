"""
Personal data and secrets in texts.

Findings are kept by the text's hash and signed, so a text is scanned once; a cached scan imports nothing. A
scanner that misses its own canaries, or hangs, raises an error and never returns a clean result.
"""

from __future__ import annotations

import json
import math
import threading
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import repeat
from queue import Empty, SimpleQueue

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.detect.canaries import CANARY_KINDS, make_canaries
from pytest_llmops.detect.disguises import read_disguised
from pytest_llmops.detect.finding import KINDS, PERSONAL, Finding, Found
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.recognizers.addresses import find_addresses
from pytest_llmops.detect.recognizers.national_ids import find_national_ids
from pytest_llmops.detect.recognizers.numbers import (
    Candidate,
    Confirmed,
    Recognise,
    accept_all,
    check_installed,
    find_personal,
    recognise,
)
from pytest_llmops.detect.recognizers.people import find_labelled, find_names
from pytest_llmops.detect.recognizers.secrets import find_credentials
from pytest_llmops.detect.value_lists import NO_LISTS, Allowed, ValueLists, find_listed
from pytest_llmops.errors import ScanError
from pytest_llmops.text.reading import Reading

Place = tuple[int, int, float]
Findings = tuple[Finding, ...]
VERSION = 13  # raised whenever a text may be judged otherwise
TIMEOUT_S = 60.0
"""Time limit of one text, imports and models included."""

_SECRETS = ("PRIVATE_KEY", "JWT", "API_KEY", "PASSWORD_IN_URL", "PASSWORD")
_IN_MEMORY = 16_384  # texts
_NEAR = 150  # characters between a name and data of that person
_ABOUT_SOMEBODY = "Yesterday Barack Obama met Angela Merkel in Berlin."
_NEAR_DATA = 0.4  # the score of a name that only nearby personal data suggests


def scan_texts(
    texts: Sequence[str],
    *,
    names: bool = False,
    kinds: Collection[str] = (),
    lists: ValueLists = NO_LISTS,
    timeout_s: float = math.inf,
) -> list[Findings]:
    """
    Return the findings of each text, in order of place and without overlaps.

    Args:
        names: Look for people whom only a language model of the extra `pii-names` finds, too.
        kinds: Kinds that are reported, all by default; the others hide nothing that they overlap.
        lists: Values that may appear, and that must not.
        timeout_s: Time limit of one text, in seconds.

    Raises:
        MissingExtraError: A text was never scanned before and Presidio or, with `names`, its model is not
            installed.
        ScanError: A text takes longer than the limit, or the scanner is broken.
    """
    if names:
        entities.check_installed("names: true")
    conditions = (
        describe_scan(names=names),
        _describe_libraries(names=names),
        ",".join(sorted(kinds)),
        lists.describe(),
    )
    keys = [key_of(*conditions, text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, Findings]]:
        check_installed("pii_leak")
        return _limit_time(fresh, scan_all(fresh), timeout_s)

    def scan_all(fresh: Sequence[bytes]) -> Iterator[Findings]:
        # Candidates count as confirmed in this check, so that a scan of ordinary text imports nothing.
        _check_canaries(CANARY_KINDS, accept_all)
        people: Iterator[Sequence[Place]] = repeat(())
        if names:
            _check_model()
            people = entities.find_people([text_of[key] for key in fresh])
        for key in fresh:
            yield _scan(text_of[key], people=next(people), kinds=kinds, lists=lists)

    def fits(key: bytes, findings: Findings) -> bool:
        return all(finding.end <= len(text_of[key]) for finding in findings)

    scans = _memory.recall(keys, make, fits=fits)
    return [scans[key] for key in keys]


def scan_labelled(
    texts: Sequence[tuple[str, str]],
    *,
    names: bool = False,
    kinds: Collection[str] = (),
    lists: ValueLists = NO_LISTS,
    timeout_s: float = math.inf,
) -> list[list[Finding]]:
    """
    Return the findings of each pair of label and text, by their place in the text; else as `scan_texts`.

    The label, such as `ssn: `, is read before the text: a number's kind may show by it.
    """
    different = list(dict.fromkeys(texts))  # spans repeat most texts, such as a prompt's
    labelled = [label + text for label, text in different]
    scans = scan_texts(labelled, names=names, kinds=kinds, lists=lists, timeout_s=timeout_s)
    findings = {pair: _without_label(pair[0], scan) for pair, scan in zip(different, scans, strict=True)}
    return [findings[pair] for pair in texts]


def scan_secrets(text: str, *, label: str = "", lists: ValueLists = NO_LISTS) -> list[Finding]:
    """Scan one text as `scan_labelled` does, but only for keys, tokens and passwords: needs no extra."""
    _check_canaries(_SECRETS, None)
    return _without_label(label, _scan(label + text, recognise=None, lists=lists))


def describe_scan(*, names: bool) -> str:
    """Return everything that a scan depends on besides the text."""
    return f"scanner v{VERSION}{f', names by {entities.describe()}' if names else ''}"


def forget() -> None:
    """Drop the findings in memory, and that the scanner was tested; the cache keeps its own."""
    _memory.forget()
    _check_canaries.cache_clear()
    _check_model.cache_clear()


@cache
def _describe_libraries(*, names: bool) -> str:
    """Return the versions of the libraries that a scan uses, for cache keys."""

    def describe(library: str) -> str:
        with suppress(PackageNotFoundError):
            return f"{library} {version(library)}"
        return f"{library} none"

    libraries = ("presidio-analyzer", "phonenumbers", "regex", "tldextract", *(("spacy",) if names else ()))
    return " ".join(map(describe, libraries))


def _without_label(label: str, findings: Sequence[Finding]) -> list[Finding]:
    shift = len(label)
    return [
        replace(finding, start=finding.start - shift, end=finding.end - shift) if shift else finding
        for finding in findings
        if finding.start >= shift
    ]


def _limit_time(
    keys: Sequence[bytes], scans: Iterator[Findings], timeout_s: float
) -> Iterator[dict[bytes, Findings]]:
    """
    Yield the scans by key, those made before an error too, then raise the error.

    A thread cannot be ended: one that hangs is left behind. Patterns, which no other thread can interrupt,
    are written so that they take time in proportion to a text.

    Raises:
        ScanError: One takes longer than the limit.
    """
    if math.isinf(timeout_s):
        yield dict(zip(keys, scans, strict=True))
        return
    done: SimpleQueue[Findings | BaseException] = SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            for findings in scans:
                done.put(findings)
                if given_up.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits for it
            done.put(error)

    threading.Thread(target=work, name="llmops-scan", daemon=True).start()
    made: dict[bytes, Findings] = {}
    problem: BaseException | None = None
    for key in keys:
        try:
            result = done.get(timeout=timeout_s)
        except Empty:
            given_up.set()
            result = ScanError(
                f"the scan took more than {timeout_s:g} s (timeout_s), so nothing is known of the text"
            )
        if isinstance(result, BaseException):
            problem = result
            break
        made[key] = result
    yield made
    if problem is not None:
        raise problem


@cache
def _check_canaries(kinds: Sequence[str], recognise: Recognise | None) -> None:
    """Raise ScanError unless the scanner finds a canary of each kind; done once in a process."""
    lost = [
        canary.kind
        for canary in make_canaries(kinds=kinds, seed=1)
        if canary.kind not in {finding.kind for finding in _scan(canary.text, recognise=recognise)}
    ]
    if lost:
        raise ScanError(
            f"the scanner does not find what it must ({', '.join(lost)}), so no text is known to be clean; "
            'reinstall it: pip install --force-reinstall "pytest-llmops[pii]"'
        )


def _recognise(candidate: Candidate) -> list[Confirmed]:
    """Confirm a candidate by a recogniser that confirms a canary of the kind."""
    _check_canaries((candidate.kind,), recognise)
    return recognise(candidate)


@cache
def _check_model() -> None:
    if not any(entities.find_people([_ABOUT_SOMEBODY])):
        raise ScanError(f"the model {entities.describe()} finds no name, so no text is known to be clean")


def _scan(
    text: str,
    *,
    people: Sequence[Place] = (),
    kinds: Collection[str] = (),
    lists: ValueLists = NO_LISTS,
    recognise: Recognise | None = _recognise,
) -> Findings:
    """Return findings without overlaps, in order of place; without a recogniser only secrets."""
    readings = (Reading(text), *read_disguised(text))
    findings = _Findings(kinds, Allowed(lists.allow, readings))
    for reading in readings:
        for match in _find_in(reading, lists, recognise):
            findings.add(reading, match)
        for begin, stop in find_names(reading.text) if findings.are_personal() else ():
            if findings.are_personal(near=reading.place(begin, stop)[:2]):
                findings.add(reading, ("PERSON", begin, stop, _NEAR_DATA))
    for start, end, score in people:
        findings.add(readings[0], ("PERSON", start, end, score))
    return tuple(findings.wanted if kinds else findings.every)


def _find_in(reading: Reading, lists: ValueLists, recognise: Recognise | None) -> Iterator[Found]:
    """Yield all findings of one reading, graver kinds first."""
    text = reading.text
    for start, end in find_listed(text, lists.deny, loose=True):
        yield "DENIED", start, end, 1.0
    for kind, start, end in find_credentials(text):
        yield kind, start, end, 1.0
    if recognise is not None:
        yield from find_personal(reading, recognise)
        yield from find_national_ids(text, recognise)
        yield from find_labelled(text)
        yield from find_addresses(text)


class _Findings:
    """Findings in order of place; of two that overlap the first to come, which is the graver one."""

    def __init__(self, kinds: Collection[str], allowed: Allowed) -> None:
        self.every: list[Finding] = []
        self.wanted: list[Finding] = []
        self._kinds = kinds
        self._allowed = allowed

    def add(self, reading: Reading, match: Found) -> None:
        """Add a finding of a reading, unless it may appear."""
        kind, begin, stop, score = match
        start, end, _ = reading.place(begin, stop)
        if kind == "DENIED" or not self._allowed.covers(reading, (begin, stop), (start, end)):
            finding = Finding(kind=kind, start=start, end=end, score=score)
            _insert(self.every, finding)
            if kind in self._kinds:
                _insert(self.wanted, finding)

    def are_personal(self, near: tuple[int, int] | None = None) -> bool:
        """Return whether any finding belongs to a person, of those near a place if one is given."""
        first, last = 0, len(self.every)
        if near is not None:
            first = bisect_left(self.every, near[0] - _NEAR, key=lambda finding: finding.end)
            last = bisect_left(self.every, near[1] + _NEAR, key=lambda finding: finding.start)
        return any(finding.kind in PERSONAL for finding in self.every[first:last])


def _insert(findings: list[Finding], finding: Finding) -> None:
    at = bisect_left(findings, finding.end, key=lambda other: other.start)
    if at == 0 or findings[at - 1].end <= finding.start:
        findings.insert(at, finding)


def _read(stored: bytes) -> Findings | None:
    """Return stored findings, or None if they cannot be of any text."""
    try:
        findings = tuple(
            Finding(kind=kind, start=start, end=end, score=score)
            for kind, start, end, score in json.loads(stored)
        )
        sound = all(finding.kind in KINDS and 0 <= finding.start < finding.end for finding in findings)
    except (TypeError, ValueError):
        return None
    return findings if sound else None


def _write(findings: Findings) -> bytes:
    rows = [[finding.kind, finding.start, finding.end, finding.score] for finding in findings]
    return json.dumps(rows).encode()


_memory: Memory[Findings] = Memory("pii", _IN_MEMORY, _write, _read, signed=True)
