"""`python -m reference_app vault …`: open a text with tokens, delete values, show and verify the log."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from reference_app.errors import VaultError
from reference_app.printable import counted, printable

COMMANDS = {
    "key": ("print a new key for REFERENCE_APP_VAULT_KEY",),
    "open": ("print a text with the values of its tokens; - reads it from stdin", "text", "--reason"),
    "erase": ("delete all values of a subject, like 'customer 7'", "subject", "--reason"),
    "purge": ("delete values by age, by default that of REFERENCE_APP_VAULT_KEEP", "--older-than"),
    "log": ("print the audit log as JSON lines and verify it, also against a noted --head", "--head"),
}


def add_commands(commands: Any) -> None:
    """Add the commands of the vault to the subparsers of an ArgumentParser."""
    settings: dict[str, Any] = {"--reason": {"required": True}, "--head": {"type": count_and_hash}}
    for name, (text, *arguments) in COMMANDS.items():
        parser = commands.add_parser(name, help=text, description=text)
        parser.set_defaults(run=_run, command=name)
        for argument in arguments:
            parser.add_argument(argument, **settings.get(argument, {}))


def count_and_hash(text: str) -> tuple[int, str]:
    """Return the head in a text like `12:0af3…`; argparse reports the ValueError."""
    count, digest = text.split(":")
    return int(count), digest


def _run(options: argparse.Namespace) -> int:
    """Return 0 done, 1 the log was changed; what else goes wrong is raised."""
    from reference_app.vault import audit
    from reference_app.vault.access import Fernet, read_days, read_vault_settings
    from reference_app.vault.vault import Vault

    settings, command = read_vault_settings(), options.command
    vault = Vault(settings)
    if command == "key":
        return _print(Fernet.generate_key().decode())
    if command == "open":
        text = sys.stdin.read() if options.text == "-" else options.text
        return _print(vault.open(text, reason=options.reason).rstrip("\n"))
    if command == "erase":
        return _print(f"Destroyed {counted(vault.erase(options.subject, reason=options.reason), 'token')}.")
    if command == "purge":
        days = read_days(options.older_than or f"{settings.keep_days}", "--older-than")
        return _print(f"Destroyed {counted(vault.purge(days, reason='retention'), 'token')}.")
    if not settings.folder.is_dir():
        raise VaultError(f"There is no vault in {settings.folder}.")
    with vault.database() as db:
        rows = db.execute("SELECT * FROM keys.log ORDER BY n")
        entries = [
            {name[0]: value for name, value in zip(rows.description, row, strict=True)} for row in rows
        ]
        faults = audit.find_faults(db, options.head)
    head = f"{entries[-1]['n']}:{entries[-1]['hash']}" if entries else "0:"
    _print("\n".join(map(json.dumps, entries)))
    sys.stderr.write("".join(f"Entry {n} {fault}.\n" for n, fault in faults) or f"Intact. Head {head}\n")
    return 1 if faults else 0


def _print(text: str) -> int:
    print(printable(text, keep="\n"))  # noqa: T201 - what the command is for
    return 0
