"""`python -m reference_app vault …`: open a token, delete by age, change the key."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from reference_app.errors import OpeningRefusedError
from reference_app.printable import counted, printable
from reference_app.vault.access import VaultSettings, read_age, read_vault_settings
from reference_app.vault.keys import make_master_key
from reference_app.vault.retention import purge
from reference_app.vault.rotation import rotate
from reference_app.vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Sequence

REFUSED = 3


def run_vault(arguments: Sequence[str]) -> int:
    """0 done, 3 the opening was refused; what else goes wrong is raised."""
    options = _parser().parse_args(arguments)
    if options.command == "key":
        sys.stdout.write(make_master_key() + "\n")
        return 0
    settings = read_vault_settings()
    if options.command == "purge":
        return _purge(settings, options)
    if options.command == "rotate":
        count = rotate(Vault(settings), reason=options.reason)
        sys.stdout.write(f"The new key wraps {counted(count, 'data key')}; destroy the old one.\n")
        return 0
    return _open(settings, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m reference_app vault",
        description="What tokens stand for, with REFERENCE_APP_REDACTION=token.",
        epilog="Exit status: 0 done, 1 the vault cannot be used, 2 wrong arguments, "
        "3 the opening was refused.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("key", help="print a new key for REFERENCE_APP_VAULT_KEY")
    opening = commands.add_parser("open", help="print a text with the values of its tokens")
    opening.add_argument("text", help="a token, or an answer that contains tokens; - reads it from stdin")
    opening.add_argument("--reason", required=True, help="why, for the audit log")
    purging = commands.add_parser("purge", help="destroy the keys of values by age")
    purging.add_argument("--older-than", metavar="AGE", help="like 30d; default: REFERENCE_APP_VAULT_KEEP")
    purging.add_argument("--reason", default="retention", help="for the audit log")
    rotating = commands.add_parser("rotate", help="wrap the data keys with the new key")
    rotating.add_argument("--reason", default="rotation", help="for the audit log")
    return parser


def _open(settings: VaultSettings, options: argparse.Namespace) -> int:
    vault = Vault(settings)
    text = sys.stdin.read() if options.text == "-" else options.text
    try:
        shown = vault.reveal(text, reason=options.reason)
        if shown == text:
            shown = vault.open(text, reason=options.reason)  # refused, and so in the log
    except OpeningRefusedError as error:
        sys.stderr.write(f"reference_app: {printable(str(error))}\n")
        return REFUSED
    sys.stdout.write(printable(shown, keep="\n").rstrip("\n") + "\n")
    return 0


def _purge(settings: VaultSettings, options: argparse.Namespace) -> int:
    if options.older_than:
        settings = replace(settings, keep=read_age(options.older_than, "--older-than"))
    purged = purge(Vault(settings), older_than=settings.keep, reason=options.reason)
    for one in purged:
        sys.stdout.write(f"{one.period}: destroyed the key {one.key_id} of {counted(one.count, 'token')}\n")
    if not purged:
        sys.stdout.write("Nothing is that old.\n")
    return 0
