"""What is disguised is found where it stands, and what only looks so is left alone."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.detect.disguises import read_disguised
from pytest_llmops.detect.scanner import scan_texts
from pytest_llmops.text.reading import Reading

EMAIL, CARD, SSN = "tobias.merrivale@willow.co.uk", "4629 1830 5577 1940", "536-22-1234"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def spelt(value: str) -> str:
    return " ".join(NAMES[int(digit)] for digit in value if digit.isdigit())


DISGUISES = {
    "percent": lambda value: "".join(f"%{ord(char):02x}" for char in value),
    "percent in part": lambda value: quote(value, safe=""),
    "html": lambda value: "".join(f"&#{ord(char)};" for char in value),
    "hexadecimal html": lambda value: "".join(f"&#x{ord(char):X};" for char in value),
    "escapes": lambda value: "".join(f"\\u{ord(char):04x}" for char in value),
    "bytes": lambda value: "".join(f"\\x{ord(char):02x}" for char in value),
    "base64": lambda value: base64.b64encode(json.dumps({"value": value}).encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(f"note: {value}".encode()).decode().rstrip("="),
    "base64 in lines": lambda value: base64.encodebytes(f"{'to keep ' * 9}{value}".encode()).decode().strip(),
    "twice base64": lambda value: base64.b64encode(base64.b64encode(f"[{value}]".encode())).decode(),
    "hex": lambda value: value.encode().hex(),
    "JSON in JSON": lambda value: json.dumps(json.dumps({"a": json.dumps(value)})),
    "zero width": "\u200b".join,
    "soft hyphens": "\u00ad".join,
    "full width": lambda value: "".join(
        chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in value
    ),
    "escaped entities": lambda value: html.escape("".join(f"&#{ord(char)};" for char in value)),
}


@pytest.mark.parametrize("value", [EMAIL, CARD, SSN])
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguise_hides_nothing(disguise, value):
    hidden = DISGUISES[disguise](value)
    text = f"note: {hidden} (kept)"

    ((finding,),) = scan_texts([text])

    covered = set(range(finding.start, finding.end)) & set(range(6, 6 + len(hidden)))
    assert len(covered) >= len(value) / 2
    assert finding.start >= 5
    assert finding.end <= 7 + len(hidden)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to mira.holt at example dot org please", "EMAIL_ADDRESS"),
        ("write to mira.holt [at] example [dot] org", "EMAIL_ADDRESS"),
        ("mira(at)example(dot)co(dot)uk", "EMAIL_ADDRESS"),
        ("m.i.r.a.@.e.x.a.m.p.l.e...o.r.g", "EMAIL_ADDRESS"),
        (f"it is {spelt(CARD)}", "CREDIT_CARD"),
        ("call zero double seven double zero nine zero zero one two three", "PHONE_NUMBER"),
        ("4 6 2 9 1 8 3 0 5 5 7 7 1 9 4 0", "CREDIT_CARD"),
        ("5_3_6_2_2_1_2_3_4", "US_SSN"),
        ("m\u0456ra@ex\u0430mple.org", "EMAIL_ADDRESS"),
        ("\u0665\u0663\u0666-\u0662\u0662-\u0661\u0662\u0663\u0664", "US_SSN"),
        ("536\u201322\u20131234", "US_SSN"),
        ("536\u00a022\u00a01234 is my number", "US_SSN"),
    ],
)
def test_what_is_written_another_way_is_read(text, kind):
    (findings,) = scan_texts([text])
    assert [finding.kind for finding in findings] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "we meet at noon, dot the i",
        "look at example.org for more",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "0 1 0 0 1 1 0 1 1 0 1 0",
        "one two three four five six seven eight nine",
        "version 1.2.3.4.5.6.7",
        "100%25 of 50%20 cases",
        "internationalization_of_everything",
        "bea5a439fe69559f08724ca60eb8afca6910cbb9",
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
    ],
)
def test_what_only_looks_disguised_is_left_alone(text):
    assert scan_texts([text]) == [()]


@pytest.mark.parametrize("encode", [base64.b64encode, bytes.hex])
def test_a_long_blob_is_read_to_its_end(encode):
    blob = encode(f"{'nothing here, ' * 2000}{EMAIL}".encode())
    text = blob if isinstance(blob, str) else blob.decode()

    ((finding,),) = scan_texts([text])

    assert finding.kind == "EMAIL_ADDRESS"


@given(st.text(max_size=80))
def test_every_place_of_a_reading_is_one_of_the_text(text):
    for reading in read_disguised(text):
        for start in range(len(reading.text)):
            first, last, _ = reading.place(start, start + 1)
            assert 0 <= first <= last <= len(text)


@given(st.text("abc .,", max_size=60))
def test_plain_text_is_read_as_it_stands(text):
    assert list(read_disguised(text)) == []
    assert Reading(text).place(0, len(text) or 1) == (0, len(text) or 1, False)
