"""`python -m reference_app audit show|verify`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import TYPE_CHECKING

from reference_app.errors import VaultError
from reference_app.printable import counted, printable
from reference_app.vault.access import read_vault_settings
from reference_app.vault.audit import AuditLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.vault.chain import Line

BROKEN, UNVERIFIED = 1, 3
_HEAD = re.compile(r"(?P<count>\d{1,9}):(?P<hash>[0-9a-f]{64})", re.ASCII)


def run_audit(arguments: Sequence[str]) -> int:
    """0 shown or intact, 1 the log was changed, 3 there is nothing to verify."""
    options = _parser().parse_args(arguments)
    log = AuditLog(read_vault_settings())
    try:
        if options.command == "show":
            return _show(*log.read(), as_json=options.json)
        return _verify(log, options.head)
    except VaultError as error:
        sys.stderr.write(f"reference_app: {printable(str(error))}\n")
        return UNVERIFIED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference_app audit",
        description="The log of the vault: every opening, refused opening, rotation and purge.",
        epilog="Exit status: 0 shown or intact, 1 the log was changed, 2 wrong arguments, "
        "3 the log is missing or cannot be read.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    showing = commands.add_parser("show", help="print the entries")
    showing.add_argument("--json", action="store_true", help="as they are in the file")
    verifying = commands.add_parser(
        "verify", help="compare every line with the one before, and with the head"
    )
    verifying.add_argument(
        "--head",
        metavar="COUNT:HASH",
        type=_read_noted,
        help="a head noted earlier, which must still be there",
    )
    return parser


def _show(lines: Sequence[Line], unreadable: int, *, as_json: bool) -> int:
    for line in lines:
        if as_json:
            sys.stdout.write(json.dumps(line, sort_keys=True) + "\n")
            continue
        about = " ".join(str(line[name]) for name in ("token", "key") if line[name])
        text = (
            f"{line['n']} {line['time']} {line['actor']} ({line['role']}) {line['action']} {about or '-'}: "
            f"{line['outcome']}" + (f" ({line['reason']})" if line["reason"] else "")
        )
        sys.stdout.write(printable(text) + "\n")
    if not unreadable:
        return 0
    sys.stderr.write(
        f"reference_app: {counted(unreadable, 'line')} cannot be read; `audit verify` says which.\n"
    )
    return BROKEN


def _verify(log: AuditLog, noted: tuple[int, str] | None) -> int:
    head, faults = log.verify(noted)
    for fault in faults:
        sys.stdout.write(printable(f"{log.path}:{fault.line}: line {fault.line} {fault.message}") + "\n")
    if faults:
        return BROKEN
    entries = counted(head.count, "entry", "entries")
    sys.stdout.write(f"Intact, {entries}. Head {head.count}:{head.hash}\n")
    return 0


def _read_noted(text: str) -> tuple[int, str]:
    found = _HEAD.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("write it as verify prints it, like 12:0af3…")
    return int(found["count"]), found["hash"]
