"""Files that are scanned: what they hold that must not be there, with its place and never in clear."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pytest_llmops.detect.finding import Finding
from pytest_llmops.detect.mask import mask_pointer
from pytest_llmops.detect.recognizers import entities
from pytest_llmops.detect.recognizers.numbers import check_installed
from pytest_llmops.detect.scanner import scan_labelled
from pytest_llmops.detect.texts import label_of, walk
from pytest_llmops.errors import ScanError

_JSON_LINES = frozenset({".jsonl", ".ndjson"})

FilePath = str | os.PathLike[str]


def scan(paths: FilePath | Iterable[FilePath], *, names: bool | None = None) -> list[Finding]:
    """
    The personal data and secrets in files, in the order of the files and of places in them.

    Of a JSON file every string, number and key is scanned, of JSON inside strings too; of a `.jsonl` file
    the same, each line an item of the pointer, from 0. Any other file is one text.

    Args:
        names: Look for people in running text by a language model; by default where `pii-names` is installed.

    Raises:
        ScanError: A file cannot be read, or is not UTF-8 text.
        MissingExtraError: The extra `pii` is not installed, or with `names` the extra `pii-names`.
    """
    check_installed("scan")
    named = [paths] if isinstance(paths, str | os.PathLike) else paths
    by_model = entities.is_installed() if names is None else names
    return [finding for path in named for finding in _scan_file(Path(path), names=by_model)]


def _scan_file(path: Path, *, names: bool) -> Iterator[Finding]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ScanError(f"{path}: cannot be read ({error.strerror}); name files") from error
    except UnicodeDecodeError as error:
        raise ScanError(f"{path}: cannot be scanned, it is not UTF-8 text") from error
    places = list(walk(text.split("\n") if path.suffix.lower() in _JSON_LINES else text))
    scans = scan_labelled([(label_of(pointer, each), each) for pointer, each in places], names=names)
    for (pointer, _), findings in zip(places, scans, strict=True):
        for finding in findings:
            yield replace(finding, path=str(path), pointer=mask_pointer(pointer))
