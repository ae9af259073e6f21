"""Personal data and secrets in files, by place and never in clear; gzip and zstd are unpacked."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.mask import mask, mask_pointer
from pytest_llmops.detect.neighbours import Neighbour, group_of, scan_neighbours
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.recognizers.numbers import check_installed
from pytest_llmops.detect.scanner import TIMEOUT_S, scan_labelled
from pytest_llmops.detect.texts import Text, escape, is_cut_json, walk
from pytest_llmops.errors import ScanError
from pytest_llmops.features.scan.yaml_values import YamlValues, read_yaml_values

_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_JSON_START = re.compile(r"\s*(?:\{|\[\s*[\"{\[])")  # not `[2026-11-25 …`, which logs begin with
YAML = frozenset({".yaml", ".yml"})
_SPAN_KEYS = ("/spanId", "/span_id", "/id", "/run_type", "/name")
_MOST_YAML = 1 << 24  # characters of a file whose values are read; a longer one is a text
_BLOCK = 1 << 20  # characters of a text, or of lines, that are scanned at once
_AROUND = 1 << 13  # characters of a long text that are read with a block, before and after it
_PACKED = frozenset({".gz", ".zst"})
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MOST_UNPACKED = 1 << 30  # bytes; a few kilobytes can unpack to any number
_SAMPLE = 8192  # bytes of a file in which a binary one shows

FilePath = str | os.PathLike[str]
_Scan = Callable[[Sequence[tuple[str, str]]], list[list[Finding]]]
"""Returns the findings of pairs of label and text."""


def scan(
    paths: FilePath | Iterable[FilePath], *, names: bool | None = None, timeout_s: float = TIMEOUT_S
) -> list[Finding]:
    """
    Return the personal data and secrets in files, in the order of the files and of places in them.

    In a JSON file every string, number and key is scanned, JSON inside strings too; in a `.jsonl` file
    likewise, each line an item of the pointer, from 0. Any other file is one text. Files of gzip and zstd are
    unpacked.

    Args:
        names: Look for people in running text by a language model; by default if `pii-names` is installed.
        timeout_s: Time limit of one text, in seconds.

    Raises:
        ScanError: A file cannot be read, or is not UTF-8 text, or takes too long.
        MissingExtraError: The extra `pii` is not installed, or with `names` the extra `pii-names`.
    """
    check_installed("scan")
    paths = [paths] if isinstance(paths, str | os.PathLike) else paths
    return [finding for path in paths for finding in scan_file(Path(path), names=names, timeout_s=timeout_s)]


def scan_file(path: Path, *, names: bool | None = None, timeout_s: float = TIMEOUT_S) -> Iterator[Finding]:
    """Yield the findings of one file as `scan` does; those before an error are not lost."""
    check_installed("scan")
    by_model = entities.is_installed() if names is None else names
    suffix = suffix_of(path)
    clean = True
    with open_text(path) as file:
        reader = _File(file, partial(scan_labelled, names=by_model, timeout_s=timeout_s))
        for finding in reader.scan_lines(file) if suffix in _JSON_LINES else reader.scan_text(suffix):
            clean = False
            yield replace(
                finding,
                path=str(path),
                pointer=mask_pointer(finding.pointer),
                key=mask(finding.key, strict=True),
                span=mask(finding.span, strict=True),
            )
    if reader.is_cut and clean:
        raise ScanError(f"{path}: ends within its JSON; nothing was found in it, but a part is missing")


def is_text(path: Path) -> bool:
    """Return whether a file begins as text does, or cannot be read, so that a scan gives the reason."""
    try:
        with _readable(path), path.open("rb") as file, _unpacked(path, file) as unpacked:
            return b"\0" not in unpacked.read(_SAMPLE)
    except ScanError:
        return True


@dataclass(slots=True)
class _File:
    """
    A file that is being scanned, a block at a time.

    Attributes:
        is_cut: A JSON value in it is not complete.
    """

    text: TextIO
    scan: _Scan
    is_cut: bool = False

    def scan_lines(self, lines: Iterable[str]) -> Iterator[Finding]:
        """Scan each line as a JSON value; a value may continue from the last line of a block in the next."""
        before: list[Neighbour] = []
        pointers: list[str] = []
        numbered = enumerate(lines)
        error = None
        while not error:
            block, error = _take(numbered)
            if not block:
                break
            walked = []
            for number, line in block:
                value = line.rstrip("\n")
                self.is_cut = self.is_cut or is_cut_json(value)
                walked.append(list(walk(value, f"/{number}")))
            places = [place for line in walked for place in line]
            neighbours = yield from self._scan_places(places, before, pointers)
            first = len(places) - len(walked[-1])
            before, pointers = neighbours[first:], [place.pointer for place in places[first:]]
        if error:
            raise error

    def scan_text(self, suffix: str) -> Iterator[Finding]:
        """Scan one text, one JSON or YAML value, or lines of JSON; a long text in blocks that overlap."""
        text = self.text.read(_BLOCK)
        if _is_json_file(suffix, text):
            yield from self._scan_json(text)
            return
        if suffix in YAML:
            text += self.text.read(_MOST_YAML - len(text))
            if len(text) < _MOST_YAML and (document := read_yaml_values(text)):
                yield from self._scan_yaml(text, document)
                return
        if len(text) < _BLOCK:
            yield from self._scan_places(list(walk(text)), [], [])
        else:
            yield from self._scan_blocks(text, self.text)

    def _scan_json(self, text: str) -> Iterator[Finding]:
        """Scan one value, or lines of which the first is one, as collectors write them to any file."""
        text += self.text.readline()
        if _is_json_lines(text):
            yield from self.scan_lines(chain(io.StringIO(text), self.text))
            return
        text += self.text.read()
        self.is_cut = is_cut_json(text)
        yield from self._scan_places(list(walk(text)), [], [])

    def _scan_yaml(self, text: str, document: YamlValues) -> Iterator[Finding]:
        """Scan values by their keys, then the text for what else is in it, such as comments."""
        known: dict[str, list[tuple[str, str]]] = defaultdict(list)
        places = list(walk(document.value))
        texts = {place.pointer: place.text for place in places}
        for finding in self._scan_places(places, [], []):
            yield finding
            value = texts[finding.pointer][finding.start : finding.end]
            known[document.find_scalar(finding.pointer)].append((finding.kind, value))
        for finding in self._scan_blocks(text[:_BLOCK], io.StringIO(text[_BLOCK:])):
            same = known[document.find_scalar_at(finding.start)]
            value = text[finding.start : finding.end]
            match = next((pair for pair in same if finding.kind == pair[0] or value == pair[1]), None)
            if match:
                same.remove(match)
            else:
                yield finding

    def _scan_places(
        self, places: Sequence[Text], before: Sequence[Neighbour], pointers: Sequence[str]
    ) -> Generator[Finding, None, list[Neighbour]]:
        """Yield findings at JSON pointers, and values cut over neighbouring texts, some of them `before`."""
        scans = self.scan([(place.label, place.text) for place in places])
        neighbours = [
            Neighbour(group_of(*place), place.label, place.text, findings)
            for place, findings in zip(places, scans, strict=True)
        ]
        spans = SpanNames(places)
        for place, findings in zip(places, scans, strict=True):
            for finding in findings:
                key = "" if escape(place.name) in place.pointer.split("/") else place.name
                yield replace(finding, pointer=place.pointer, key=key, span=spans.find(place.pointer))
        pointers = [*pointers, *(place.pointer for place in places)]
        for cut in scan_neighbours([*before, *neighbours]):
            if cut.parts[-1].at >= len(before):
                pointer = pointers[cut.parts[0].at]
                yield replace(cut.finding, pointer=pointer, span=spans.find(pointer))
        return neighbours

    def _scan_blocks(self, text: str, rest: TextIO) -> Iterator[Finding]:
        """Scan a text and the rest after it."""
        at = 0  # start of this block in the file's text
        done = 0  # end of the last finding
        while text:
            more = rest.read(_BLOCK)
            until = len(text) - _AROUND if more else len(text)
            for finding in self.scan([("", text)])[0]:
                if at + finding.start >= done and finding.start < until:
                    done = at + finding.end
                    yield replace(finding, start=at + finding.start, end=at + finding.end)
            if not more:
                return
            done = max(done, at + until)
            kept = max(0, until - _AROUND)
            at, text = at + kept, text[kept:] + more


class SpanNames:
    """Name and id of the span of OTLP or ours, or the LangSmith run, that each place is in."""

    def __init__(self, places: Sequence[Text]) -> None:
        self._places = places
        self._texts: dict[str, str] | None = None

    def find(self, pointer: str) -> str:
        if self._texts is None:  # most files are clean
            self._texts = {
                place.pointer: place.text for place in self._places if place.pointer.endswith(_SPAN_KEYS)
            }
        while True:
            span_id, own_id, run_id, run_type, name = (
                self._texts.get(f"{pointer}{key}", "") for key in _SPAN_KEYS
            )
            if identity := span_id or own_id or (run_type and run_id):
                return f"{name} {identity}".strip()
            if not pointer:
                return ""
            pointer = pointer.rpartition("/")[0]


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in lower case, unpacked."""
    return next((suffix for suffix in reversed(path.suffixes) if suffix.lower() not in _PACKED), "").lower()


