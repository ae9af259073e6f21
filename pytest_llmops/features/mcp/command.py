"""`llmops mcp check|lock SERVER`: 0 the tools are as accepted, 1 findings, 3 the server cannot be read."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from pytest_llmops.cli.typed import read_number
from pytest_llmops.errors import McpLockError, McpServerError, SettingsError
from pytest_llmops.features.mcp.check import check_listings, compare_with_lock
from pytest_llmops.features.mcp.lock import (
    LOCK_NAME,
    find_locked,
    load_accepted,
    load_lock,
    make_locked,
    write_lock,
)
from pytest_llmops.features.mcp.server import (
    CLIENTS,
    PAUSE_S,
    TIMEOUT_S,
    Listing,
    read_address,
    read_listings,
)
from pytest_llmops.printable import counted, printable
from pytest_llmops.settings import find_root

UNREADABLE = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    deeds = parser.add_subparsers(title="what to do", metavar="check|lock", required=True)
    check = deeds.add_parser("check", help="tool definitions against mcp.lock, open schemas, instructions")
    check.add_argument("--format", choices=("text", "json"), default="text")
    check.add_argument(
        "--open-schemas", action="store_true", help="input schemas need not be closed and bounded"
    )
    check.add_argument(
        "--allow", action="append", default=[], metavar="TOOL:FIELD",
        help="findings of this field that are as they should be; never a change",
    )  # fmt: skip
    check.set_defaults(do=_check, prints_data=True)
    lock = deeds.add_parser("lock", help="accept the tool definitions as they are now")
    lock.set_defaults(do=_lock)
    for deed in (check, lock):
        deed.add_argument("--name", help="of the server in mcp.lock; default: as it names itself")
        deed.add_argument(
            "--env", action="append", default=[], metavar="NAME", help="variable that the command gets, too"
        )
        deed.add_argument(
            "--header", action="append", default=[], metavar="NAME=VARIABLE",
            help="HTTP header, with the variable that holds its value",
        )  # fmt: skip
        deed.add_argument(
            "--timeout-s",
            metavar="S",
            help=f"time limit of one connection in seconds (default {TIMEOUT_S:g})",
        )
        deed.add_argument(
            "--pause-s", metavar="S", help=f"before the tools are listed again (default {PAUSE_S:g})"
        )
        deed.add_argument(
            "server", nargs="+", metavar="SERVER", help="an http(s) URL, or a command, after -- or in quotes"
        )


def _check(given: argparse.Namespace) -> int:
    servers = load_accepted(find_root(Path.cwd()) / LOCK_NAME)
    try:
        listings = _read(given, CLIENTS)
    except McpServerError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command talks to its user
        return UNREADABLE
    locked = find_locked(servers, _name(given, listings[0]))
    reported = check_listings(listings, locked, bounded=not given.open_schemas)
    findings = [
        finding
        for finding in reported
        if finding.is_change or f"{finding.tool}:{finding.field}" not in given.allow
    ]
    allowed = len(reported) - len(findings)
    if given.format == "json":
        content = {
            "version": 1,
            "tools": len(listings[0].tools),
            "allowed": allowed,
            "findings": [finding.describe() for finding in findings],
        }
        print(json.dumps(content, indent=2))  # noqa: T201 - as above
    else:
        for finding in findings:
            print(finding)  # noqa: T201 - as above
        counts = f"{counted(len(listings[0].tools), 'tool')} checked, {counted(len(findings), 'finding')}"
        print(f"{counts}, {allowed:,} allowed" if allowed else counts)  # noqa: T201 - as above
    return int(bool(findings))


def _lock(given: argparse.Namespace) -> int:
    lock = find_root(Path.cwd()) / LOCK_NAME
    try:
        (listing, _) = _read(given, CLIENTS[:1])
    except McpServerError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command talks to its user
        return UNREADABLE
    name = _name(given, listing)
    locked = make_locked(name, listing)
    if (before := load_lock(lock).get(name)) is not None:
        for finding in compare_with_lock(listing, before):
            print(f"accepted: {finding}")  # noqa: T201 - as above
    for finding in check_listings([listing], locked, bounded=False):
        print(f"accepted: {finding}")  # noqa: T201 - as above
    written = write_lock(lock, locked)
    print(f"{LOCK_NAME}: {printable(name)}: {counted(len(locked.tools), 'tool')} locked"  # noqa: T201 - as above
          f"{'' if written else '; nothing had changed'}")  # fmt: skip
    return 0


def _read(given: argparse.Namespace, clients: tuple[str, ...]) -> list[Listing]:
    timeout_s = read_number("--timeout-s", given.timeout_s)
    if timeout_s is not None and timeout_s <= 0:
        raise SettingsError(f"--timeout-s takes a number above 0, not {given.timeout_s!r}")
    pause_s = read_number("--pause-s", given.pause_s)
    if pause_s is not None and pause_s < 0:
        raise SettingsError(f"--pause-s takes a number from 0, not {given.pause_s!r}")
    headers = {}
    for header in given.header:
        name, equals, variable = header.partition("=")
        if not equals:
            raise SettingsError("--header takes NAME=VARIABLE, such as Authorization=MCP_TOKEN")
        headers[name] = _variable("--header", variable)
    env = {name: _variable("--env", name) for name in given.env}
    address = read_address(given.server, env, headers)
    pause_s = PAUSE_S if pause_s is None else pause_s
    return read_listings(address, timeout_s=timeout_s or TIMEOUT_S, pause_s=pause_s, clients=clients)


def _variable(flag: str, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise SettingsError(f"{flag}: the environment has no variable {printable(name)!r}")
    return value


def _name(given: argparse.Namespace, listing: Listing) -> str:
    name: str = given.name or listing.server
    if not name:
        raise McpLockError("the server does not name itself; pass --name")
    return name
