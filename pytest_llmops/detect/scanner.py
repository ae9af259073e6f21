"""
Personal data and secrets in texts.

What was found is kept by the text's hash, so a text is scanned once; a cached scan imports nothing.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.detect.disguises import Reading, read_disguised
from pytest_llmops.detect.finding import KINDS, PERSONAL, Finding
from pytest_llmops.detect.recognizers.secrets import find_credentials
from pytest_llmops.detect.recognizers.addresses import find_addresses
from pytest_llmops.detect.recognizers.labels import Found, find_labelled
from pytest_llmops.detect.recognizers.names import find_names
from pytest_llmops.detect.recognizers.numbers import check_installed, find_personal

VERSION = 3  # raised whenever a text may be judged otherwise

_IN_MEMORY = 16_384  # texts
_NEAR = 150  # characters between a name and what is said to be that person's
_BESIDE = 0.4  # the score of a name that nothing but other personal data says is one


def scan_texts(texts: Sequence[str]) -> list[tuple[Finding, ...]]:
    """
    The findings of each text, in order of place and without overlaps.

    Raises:
        MissingExtraError: A text was never scanned before and Presidio is not installed.
    """
    keys = [key_of(str(VERSION), text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, tuple[Finding, ...]]]:
        check_installed("pii_leak")
        yield {key: _scan(text_of[key], personal=True) for key in fresh}

    def fits(key: bytes, findings: tuple[Finding, ...]) -> bool:
        return all(each.end <= len(text_of[key]) for each in findings)

    found = _memory.recall(keys, make, fits=fits)
    return [found[key] for key in keys]


def scan_labelled(texts: Sequence[tuple[str, str]]) -> list[list[Finding]]:
    """
    The findings of each pair of label and text, by their place in the text alone.

    The label, such as `ssn: `, is what a person would read before the text: a number's kind may show by it.
    """
    scans = scan_texts([label + text for label, text in texts])
    return [_without_label(label, findings) for (label, _), findings in zip(texts, scans, strict=True)]


def scan_secrets(text: str, *, label: str = "") -> list[Finding]:
    """As `scan_labelled`, of one text and for keys, tokens and passwords alone, which needs no extra."""
    return _without_label(label, _scan(label + text, personal=False))


def forget() -> None:
    """Drop the findings in memory; the cache keeps its own."""
    _memory.forget()


def _without_label(label: str, findings: Sequence[Finding]) -> list[Finding]:
    """Without what begins in the label."""
    shift = len(label)
    return [
        replace(each, start=each.start - shift, end=each.end - shift) if shift else each
        for each in findings
        if each.start >= shift
    ]


def _scan(text: str, *, personal: bool) -> tuple[Finding, ...]:
    """Findings without overlaps, in order of place; the earlier kind of `KINDS` goes before the later."""
    kept: list[Finding] = []
    for reading in (Reading(text), *read_disguised(text)):
        credentials = ((kind, start, end, 1.0) for kind, start, end in find_credentials(reading.text))
        found = chain(credentials, *([find_personal(reading), _find_people(reading.text)] if personal else ()))
        for kind, begin, stop, score in found:
            start, end, _ = reading.place(begin, stop)
            _keep(kept, Finding(kind=kind, start=start, end=end, score=score))
        owned = [each for each in kept if each.kind in PERSONAL]
        for begin, stop in find_names(reading.text) if owned else ():
            start, end, _ = reading.place(begin, stop)
            if any(each.start - _NEAR < end and start < each.end + _NEAR for each in owned):
                _keep(kept, Finding(kind="PERSON", start=start, end=end, score=_BESIDE))
    return tuple(kept)


def _keep(kept: list[Finding], finding: Finding) -> None:
    """In its place, unless it overlaps what was found before."""
    at = bisect_left(kept, finding.end, key=lambda each: each.start)
    if at == 0 or kept[at - 1].end <= finding.start:
        kept.insert(at, finding)


def _find_people(text: str) -> Iterator[Found]:
    yield from find_labelled(text)
    yield from find_addresses(text)


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


_memory: Memory[tuple[Finding, ...]] = Memory("pii", _IN_MEMORY, _write, _read)
