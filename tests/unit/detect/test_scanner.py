from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import cache
from pytest_llmops.detect import scanner
from pytest_llmops.detect.mask import mask
from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.detect.scanner import forget, scan_texts
from pytest_llmops.errors import MissingExtraError
from tests.unit.detect.samples import CASES, carry, kinds


@pytest.mark.parametrize(("kind", "value"), CASES)
def test_each_kind_is_found_where_it_stands(kind, value):
    text = carry(kind, value)

    ((finding,),) = scan_texts([text])

    assert finding.kind == kind
    assert text[finding.start : finding.end] == value
    assert finding.mask == f"<{kind} {len(value)} chars>"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("social security number 536 22 1234", "US_SSN"),
        ('{"ssn": "536221234"}', "US_SSN"),
        ("Call me on 07700 900461.", "PHONE_NUMBER"),
        ("tel: 020 7946 0958", "PHONE_NUMBER"),
        ('send_sms(to="07700 900181")', "PHONE_NUMBER"),
        ("GET /profile?email=bob@willow.net&v=1", "EMAIL_ADDRESS"),
        ("Authorization: Bearer " + "a1b2" * 8, "API_KEY"),
        ("STRIPE_SECRET=" + "Zx9" * 9, "API_KEY"),
    ],
)
def test_a_word_before_it_tells_a_number(text, kind):
    assert kinds(text) == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "Order FW-10427 was shipped with tracking 1ZVEKDBJ3257420567.",
        "Within 60 days; \u20ac129.95 or 1,299.00; sizes 36-48; see returns#window.",
        "Delivered on 2026-11-25T13:05:04.123456Z, or 25/11/2026 13:05.",
        "Upgrade from 28.6.7.18 to 5.15.13.",
        "f58a4077-abfa-2e9d-b461-c0203cb029c0 and bea5a439fe69559f08724ca60eb8afca6910cbb9",
        "span 4123456789012345 of trace 0af7651916cd43dd8448eb211c80319c",
        "1732542000.123456 1732542000123 1732542000123456789",
        "0.4111111111111111 and -4111111111111111",
        "0.3333333333333333 0.6363636363636363 of 1",
        "127.0.0.1:6831 0.0.0.0 ::1 192.168.1.7 10.0.0.12",
        "call 1042773 for order 90817",
        "call id 15123456789, number 8123456789012340",
        "git@github.com:shop/app.git and icon@2x.png and @pytest.mark",
        "std::vector a::b 12:30:45 aa:bb:cc:dd:ee:ff",
        "postgres://admin:***@db https://shop.example/a?b=c:d",
        "prompt_tokens=4111 completion_tokens=1111 total 1111",
        "EC numbers, ISBN 978-3-16-148410-0, part 4711-0815-2342",
        "My name is sk-learn and ghp_short and eyJ.",
    ],
)
def test_ordinary_text_raises_no_alarm(text):
    assert kinds(text) == []


@given(st.text("a1@.-:+/ =eyJsk_()4\u00e9", max_size=80))
def test_findings_are_in_order_and_apart(text):
    (findings,) = scan_texts([text])

    ends = [0]
    for finding in findings:
        assert ends[-1] <= finding.start < finding.end <= len(text)
        ends.append(finding.end)


def test_findings_come_in_the_order_of_texts():
    assert [len(found) for found in scan_texts(["", "a@willow.net", "b", "a@willow.net"])] == [0, 1, 0, 1]


def test_of_two_kinds_in_one_place_the_graver_is_reported():
    assert kinds("https://me:secret@willow.net") == ["PASSWORD_IN_URL"]


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1." * 1400,
        "a@" * 4000,
        "1 " * 4000,
        "A1" * 4000,
        "eyJ" * 2700,
        ":" * 8000,
        "a://b:" * 1300,
        "+1" * 4000,
    ],
)
def test_hostile_text_is_read_to_its_end(text):
    """A pattern that backtracks without bound would not come back from these."""
    assert kinds(f"{text} a@willow.net")[-1] == "EMAIL_ADDRESS"


@pytest.mark.parametrize(
    "unit",
    [
        "12 Main St ",
        "Aa ",
        "password=",
        "token: a1",
        "national id 44051401359 ",
        "mail a@b.co ",
        "\u200b",
        "1-1-",
    ],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(unit):
    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length]
        started = time.process_time()
        scanner._scan(text)
        return time.process_time() - started

    seconds(100)  # imports

    assert seconds(32_000) < 3  # 0.1 on an idle machine
    assert seconds(160_000) < 2.5  # 0.3; a quadratic scan takes 25 times as long as before


def test_a_kept_scan_holds_no_text_and_imports_nothing(cache_folder):
    text = "Write to tobias.merrivale@willow.co.uk"
    found = scan_texts([text])
    forget()
    code = (
        "import sys; from pathlib import Path; from pytest_llmops import cache\n"
        "from pytest_llmops.detect.scanner import scan_texts\n"
        "cache.use_cache(Path(sys.argv[1])); found = scan_texts([sys.argv[2]])\n"
        "print(found[0][0].kind, found[0][0].start, 'presidio_analyzer' in sys.modules)"
    )

    told = subprocess.run(  # noqa: S603  written above
        [sys.executable, "-c", code, str(cache_folder), text], capture_output=True, text=True, check=True
    )

    assert told.stdout.split() == ["EMAIL_ADDRESS", "9", "False"]
    assert scan_texts([text]) == found
    cache.use_cache(None)
    assert b"merrivale" not in b"".join(path.read_bytes() for path in cache_folder.iterdir())


@pytest.mark.parametrize(
    "stored",
    [b"", b"[[1", b"[1]", json.dumps([["EMAIL_ADDRESS", 0, 999, 1.0]]).encode(), b'[["X", 0, 1, 1.0]]'],
)
def test_a_kept_scan_that_cannot_be_is_made_again(cache_folder, stored):
    found = scan_texts(["a@willow.net"])
    forget()
    with sqlite3.connect(cache_folder / cache.FILE) as connection:
        connection.execute("UPDATE entries SET value = ?", (stored,))
    connection.close()

    assert scan_texts(["a@willow.net"]) == found


def test_a_scan_that_another_version_kept_is_made_again(monkeypatch, cache_folder):
    assert cache_folder.is_dir()
    assert scan_texts(["a@willow.net"]) != [()]
    monkeypatch.setattr(scanner, "VERSION", scanner.VERSION + 1)
    monkeypatch.setattr(scanner, "find_personal", lambda *_: ())

    assert scan_texts(["a@willow.net"]) == [()]


def test_without_presidio_the_extra_is_named_whatever_the_text(monkeypatch):
    forget()
    monkeypatch.setattr(numbers, "is_installed", lambda: False)

    with pytest.raises(MissingExtraError, match=r'pip install "pytest-llmops\[pii\]"'):
        scan_texts(["an ordinary text"])


def test_presidio_is_looked_up_once(monkeypatch):
    looked_up = []
    monkeypatch.setattr(numbers, "find_spec", looked_up.append)
    numbers.is_installed.cache_clear()
    try:
        masked = [mask(f"text {number} of a@willow.net") for number in range(3)]
    finally:
        numbers.is_installed.cache_clear()

    assert looked_up == ["presidio_analyzer"]
    assert masked[0] == "text 0 of a@willow.net"


def test_a_scan_opens_no_socket(monkeypatch):
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    forget()
    numbers.forget()
    monkeypatch.setattr(socket.socket, "connect", refuse)

    assert kinds("a fresh address, c@willow.co.uk") == ["EMAIL_ADDRESS"]