def has_json_lines(suffix: str, text: str) -> bool:
    """Return whether a file is read as lines of JSON, whose number begins each pointer."""
    return suffix in _JSON_LINES or (_is_json_file(suffix, text) and _is_json_lines(text))


def _is_json_file(suffix: str, text: str) -> bool:
    return suffix == ".json" or bool(_JSON_START.match(text))


def _is_json_lines(text: str) -> bool:
    first, _, rest = text.lstrip().partition("\n")
    return bool(rest.strip()) and _is_json(first)


def _is_json(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _take(lines: Iterator[tuple[int, str]]) -> tuple[list[tuple[int, str]], Exception | None]:
    """Return the lines of a block, and the error that kept the next from being read."""
    block: list[tuple[int, str]] = []
    length = 0
    try:
        while length < _BLOCK and (numbered := next(lines, None)):
            block.append(numbered)
            length += len(numbered[1])
    except Exception as error:  # noqa: BLE001 - raised when the lines before it are scanned
        return block, error
    return block, None


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """
    Open the file as text, unpacked.

    Raises:
        ScanError: It cannot be read to its end: here, or while it is read.
    """
    with _readable(path), path.open("rb") as file, _unpacked(path, file) as unpacked:
        yield io.TextIOWrapper(unpacked, encoding="utf-8-sig")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise ScanError(f"{path}: cannot be scanned, it is not UTF-8 text") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ScanError(f"{path}: cannot be unpacked, it is cut off or damaged") from error
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror or error}); name files") from error
    except Exception as error:
        if type(error).__name__ != "ZstdError":  # of either library
            raise
        raise ScanError(f"{path}: cannot be unpacked, it is cut off or damaged") from error


def _unpacked(path: Path, file: BinaryIO) -> io.BufferedReader:
    start = file.read(len(_ZSTD))
    file.seek(0)
    if start.startswith(_GZIP):
        return io.BufferedReader(_Limited(path, cast("BinaryIO", gzip.GzipFile(fileobj=file))))
    if start != _ZSTD:
        return io.BufferedReader(cast("io.RawIOBase", file))
    for name in ("compression.zstd", "zstandard"):
        if find_spec(name.partition(".")[0]) and find_spec(name):
            return io.BufferedReader(_Limited(path, import_module(name).open(file, "rb")))
    raise ScanError(f"{path}: needs: pip install zstandard")


class _Limited(io.RawIOBase):
    """An unpacked stream that raises ScanError beyond a limit."""

    def __init__(self, path: Path, unpacked: BinaryIO) -> None:
        self._path, self._unpacked, self._left = path, unpacked, _MOST_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # BufferedReader passes one
        read = self._unpacked.read(min(len(buffer), self._left + 1))
        self._left -= len(read)
        if self._left < 0:
            raise ScanError(
                f"{self._path}: unpacks to more than {_MOST_UNPACKED:,} bytes; unpack it and scan that"
            )
        buffer[: len(read)] = read
        return len(read)
