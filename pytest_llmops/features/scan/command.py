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
from pytest_llmops.features.scan.lines import add_lines
from pytest_llmops.printable import counted, printable
from pytest_llmops.reports.sarif import Alert, write_sarif

FOUND, UNREADABLE = 1, 3


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


def _scan(args: argparse.Namespace) -> int:
    """
    Scan every file, whatever became of those before it.

    Exit codes: 0 clean, 1 found, 3 if a file could not be read, or none was, and nothing was found elsewhere.
    """
    timeout_s = read_number("--timeout-s", args.timeout_s)
    if timeout_s is not None and timeout_s <= 0:
        raise SettingsError(f"--timeout-s takes a number above 0, not {args.timeout_s!r}")
    findings: list[Finding] = []
    unread: list[str] = []
    files = list(_files(args.paths, unread))
    for path in files:
        of_file: list[Finding] = []
        try:
            for finding in scan_file(path, names=args.names, timeout_s=timeout_s or TIMEOUT_S):
                of_file.append(finding)  # noqa: PERF402 - findings before an error count
            of_file = add_lines(path, of_file)
        except ScanError as error:
            unread.append(str(error))
        findings += of_file
    if not unread and not any(path.stat().st_size for path in files if path.is_file()):
        unread.append(f"{', '.join(args.paths)}: holds no text, so nothing was scanned")
    for line in unread:
        print(printable(line), file=sys.stderr)  # noqa: T201 - a command talks to its user
    print(_FORMATS[args.format](findings))  # noqa: T201 - as above
    if findings:
        return FOUND
    return UNREADABLE if unread else 0


def _files(paths: Sequence[str], unread: list[str]) -> Iterator[Path]:
    """
    Yield the named files, and all texts of a named folder; other files of a folder are reported.

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
            for file in (Path(folder, name) for name in sorted(names)):
                if is_text(file):
                    yield file
                else:
                    print(f"{printable(str(file))}: not scanned, it is no text", file=sys.stderr)  # noqa: T201


def _as_text(findings: Sequence[Finding]) -> str:
    lines = []
    for finding in findings:
        at = f"{finding.line}:{finding.column}" if finding.line else ""
        place = ":".join(map(printable, filter(None, (finding.path, at, finding.pointer))))
        lines.append(f"{place}: {finding.start}-{finding.end} {finding.mask}{_say_where(finding)}")
    return "\n".join([*lines, counted(len(findings), "finding")])


def _say_where(finding: Finding) -> str:
    """Return what a pointer does not show: a name that is paired with the value, and the span."""
    name = f" of {printable(finding.key)!r}" if finding.key else ""
    span = f" in the span {printable(finding.span)!r}" if finding.span else ""
    return f"{name}{span}{' and the next text' if finding.cut else ''}"


def _as_json(findings: Sequence[Finding]) -> str:
    return json.dumps([{**asdict(finding), "mask": finding.mask} for finding in findings], indent=2)


def _as_sarif(findings: Sequence[Finding]) -> str:
    """Write SARIF 2.1.0 (OASIS); a place inside a JSON text is a logical location, too."""
    alerts = []
    for finding in findings:
        region: dict[str, int] = {}
        if finding.line and finding.column:
            region = {"startLine": finding.line, "startColumn": finding.column}
        if not finding.pointer:
            region |= {"charOffset": finding.start, "charLength": finding.end - finding.start}
        alerts.append(
            Alert(
                rule=finding.kind,
                text=f"{finding.mask} at {finding.pointer or 'this place'}{_say_where(finding)}",
                path=finding.path,
                region=region,
                pointer=finding.pointer,
            )
        )
    return write_sarif("llmops scan", KINDS, alerts)


_FORMATS = {"text": _as_text, "json": _as_json, "sarif": _as_sarif}
