"""
Personal data and secrets in texts.

What was found is kept by the text's hash, so a text is scanned once; a cached scan imports nothing.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import chain, repeat

from pytest_llmops.cache import Memory, key_of
from pytest_llmops.detect.disguises import Reading, read_disguised
from pytest_llmops.detect.finding import KINDS, PERSONAL, Finding, Found
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.recognizers.addresses import find_addresses
from pytest_llmops.detect.recognizers.labels import find_labelled
from pytest_llmops.detect.recognizers.names import find_names
from pytest_llmops.detect.recognizers.numbers import check_installed, find_personal
from pytest_llmops.detect.recognizers.secrets import find_credentials

Place = tuple[int, int, float]
VERSION = 5  # raised whenever a text may be judged otherwise

_IN_MEMORY = 16_384  # texts
_NEAR = 150  # characters between a name and what is said to be that person's
_BESIDE = 0.4  # the score of a name that nothing but other personal data says is one


def scan_texts(
    texts: Sequence[str], *, names: bool = False, kinds: Collection[str] = ()
) -> list[tuple[Finding, ...]]:
    """
    The findings of each text, in order of place and without overlaps.

    Args:
        names: Look for people whom only a language model of the extra `pii-names` finds, too.
        kinds: Kinds that are reported, all by default; one that is not hides none that it overlaps.

    Raises:
        MissingExtraError: A text was never scanned before and Presidio or, with `names`, its model is not
            installed.
    """
    if names:
        entities.check_installed("names: true")
    how = describe_scan(names=names)
    keys = [key_of(how, ",".join(sorted(kinds)), text) for text in texts]
    text_of = dict(zip(keys, texts, strict=True))

    def make(fresh: Sequence[bytes]) -> Iterator[dict[bytes, tuple[Finding, ...]]]:
        check_installed("pii_leak")
        people = entities.find_people([text_of[key] for key in fresh]) if names else repeat([])
        yield {key: _scan(text_of[key], people=next(people), kinds=kinds) for key in fresh}

    def fits(key: bytes, findings: tuple[Finding, ...]) -> bool:
        return all(each.end <= len(text_of[key]) for each in findings)

    found = _memory.recall(keys, make, fits=fits)
    return [found[key] for key in keys]


def describe_scan(*, names: bool) -> str:
    """What a scan depends on, besides the text."""
    return f"scanner v{VERSION}{f', names by {entities.describe()}' if names else ''}"


def scan_labelled(
    texts: Sequence[tuple[str, str]], *, names: bool = False, kinds: Collection[str] = ()
) -> list[list[Finding]]:
    """
    The findings of each pair of label and text, by their place in the text alone.

    The label, such as `ssn: `, is what a person would read before the text: a number's kind may show by it.
    """
    scans = scan_texts([label + text for label, text in texts], names=names, kinds=kinds)
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


def _scan(
    text: str, *, personal: bool = True, people: Sequence[Place] = (), kinds: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Findings without overlaps, in order of place; the earlier kind of `KINDS` goes before the later."""
    kept: list[Finding] = []
    wanted: list[Finding] = []

    def keep(kind: str, start: int, end: int, score: float) -> None:
        finding = Finding(kind=kind, start=start, end=end, score=score)
        _insert(kept, finding)
        if kind in kinds:
            _insert(wanted, finding)

    for reading in (Reading(text), *read_disguised(text)):
        words = reading.text
        found: Iterator[Found] = ((kind, start, end, 1.0) for kind, start, end in find_credentials(words))
        if personal:
            found = chain(found, find_personal(reading), find_labelled(words), find_addresses(words))
        for kind, begin, stop, score in found:
            start, end, _ = reading.place(begin, stop)
            keep(kind, start, end, score)
        owned = [each for each in kept if each.kind in PERSONAL]
        for begin, stop in find_names(words) if owned else ():
            start, end, _ = reading.place(begin, stop)
            if any(each.start - _NEAR < end and start < each.end + _NEAR for each in owned):
                keep("PERSON", start, end, _BESIDE)
    for start, end, score in people:
        keep("PERSON", start, end, score)
    return tuple(wanted if kinds else kept)


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


_memory: Memory[tuple[Finding, ...]] = Memory("pii", _IN_MEMORY, _write, _read)
