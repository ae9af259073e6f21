from __future__ import annotations

import gzip
import json
import tracemalloc
from importlib.util import find_spec

import pytest

from pytest_llmops import scan
from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.detect.scanner import forget
from pytest_llmops.errors import MissingExtraError, ScanError
from pytest_llmops.features.scan import files

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


def test_zstd_without_a_library_is_one_line(file, monkeypatch):
    monkeypatch.setattr(files, "find_spec", lambda _: None)

    with pytest.raises(ScanError, match=r"a\.zst: needs: pip install zstandard$"):
        scan([file("a.zst", b"\x28\xb5\x2f\xfd")])


def test_a_bomb_is_an_error_before_it_is_unpacked(file, monkeypatch):
    monkeypatch.setattr(files, "_MOST_UNPACKED", 100_000)

    with pytest.raises(ScanError, match="unpacks to more than 100,000 bytes"):
        scan([file("a.txt.gz", gzip.compress(b"0" * 10_000_000, mtime=0))])


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


@pytest.mark.parametrize("at", [0, 90, 100, 150, 200, 1000])
def test_a_long_text_is_read_in_blocks_and_each_finding_is_reported_once(file, monkeypatch, at):
    monkeypatch.setattr(files, "_BLOCK", 200)
    monkeypatch.setattr(files, "_AROUND", 60)
    text = f"{'word ' * (at // 5)}{EMAIL} {'more ' * 100}{KEY}{' end' * 50}"

    found = scan([file("a.txt", text)])

    assert [text[each.start : each.end] for each in found] == [EMAIL, KEY]


def test_lines_are_read_in_blocks_and_cut_values_go_on_in_the_next(file, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK", 20)
    lines = [{"delta": text} for text in ("an ordinary text", "call +1 202-555", "-0143", f"or {EMAIL}")]

    found = scan([file("a.jsonl", "\n".join(map(json.dumps, lines)))])

    assert {(each.kind, each.pointer) for each in found} == {
        ("PHONE_NUMBER", "/1/delta"),
        ("EMAIL_ADDRESS", "/3/delta"),
    }


def test_a_big_file_is_not_held_whole(file, monkeypatch):
    monkeypatch.setattr(files, "_BLOCK", 1 << 16)
    path = file("a.jsonl", (json.dumps({"text": "an ordinary text " * 20}) + "\n") * 10_000)
    scan([file("b.jsonl", "{}")])
    tracemalloc.start()
    try:
        assert scan([path]) == []
        held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert path.stat().st_size > 3_500_000
    assert held < 2_000_000
