"""The log reports where it was changed, in the library and on the command line."""

from __future__ import annotations

import json
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
    """Do what a person with the file and a database program can do; a statement may have its values."""
    with vault.database() as db:
        for statement in ("DROP TRIGGER keys.no_update", "DROP TRIGGER keys.no_delete", *statements):
            db.execute(*([statement] if isinstance(statement, str) else statement))


def find_faults(vault, noted=None):
    with vault.database() as db:
        return audit.find_faults(db, noted)


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
        with pytest.raises(AuditError, match="vault log"):
            use()


def test_an_inserted_entry_is_found(vault, token):  # noqa: ARG001 - it makes the entries
    entry = {**read_log(vault)[1], "n": 3}
    later = [("UPDATE keys.log SET n = n + 1 WHERE n = ?", (n,)) for n in range(ENTRIES, 2, -1)]

    change(vault, *later, ("INSERT INTO keys.log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", tuple(entry.values())))

    assert find_faults(vault)[0] == (3, "was changed, inserted or moved")


def test_an_entry_with_a_hash_computed_anew_is_found_by_the_next_one(vault, token):  # noqa: ARG001
    before, entry = read_log(vault)[1:3]
    *fields, _ = (entry | {"actor": "rita"}).values()
    digest = audit._digest(before["hash"], tuple(fields))
    change(vault, ("UPDATE keys.log SET actor = 'rita', hash = ? WHERE n = 3", (digest,)))

    assert find_faults(vault) == [(4, "was changed, inserted or moved")]


def test_a_log_that_was_computed_anew_is_found_by_a_noted_head(vault, token):  # noqa: ARG001
    last = read_log(vault)[-1]
    change(vault, "DELETE FROM keys.log WHERE n = 5")
    with vault.database() as db:
        db.execute("UPDATE keys.sqlite_sequence SET seq = 0")
        audit.append(db, vault.settings, "open", "opened", None, "nothing happened")

    assert find_faults(vault) == []
    noted = f"{last['n']}:{last['hash']}"
    assert find_faults(vault, noted) == [(ENTRIES, "and those before are not what was noted")]
    assert find_faults(vault, "walrus") == [(ENTRIES, "and those before are not what was noted")]


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


def test_the_command_shows_the_log_and_verifies_it(vault, token, command):
    code, shown, said = command("log")
    entries = [json.loads(line) for line in shown.splitlines()]
    assert (code, entries) == (0, read_log(vault))
    assert entries[1]["token"] == token
    head = f"5:{entries[-1]['hash']}"
    assert said == f"Intact. Head {head}\n"
    assert command("log", "--head", head)[0] == 0
    assert command("log", "--head", f"6:{head[2:]}")[0] == 1

    change(vault, "DELETE FROM keys.log WHERE n = 2")

    assert command("log")[::2] == (1, "Entry 2 is missing\n")


def test_a_vault_that_is_not_there_is_one_line(command, monkeypatch, tmp_path):
    monkeypatch.setenv("REFERENCE_APP_VAULT", str(tmp_path / "none"))

    assert command("log") == (1, "", f"reference_app: There is no vault in {tmp_path / 'none'}.\n")
