from __future__ import annotations

import gzip
import json
from importlib.util import find_spec

import pytest

from pytest_llmops import scan
from pytest_llmops.errors import ScanError

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
        ("a.yaml", f"calls:\n- body: {KEY}\n", "/calls/0/body", f"<API_KEY {len(KEY)} chars>"),
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


def test_packed_files_are_unpacked(file):
    packed = gzip.compress(f'{{"a": 1}}\n{{"to": "{EMAIL}"}}\n'.encode())

    (found,) = scan([file("a.jsonl.gz", packed)])

    assert (found.pointer, found.mask) == ("/1/to", MAIL_MASK)
    assert [each.mask for each in scan([file("without-suffix", gzip.compress(EMAIL.encode()))])] == [
        MAIL_MASK
    ]


@pytest.mark.skipif(not find_spec("zstandard"), reason="needs zstandard")
def test_zstd_is_unpacked_and_damage_is_named(file):
    import zstandard

    packed = zstandard.compress(f"{EMAIL}\n".encode() * 1000)

    assert scan([file("a.txt.zst", packed)])
    with pytest.raises(ScanError, match="cut off or damaged"):
        scan([file("b.zst", packed[:4] + b"\xff" * 40)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.gz", gzip.compress(b"0123456789" * 1000, mtime=0)[:-12], "cut off or damaged"),
        ("a.gz", b"\x1f\x8b not gzip", "cut off or damaged"),
        ("a.jsonl", b'{"a": 1}\n\xff\xfe\n', "not UTF-8 text"),
        ("a.json", b'{"a": [1, 2', "ends within its JSON"),
        ("a.json", b'{"a": "text', "ends within its JSON"),
        ("a.jsonl", b'{"a": 1}\n{"a": ', "ends within its JSON"),
    ],
)
def test_what_is_not_complete_is_not_clean(file, name, content, message):
    path = file(name, content)

    with pytest.raises(ScanError, match=message) as error:
        scan([path])

    assert str(error.value).startswith(f"{path}: ")
