"""`llmops scan PATH…`: personal data and secrets in files, by place and kind, never in clear."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pytest_llmops.cli.typed import read_number
from pytest_llmops.detect.finding import KINDS, Finding
from pytest_llmops.detect.scanner import TIMEOUT_S
from pytest_llmops.errors import ScanError, SettingsError
from pytest_llmops.features.scan.files import is_text, scan_file
from pytest_llmops.printable import counted, printable

FOUND, UNREADABLE = 1, 3
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", help="files, or folders with all files in them")
    parser.add_argument("--format", choices=("text", "json", "sarif"), default="text")
    parser.add_argument(
        "--names",
        action=argparse.BooleanOptionalAction,
        help="people in running text, by the model of the extra pii-names; default: where it is installed",
    )
    parser.add_argument(
        "--timeout-s", metavar="S", help=f"time limit of one text in seconds (default {TIMEOUT_S:g})"
    )
    parser.set_defaults(do=_scan, prints_data=True)


def _scan(given: argparse.Namespace) -> int:
    """
    Exit codes: 0 clean, 1 found, 3 where something or all could not be read and nothing was found elsewhere.

    Every file is scanned, whatever became of those before it.
    """
    timeout_s = read_number("--timeout-s", given.timeout_s)
    if timeout_s is not None and timeout_s <= 0:
        raise SettingsError(f"--timeout-s takes a number above 0, not {given.timeout_s!r}")
    found: list[Finding] = []
    unread: list[str] = []
    files = list(_files(given.paths, unread))
    for path in files:
        try:
            for each in scan_file(path, names=given.names, timeout_s=timeout_s or TIMEOUT_S):
                found.append(each)  # noqa: PERF402 - what is found before an error counts
        except ScanError as error:
            unread.append(str(error))
    if not any(path.stat().st_size for path in files if path.is_file()):
        unread.append(f"{', '.join(given.paths)}: holds no text, so nothing was scanned")
    for line in unread:
        print(printable(line), file=sys.stderr)  # noqa: T201 - a command talks to its user
    print(_FORMATS[given.format](found))  # noqa: T201 - as above
    if found:
        return FOUND
    return UNREADABLE if unread else 0


def _files(paths: Sequence[str], unread: list[str]) -> Iterator[Path]:
    """
    What is named, and all texts of a folder; a file of a folder that is no text is named and left out.

    Folders that cannot be listed go into `unread`.
    """

    def note(error: OSError) -> None:
        unread.append(f"{error.filename}: cannot be read ({error.strerror})")

    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        for folder, below, names in os.walk(path, onerror=note):
            below.sort()
            for each in (Path(folder, name) for name in sorted(names)):
                if is_text(each):
                    yield each
                else:
                    print(f"{printable(str(each))}: not scanned, it is no text", file=sys.stderr)  # noqa: T201


def _as_text(found: Sequence[Finding]) -> str:
    places = [":".join(map(printable, filter(None, (each.path, each.pointer)))) for each in found]
    lines = [
        f"{place}: {each.start}-{each.end} {each.mask}{' and the next text' if each.cut else ''}"
        for place, each in zip(places, found, strict=True)
    ]
    return "\n".join([*lines, counted(len(found), "finding")])


def _as_json(found: Sequence[Finding]) -> str:
    return json.dumps([{**asdict(each), "mask": each.mask} for each in found], indent=2)


def _as_sarif(found: Sequence[Finding]) -> str:
    """SARIF 2.1.0 (OASIS); a place inside a JSON text is a logical location."""
    results = [
        {
            "ruleId": each.kind,
            "level": "error",
            "message": {"text": f"{each.mask} at {each.pointer or 'this place'}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": Path(each.path).as_posix()},
                        **({} if each.pointer else {"region": _region(each)}),
                    },
                    **({"logicalLocations": [{"fullyQualifiedName": each.pointer}]} if each.pointer else {}),
                }
            ],
        }
        for each in found
    ]
    rules = [{"id": kind} for kind in KINDS]
    run = {"tool": {"driver": {"name": "llmops scan", "rules": rules}}, "results": results}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


def _region(finding: Finding) -> dict[str, int]:
    return {"charOffset": finding.start, "charLength": finding.end - finding.start}


_FORMATS = {"text": _as_text, "json": _as_json, "sarif": _as_sarif}
