"""A clean result is one that was made by a scanner that works, in time, and signed by who made it."""

from __future__ import annotations

import sqlite3
import time
from threading import Event

import pytest

from pytest_llmops import cache
from pytest_llmops.detect import scanner
from pytest_llmops.detect.canaries import CANARY_KINDS, make_canaries
from pytest_llmops.detect.finding import KINDS
from pytest_llmops.detect.mask import mask
from pytest_llmops.detect.recognizers import entities, numbers
from pytest_llmops.detect.scanner import forget, scan_texts
from pytest_llmops.errors import ScanError
from pytest_llmops.metrics.pii_leak import PiiLeak
from pytest_llmops.records import Output, Sample
from pytest_llmops.runner.scoring import score_here, score_safely

LEAK = "Write to tobias.merrivale@willow.co.uk"


@pytest.fixture
def untested():
    """A scanner that has not been tested in this process, and is tested anew afterwards."""
    forget()
    yield
    forget()


def test_every_kind_but_what_the_project_names_has_canaries():
    assert set(CANARY_KINDS) == set(KINDS) - {"DENIED"}


@pytest.mark.parametrize("kind", CANARY_KINDS)
def test_the_scanner_finds_each_canary_where_it_stands(kind):
    canaries = make_canaries(kinds=(kind,), count=25, seed=3)
    scans = scan_texts([f"It says {each.text} there." for each in canaries])

    assert len({each.value for each in canaries}) == 25
    for canary, findings in zip(canaries, scans, strict=True):
        text = f"It says {canary.text} there."
        assert [(finding.kind, text[finding.start : finding.end]) for finding in findings] == [
            (kind, canary.value)
        ]


def test_a_seed_fixes_the_canaries_and_none_does_not():
    assert make_canaries(seed=1) == make_canaries(seed=1)
    assert make_canaries(kinds=("JWT",)) != make_canaries(kinds=("JWT",))


@pytest.mark.usefixtures("untested")
def test_a_scanner_whose_patterns_are_lost_is_an_error(monkeypatch):
    monkeypatch.setattr(scanner, "find_personal", lambda *_: iter(()))

    with pytest.raises(ScanError, match=r"does not find what it must \(EMAIL_ADDRESS, .*PHONE_NUMBER"):
        scan_texts(["an ordinary text"])


@pytest.mark.usefixtures("untested")
def test_a_kind_that_is_lost_is_named(monkeypatch):
    kept = tuple(kind for kind in numbers._KINDS if kind.name != "CREDIT_CARD")
    monkeypatch.setattr(numbers, "_KINDS", kept)

    with pytest.raises(ScanError, match=r"does not find what it must \(CREDIT_CARD\)"):
        scan_texts(["an ordinary text"])


@pytest.mark.usefixtures("untested")
def test_a_recogniser_that_confirms_nothing_is_an_error(monkeypatch):
    monkeypatch.setattr(scanner, "recognise", lambda _: [])

    with pytest.raises(ScanError, match=r"does not find what it must \(EMAIL_ADDRESS\)"):
        scan_texts([LEAK])


@pytest.mark.usefixtures("untested")
def test_masking_without_presidio_tests_the_secrets(monkeypatch):
    monkeypatch.setattr(numbers, "is_installed", lambda: False)
    monkeypatch.setattr(scanner, "find_credentials", lambda _: iter(()))

    with pytest.raises(ScanError, match="PRIVATE_KEY, JWT, API_KEY"):
        mask("a text")


@pytest.mark.skipif(not entities.is_installed(), reason="needs the extra pii-names")
@pytest.mark.usefixtures("untested")
def test_a_model_that_finds_nobody_is_an_error(monkeypatch):
    monkeypatch.setattr(entities, "find_people", lambda texts: iter([[] for _ in texts]))

    with pytest.raises(ScanError, match="finds no name"):
        scan_texts(["Anna Berg came."], names=True)


@pytest.mark.usefixtures("untested")
def test_the_test_is_done_once_and_takes_no_time():
    scan_texts([LEAK])  # imports
    forget()
    started = time.perf_counter()
    scan_texts(["an ordinary text"])
    first = time.perf_counter() - started

    assert first < 0.2  # a fifth of that on an idle machine
    assert scanner._check_canaries.cache_info().misses == 1


def test_a_clean_row_that_was_written_by_hand_is_not_believed(cache_folder):
    found = scan_texts([LEAK])
    forget()
    with sqlite3.connect(cache_folder / cache.FILE) as connection:
        connection.execute("UPDATE entries SET value = ?", (b"[]",))
    connection.close()

    assert scan_texts([LEAK]) == found != [()]


def test_the_clean_row_of_another_text_is_not_believed(cache_folder):
    found = scan_texts([LEAK])
    scan_texts(["clean"])
    forget()
    with sqlite3.connect(cache_folder / cache.FILE) as connection:
        clean = connection.execute("SELECT value FROM entries WHERE length(value) = 18").fetchone()
        assert clean
        connection.execute("UPDATE entries SET value = ?", clean)
    connection.close()

    assert scan_texts([LEAK]) == found


def test_a_row_that_nobody_touched_is_not_made_again(cache_folder, monkeypatch):
    found = scan_texts([LEAK])
    forget()
    monkeypatch.setattr(scanner, "_scan", None)

    assert cache_folder.is_dir()
    assert scan_texts([LEAK]) == found


def test_rows_of_other_libraries_are_made_again(cache_folder, monkeypatch):
    scan_texts([LEAK])
    scanner._memory.forget()
    monkeypatch.setattr(scanner, "_describe_libraries", lambda **_: "phonenumbers 0")
    monkeypatch.setattr(scanner, "find_personal", lambda *_: ())

    assert cache_folder.is_dir()
    assert scan_texts([LEAK]) == [()]


@pytest.mark.usefixtures("untested")
def test_what_hangs_is_an_error_of_its_output_and_no_clean_one(monkeypatch):
    scan_texts([LEAK])
    ended = Event()
    real = scanner._scan

    def hang(text: str, **options: object) -> object:
        if "hang" in text:
            ended.wait(10)
        return real(text, **options)

    monkeypatch.setattr(scanner, "_scan", hang)
    samples = [Sample(output=Output(text=text)) for text in ("first", f"hang {LEAK}")]
    try:
        results = score_safely(score_here, PiiLeak(timeout_s=0.2), samples)
    finally:
        ended.set()

    assert [type(result).__name__ for result in results] == ["Score", "Failure"]
    assert "(timeout_s)" in results[1].error


@pytest.mark.usefixtures("untested")
def test_what_was_scanned_before_a_hang_is_kept(monkeypatch):
    ended = Event()
    real = scanner._scan
    scanned = []

    def hang(text: str, **options: object) -> object:
        scanned.append(text)
        if text == "hang":
            ended.wait(10)
        return real(text, **options)

    scan_texts(["warm"])
    monkeypatch.setattr(scanner, "_scan", hang)
    try:
        with pytest.raises(ScanError):
            scan_texts(["before", "hang"], timeout_s=0.2)
    finally:
        ended.set()

    scan_texts(["before"], timeout_s=5)
    assert scanned.count("before") == 1


def test_recognisers_are_made_once():
    numbers.forget()
    scan_texts([f"{LEAK} {at}" for at in range(3)])

    assert numbers._made.cache_info().misses == 1
