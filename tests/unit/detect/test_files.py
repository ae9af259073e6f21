from __future__ import annotations

import json

import pytest

from pytest_llmops import scan
from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.detect.scanner import forget
from pytest_llmops.errors import MissingExtraError, ScanError

EMAIL = "tobias.merrivale@willow.co.uk"
KEY = "sk-" + "proj-a1B2" * 4
MAIL_MASK = "<EMAIL_ADDRESS 29 chars>"


@pytest.fixture
def file(tmp_path):
    def write(name: str, content: str | bytes):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "content", "pointer", "mask"),
    [
        ("a.json", json.dumps({"to": [f"Write to {EMAIL}."]}), "/to/0", MAIL_MASK),
        ("a.json", json.dumps([json.dumps({"a/b": EMAIL})]), "/0/a~1b", MAIL_MASK),
        ("a.json", '{"to": "tobias.merrivale\\u0040willow.co.uk"}', "/to", MAIL_MASK),
        ("a.json", '{"ssn": 536221234}', "/ssn", "<US_SSN 9 chars>"),
        ("a.json", f'\ufeff["{EMAIL}"]', "/0", MAIL_MASK),
        ("a.JSONL", f'{{"a": 1}}\n{{"a": "\\u0020{EMAIL}"}}\n', "/1/a", MAIL_MASK),
        ("a.json", f'{{"broken": "{EMAIL}', "", MAIL_MASK),
        ("a.yaml", f"calls:\n- body: {KEY}\n", "", f"<API_KEY {len(KEY)} chars>"),
        ("a.log", f"{EMAIL}\n", "", MAIL_MASK),
    ],
)
def test_a_finding_has_its_file_place_and_mask(file, name, content, pointer, mask):
    path = file(name, content)

    (found,) = scan([path])

    assert (found.path, found.pointer, found.mask) == (str(path), pointer, mask)


def test_a_finding_never_holds_the_value(file):
    found = scan([file("a.json", json.dumps({EMAIL: f"{EMAIL} and {KEY}"}))])

    assert [each.kind for each in found] == ["EMAIL_ADDRESS", "EMAIL_ADDRESS", "API_KEY"]
    assert {each.pointer for each in found} == {"/<EMAIL_ADDRESS>"}
    assert EMAIL not in repr(found)
    assert KEY not in repr(found)


def test_the_place_in_a_text_counts_from_its_start(file):
    text = f"At {EMAIL}, by {KEY}."

    found = scan([file("a.txt", text)])

    assert [text[each.start : each.end] for each in found] == [EMAIL, KEY]


def test_files_come_in_their_order_and_one_may_be_named_alone(file):
    first, clean, second = file("1.txt", EMAIL), file("2.txt", "clean"), file("3.txt", KEY)

    assert [each.path for each in scan(path for path in (first, clean, second))] == [str(first), str(second)]
    assert len(scan(str(first))) == len(scan(first)) == 1
    assert scan([]) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"\xff\xfe\x00a", "it is not UTF-8 text")],
)
def test_a_file_that_cannot_be_read_is_no_clean_one(file, tmp_path, content, message):
    path = tmp_path if content is None else file("a.bin", content)

    with pytest.raises(ScanError, match=message) as error:
        scan([path])

    assert str(path) in str(error.value)


def test_without_presidio_one_line_names_the_extra(file, monkeypatch):
    path = file("a.txt", "clean")
    forget()
    monkeypatch.setattr(numbers, "is_installed", lambda: False)

    with pytest.raises(MissingExtraError) as error:
        scan([path])

    assert str(error.value) == 'scan needs: pip install "pytest-llmops[pii]"'
