"""Files that are scanned: what they hold that must not be there, with its place and never in clear."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.mask import mask_pointer
from pytest_llmops.detect.neighbours import Neighbour, group_of, scan_neighbours
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.recognizers.numbers import check_installed
from pytest_llmops.detect.scanner import scan_labelled
from pytest_llmops.detect.soundness.time_limit import TIMEOUT_S
from pytest_llmops.detect.texts import is_cut_json, label_of, walk
from pytest_llmops.detect.unpacking import PACKED, open_text
from pytest_llmops.errors import ScanError

_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_JSON_START = re.compile(r"\s*(?:\{|\[\s*[\"{\[])")  # not `[2026-11-25 …`, which logs begin with
_BLOCK = 1 << 20  # characters of a text, or of lines, that are scanned at once
_AROUND = 1 << 13  # characters of a long text that are read with a block, before and after it

FilePath = str | os.PathLike[str]
_Scan = Callable[[Sequence[tuple[str, str]]], list[list[Finding]]]
"""The findings of pairs of label and text."""


def scan(
    paths: FilePath | Iterable[FilePath], *, names: bool | None = None, timeout_s: float = TIMEOUT_S
) -> list[Finding]:
    """
    The personal data and secrets in files, in the order of the files and of places in them.

    Of a JSON file every string, number and key is scanned, of JSON inside strings too; of a `.jsonl` file
    the same, each line an item of the pointer, from 0. Any other file is one text. Files of gzip and zstd are
    unpacked.

    Args:
        names: Look for people in running text by a language model; by default where `pii-names` is installed.
        timeout_s: Time limit of one text, in seconds.

    Raises:
        ScanError: A file cannot be read, or is not UTF-8 text, or takes too long.
        MissingExtraError: The extra `pii` is not installed, or with `names` the extra `pii-names`.
    """
    check_installed("scan")
    named = [paths] if isinstance(paths, str | os.PathLike) else paths
    return [each for path in named for each in scan_file(Path(path), names=names, timeout_s=timeout_s)]


def scan_file(path: Path, *, names: bool | None = None, timeout_s: float = TIMEOUT_S) -> Iterator[Finding]:
    """As `scan`, of one file: what is found before an error is not lost."""
    check_installed("scan")
    by_model = entities.is_installed() if names is None else names
    suffix = next((each for each in reversed(path.suffixes) if each.lower() not in PACKED), "").lower()
    found = False
    with open_text(path) as file:
        reader = _File(file, partial(scan_labelled, names=by_model, timeout_s=timeout_s))
        for finding in reader.scan_lines() if suffix in _JSON_LINES else reader.scan_text(suffix):
            found = True
            yield replace(finding, path=str(path), pointer=mask_pointer(finding.pointer))
    if reader.is_cut and not found:
        raise ScanError(f"{path}: ends within its JSON; nothing was found in it, but a part is missing")


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

    def scan_lines(self) -> Iterator[Finding]:
        """Each line a JSON value; of the last line of a block a value may go on in the next block."""
        before: list[Neighbour] = []
        pointers: list[str] = []
        numbered = enumerate(self.text)
        error = None
        while not error:
            block, error = _take(numbered)
            if not block:
                break
            lines = [
                [(f"/{number}{pointer}", text) for pointer, text in self._walk(line)]
                for number, line in block
            ]
            places = [place for line in lines for place in line]
            neighbours = yield from self._scan_places(places, before, pointers)
            first = len(places) - len(lines[-1])
            before, pointers = neighbours[first:], [pointer for pointer, _ in places[first:]]
        if error:
            raise error

    def scan_text(self, suffix: str) -> Iterator[Finding]:
        """One text, or one JSON value; a long text in blocks that share what is around."""
        text = self.text.read(_BLOCK)
        if suffix == ".json" or _JSON_START.match(text):
            text += self.text.read()
            self.is_cut = is_cut_json(text)
        elif len(text) == _BLOCK:
            yield from self._scan_blocks(text)
            return
        yield from self._scan_places(list(walk(text)), [], [])

    def _walk(self, line: str) -> Iterator[tuple[str, str]]:
        line = line.rstrip("\n")
        self.is_cut = self.is_cut or is_cut_json(line)
        return walk(line)

    def _scan_places(
        self, places: Sequence[tuple[str, str]], before: Sequence[Neighbour], pointers: Sequence[str]
    ) -> Generator[Finding, None, list[Neighbour]]:
        """What is found at JSON pointers, and cut over neighbouring ones; some stand before these."""
        labelled = [(label_of(pointer, text), text) for pointer, text in places]
        scans = self.scan(labelled)
        neighbours = [
            Neighbour(group_of(pointer, text), label, text, found)
            for (pointer, _), (label, text), found in zip(places, labelled, scans, strict=True)
        ]
        for (pointer, _), found in zip(places, scans, strict=True):
            yield from (replace(each, pointer=pointer) for each in found)
        every = [*pointers, *(pointer for pointer, _ in places)]
        for cut in scan_neighbours([*before, *neighbours]):
            if cut.parts[-1].at >= len(before):
                yield replace(cut.finding, pointer=every[cut.parts[0].at])
        return neighbours

    def _scan_blocks(self, text: str) -> Iterator[Finding]:
        at = 0  # of the text read so far, where this one begins
        done = 0  # where the last finding ended
        while text:
            more = self.text.read(_BLOCK)
            until = len(text) - _AROUND if more else len(text)
            for each in self.scan([("", text)])[0]:
                if at + each.start >= done and each.start < until:
                    done = at + each.end
                    yield replace(each, start=at + each.start, end=at + each.end)
            if not more:
                return
            done = max(done, at + until)
            kept = max(0, until - _AROUND)
            at, text = at + kept, text[kept:] + more


def _take(lines: Iterator[tuple[int, str]]) -> tuple[list[tuple[int, str]], Exception | None]:
    """Lines of a block, and what kept the next from being read."""
    block: list[tuple[int, str]] = []
    length = 0
    try:
        while length < _BLOCK and (numbered := next(lines, None)):
            block.append(numbered)
            length += len(numbered[1])
    except Exception as error:  # noqa: BLE001 - raised when the lines before it are scanned
        return block, error
    return block, None
