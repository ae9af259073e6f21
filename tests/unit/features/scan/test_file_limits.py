"""Files that are larger than what is held at once, and libraries that are not there."""

# ruff: noqa: F811 - the fixture is imported, and named again by the tests that take it

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest

from pytest_llmops import scan
from pytest_llmops.detect.recognizers import numbers
from pytest_llmops.detect.scanner import forget
from pytest_llmops.errors import MissingExtraError, ScanError
from pytest_llmops.features.scan import files
from tests.unit.features.scan.test_files import EMAIL, KEY, file  # noqa: F401 - a fixture


def test_without_presidio_one_line_names_the_extra(file, monkeypatch):
    path = file("a.txt", "clean")
    forget()
    monkeypatch.setattr(numbers, "is_installed", lambda: False)

    with pytest.raises(MissingExtraError) as error:
        scan([path])

    assert str(error.value) == 'scan needs: pip install "pytest-llmops[pii]"'


def test_zstd_without_a_library_is_one_line(file, monkeypatch):
    monkeypatch.setattr(files, "find_spec", lambda _: None)

    with pytest.raises(ScanError, match=r"a\.zst: needs: pip install zstandard$"):
        scan([file("a.zst", b"\x28\xb5\x2f\xfd")])


def test_a_bomb_is_an_error_before_it_is_unpacked(file, monkeypatch):
    monkeypatch.setattr(files, "_MOST_UNPACKED", 100_000)

    with pytest.raises(ScanError, match="unpacks to more than 100,000 bytes"):
        scan([file("a.txt.gz", gzip.compress(b"0" * 10_000_000, mtime=0))])


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
