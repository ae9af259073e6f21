"""Tokens instead of values, opened by an investigator alone, deleted by age and by subject."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from reference_app.cli.command import main
from reference_app.errors import OpeningRefusedError, SettingsError, VaultError
from reference_app.vault.access import read_vault_settings
from tests.app.shop import environment
from tests.app.vault.conftest import EMAIL, PHONE, everything, outcomes, read_log

OTHER_KEY = Fernet.generate_key().decode()


def test_a_value_comes_back_for_an_investigator_and_is_nowhere_in_clear(vault):
    token = vault.tokenise("email", EMAIL)

    assert vault.open(token, reason="complaint 7") == EMAIL
    assert vault.open(f"To {token} and aaaaaaaaaaaa@redacted.invalid", reason="an answer") == (
        f"To {EMAIL} and aaaaaaaaaaaa@redacted.invalid"
    )
    assert b"quimby" not in everything(vault)
    entry = read_log(vault)[0]
    assert {**entry, "time": "", "hash": ""} == {
        "n": 1, "time": "", "actor": "ines", "role": "investigator", "action": "open", "token": token,
        "reason": "complaint 7", "outcome": "opened", "hash": "",
    }  # fmt: skip


def test_equal_values_of_a_subject_have_equal_tokens_on_another_day_too(opened):
    first = opened().tokenise("phone", PHONE, "customer 7")

    assert opened(days=3).tokenise("phone", "07700-900461", "customer 7") == first
    others = [("phone", "07700 900462", "customer 7"), ("name", PHONE, "customer 7"), ("phone", PHONE, "")]
    assert first not in [opened(days=3).tokenise(*other) for other in others]


def test_tokens_of_many_values_differ(vault):
    """Phone numbers have some 50,000 tokens, so among 300 two would probably be equal."""
    tokens = {vault.tokenise("phone", f"07700 9{number:05d}") for number in range(300)}

    assert len(tokens) == 300


@pytest.mark.parametrize(
    ("changed", "reason", "outcome"),
    [
        ({"role": "reader", "actor": "rita"}, "curious", "refused: role"),
        ({}, " ", "refused: no reason"),
        ({"key": OTHER_KEY}, "case", "failed: wrong key"),
        ({"key": "walrus"}, "case", "failed: wrong key"),
        ({"key": None}, "case", "failed: no key"),
    ],
)
def test_a_refused_opening_is_logged_with_its_actor(opened, changed, reason, outcome):
    token = opened().tokenise("email", EMAIL)

    with pytest.raises(VaultError) as failed:
        opened(**changed).open(token, reason=reason)

    assert "walrus" not in str(failed.value)
    (entry,) = read_log(opened())
    assert (entry["actor"], entry["token"]) == (changed.get("actor", "ines"), token)
    assert (entry["role"], entry["outcome"]) == (changed.get("role", "investigator"), outcome)


def test_a_wrong_key_adds_nothing(opened):
    opened().tokenise("email", EMAIL)
    before = everything(opened())

    for key in (OTHER_KEY, "walrus", None):
        with pytest.raises(VaultError, match="REFERENCE_APP_VAULT_KEY"):
            opened(key=key).redact(f"call {PHONE}", "customer 7")
    assert everything(opened()) == before


def test_the_key_may_be_in_a_private_file(opened, tmp_path):
    file = tmp_path / "vault.key"
    file.write_text(opened().settings.key + "\n")
    file.chmod(0o600)
    token = opened(key=None, key_file=file).tokenise("email", EMAIL)
    assert opened().open(token, reason="case") == EMAIL

    file.chmod(0o640)
    with pytest.raises(VaultError, match=r"vault\.key is open to other users \(mode 640\); run chmod 600"):
        opened(key=None, key_file=file).tokenise("email", EMAIL)
    file.unlink()
    with pytest.raises(VaultError, match=r"vault\.key cannot be read: No such file"):
        opened(key=None, key_file=file).tokenise("email", EMAIL)


def test_what_is_no_token_is_refused_and_not_written_to_the_log(vault):
    vault.tokenise("email", EMAIL)

    with pytest.raises(OpeningRefusedError, match="does not know this token"):
        vault.open("bo@example.com", reason="a value in place of a token")

    assert read_log(vault)[-1]["token"] is None
    assert b"bo@" not in everything(vault)


def test_a_reason_and_a_subject_are_masked_in_the_log(vault):
    vault.open(vault.tokenise("email", EMAIL), reason=f"call {PHONE}")
    vault.erase("bo@example.com", reason="asked for it")

    assert [entry["reason"] for entry in read_log(vault)] == ["call [phone]", "[email]: asked for it"]


def test_a_password_is_masked_and_never_kept(vault):
    assert vault.redact("my password is Walrus7!") == "my password is [password]"
    assert not vault.settings.folder.exists()


def test_a_subject_is_erased_and_no_other(vault):
    mine = [vault.tokenise("email", EMAIL, "customer 7"), vault.tokenise("phone", PHONE, "customer 7")]
    others = vault.tokenise("email", EMAIL, "customer 8")

    assert vault.erase("customer 7", reason="asked for it") == 2

    for token in mine:
        with pytest.raises(OpeningRefusedError, match="was deleted"):
            vault.open(token, reason="case")
    assert vault.open(others, reason="case") == EMAIL
    assert vault.tokenise("email", EMAIL, "customer 7") not in mine
    assert ("erase", "destroyed: 2 tokens") in outcomes(vault)


@pytest.mark.parametrize(("days", "count"), [(30, 0), (31, 1)])
def test_a_day_is_purged_when_all_of_it_is_old_enough(opened, days, count):
    token = opened().tokenise("email", EMAIL)
    opened(days=20).tokenise("phone", PHONE)

    assert opened(days=days).purge(30, reason="retention") == count
    assert opened(days=days).purge(30, reason="retention") == 0
    assert outcomes(opened()) == [("purge", "destroyed: 1 token")] * count
    if count:
        with pytest.raises(OpeningRefusedError, match="was deleted"):
            opened().open(token, reason="case")


def test_a_copy_of_the_values_opens_nothing_once_their_key_is_gone(opened, tmp_path):
    token = opened().tokenise("email", EMAIL)
    values = opened().settings.folder / "vault.db"
    shutil.copy(values, tmp_path / "copy")
    opened(days=40).purge(30, reason="retention")
    shutil.copy(tmp_path / "copy", values)

    with pytest.raises(OpeningRefusedError, match="was deleted"):
        opened().open(token, reason="case")
    assert opened(days=40).purge(30, reason="retention") == 1  # what came back is removed


def test_a_moved_value_is_found(vault):
    one, other = vault.tokenise("email", EMAIL), vault.tokenise("email", "bo@example.com")
    with vault.database() as db:
        (sealed,) = db.execute("SELECT sealed FROM tokens WHERE token = ?", (other,)).fetchone()
        db.execute("UPDATE tokens SET sealed = ? WHERE token = ?", (sealed, one))

    with pytest.raises(VaultError, match="moved to another token"):
        vault.open(one, reason="case")
    assert outcomes(vault) == [("open", "failed: damaged")]


@pytest.mark.parametrize("name", ["vault.db", "keys.db"])
def test_a_damaged_file_is_one_clear_message_and_stays_as_it_is(vault, name):
    vault.tokenise("email", EMAIL)
    path = vault.settings.folder / name
    path.write_bytes(b"walrus" * 1000)

    with pytest.raises(VaultError, match=r"is damaged or locked: file is not a database"):
        vault.tokenise("email", EMAIL)
    assert path.read_bytes() == b"walrus" * 1000


@pytest.mark.parametrize("path", [".", "vault.db", "keys.db"])
def test_files_are_for_their_user_alone_and_refused_where_they_are_not(vault, path):
    token = vault.tokenise("email", EMAIL)
    place = vault.settings.folder / path
    wanted = 0o700 if place.is_dir() else 0o600
    assert stat.S_IMODE(place.stat().st_mode) == wanted

    place.chmod(wanted | 0o040)

    with pytest.raises(VaultError, match=f"is open to other users .*chmod {wanted:o}"):
        vault.open(token, reason="complaint")


PROCESS = """
from reference_app.vault.access import read_vault_settings
from reference_app.vault.vault import Vault
vault = Vault(read_vault_settings())
print(*[vault.tokenise("phone", f"07700 9{number:05d}") for number in range(12)], sep="|")
"""


def test_several_processes_lose_no_value_and_agree_on_tokens(settings, vault):
    variables = {"REFERENCE_APP_VAULT": str(settings.folder), "REFERENCE_APP_VAULT_KEY": settings.key}
    processes = [
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", PROCESS], env=environment(**variables), stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    printed = {process.communicate(timeout=60)[0].strip() for process in processes}

    assert len(printed) == 1
    values = vault.open(printed.pop(), reason="complaint").split("|")
    assert values == [f"07700 9{number:05d}" for number in range(12)]


@pytest.mark.parametrize(("name", "value"), [("VAULT_ROLE", "admin"), ("VAULT_KEEP", "a month")])
def test_a_wrong_setting_is_named(name, value):
    with pytest.raises(SettingsError, match=f"REFERENCE_APP_{name} is '{value}'"):
        read_vault_settings({f"REFERENCE_APP_{name}": value})


def test_no_key_is_in_a_representation(settings):
    assert settings.key not in repr(settings)


def test_the_command_opens_erases_and_purges(vault, monkeypatch, capsys):
    token = vault.tokenise("email", EMAIL, "customer 7")
    monkeypatch.setenv("REFERENCE_APP_VAULT", str(vault.settings.folder))
    monkeypatch.setenv("REFERENCE_APP_VAULT_KEY", vault.settings.key)

    assert main(["vault", "open", token, "--reason", "case 7"]) == 3
    assert "A reader may not open tokens" in capsys.readouterr().err
    monkeypatch.setenv("REFERENCE_APP_VAULT_ROLE", "investigator")
    assert main(["vault", "open", f"To {token}", "--reason", "case 7"]) == 0
    assert capsys.readouterr().out == f"To {EMAIL}\n"
    assert main(["vault", "erase", "customer 7", "--reason", "asked for it"]) == 0
    assert capsys.readouterr().out == "Destroyed 1 token.\n"
    assert main(["vault", "purge", "--older-than", "0d"]) == 0
    assert capsys.readouterr().out == "Destroyed 0 tokens.\n"
    assert main(["vault", "open", token, "--reason", "case 7"]) == 3
    assert main(["vault", "purge", "--older-than", "soon"]) == 1
    assert "--older-than is 'soon'" in capsys.readouterr().err
    assert main(["vault", "key"]) == 0
    assert len(capsys.readouterr().out) == 45
