"""The log reports where it was changed, in the library and on the command line."""

from __future__ import annotations

import sqlite3

import pytest

from reference_app.cli.command import main
from reference_app.errors import AuditError, VaultError
from reference_app.vault import audit
from tests.app.vault.conftest import EMAIL, read_log

ENTRIES = 5


@pytest.fixture
def token(vault):
    token = vault.tokenise("email", EMAIL)
    for number in range(ENTRIES):
        vault.open(token, reason=f"case {number}")
    return token


def change(vault, *statements):
    """Do what a person with the file and a database program can do."""
    with vault.database() as db:
        for statement in ("DROP TRIGGER keys.no_update", "DROP TRIGGER keys.no_delete", *statements):
            db.execute(statement)


def find_faults(vault, noted=None):
    with vault.database() as db:
        return audit.find_faults(db, noted)


def as_new(entry, **changed):
    return f"INSERT INTO keys.log VALUES {tuple({**entry, **changed}.values())}"


CHANGES = {
    "changed": ([(3, "was changed, inserted or moved")], "UPDATE keys.log SET actor = 'rita' WHERE n = 3"),
    "removed": ([(3, "is missing")], "DELETE FROM keys.log WHERE n = 3"),
    "cut short": ([(4, "is missing")], "DELETE FROM keys.log WHERE n > 3"),
    "emptied": ([(1, "is missing")], "DELETE FROM keys.log"),
    "moved": (
        [(2, "was changed, inserted or moved"), (3, "was changed, inserted or moved")],
        "UPDATE keys.log SET n = 9 WHERE n = 2",
        "UPDATE keys.log SET n = 2 WHERE n = 3",
        "UPDATE keys.log SET n = 3 WHERE n = 9",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_and_nothing_is_opened_or_deleted_any_more(vault, token, name):
    faults, *statements = CHANGES[name]
    assert find_faults(vault) == []

    change(vault, *statements)

    assert find_faults(vault)[: len(faults)] == faults
    for use in (lambda: vault.open(token, reason="case"), lambda: vault.purge(0, reason="retention")):
        with pytest.raises(AuditError, match="vault verify"):
            use()


def test_an_inserted_entry_is_found(vault, token):  # noqa: ARG001 - it makes the entries
    entry = read_log(vault)[1]
    later = [f"UPDATE keys.log SET n = {n + 1} WHERE n = {n}" for n in range(ENTRIES, 2, -1)]

    change(vault, *later, as_new(entry, n=3))

    assert find_faults(vault)[0] == (3, "was changed, inserted or moved")


def test_a_log_that_was_computed_anew_is_found_by_a_noted_head(vault, token):  # noqa: ARG001
    last = read_log(vault)[-1]
    change(vault, f"DELETE FROM keys.log WHERE n = {ENTRIES}")
    with vault.database() as db:
        db.execute("UPDATE keys.sqlite_sequence SET seq = 0")
        audit.append(db, vault.settings, "open", "opened", None, "nothing happened")

    assert find_faults(vault) == []
    assert find_faults(vault, (last["n"], last["hash"])) == [(ENTRIES, "is not the one that was noted")]
    assert find_faults(vault, (ENTRIES + 1, last["hash"])) == [(ENTRIES + 1, "is missing")]


def test_the_file_itself_refuses_an_update(vault, token):  # noqa: ARG001
    for statement in ("UPDATE keys.log SET reason = ''", "DELETE FROM keys.log"):
        with pytest.raises(VaultError, match="append-only") as failed, vault.database() as db:
            db.execute(statement)
        assert isinstance(failed.value.__cause__, sqlite3.IntegrityError)
    assert find_faults(vault) == []


@pytest.fixture
def command(vault, monkeypatch, capsys):
    monkeypatch.setenv("REFERENCE_APP_VAULT", str(vault.settings.folder))

    def run(*arguments):
        return main(["vault", *arguments]), *capsys.readouterr()

    return run


def test_the_command_shows_and_verifies(vault, token, command):
    code, shown, _ = command("log")
    assert code == 0
    assert shown.splitlines()[1].endswith(f"ines (investigator) open {token}: opened (case 1)")
    last = read_log(vault)[-1]
    assert command("verify") == (0, f"Intact, 5 entries. Head 5:{last['hash']}\n", "")
    assert command("verify", "--head", f"5:{last['hash']}")[0] == 0
    assert command("verify", "--head", f"6:{last['hash']}")[:2] == (3, "Entry 6 is missing.\n")

    change(vault, "DELETE FROM keys.log WHERE n = 2")

    assert command("verify")[:2] == (3, "Entry 2 is missing.\n")
