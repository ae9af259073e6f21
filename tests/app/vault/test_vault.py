"""Tokens instead of values, opened by an investigator alone, each opening in the log."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from reference_app.errors import AuditError, OpeningRefusedError, SettingsError, VaultError
from reference_app.vault.access import read_vault_settings
from reference_app.vault.keys import make_master_key
from reference_app.vault.rotation import rotate
from tests.app.shop import environment
from tests.app.vault.conftest import EMAIL, INVESTIGATOR, PHONE, READER, everything, outcomes


def test_a_value_comes_back_for_an_investigator_and_lies_nowhere_in_clear(vault):
    token = vault.tokenise("email", EMAIL)

    assert token.endswith("@redacted.invalid")
    assert vault.open(token, reason="complaint 7", actor=INVESTIGATOR) == EMAIL
    assert EMAIL not in everything(vault.settings.folder)
    assert EMAIL.partition("@")[0] not in everything(vault.settings.folder)
    last = vault.audit.read()[0][-1]
    assert (last["actor"], last["role"], last["action"], last["token"], last["reason"], last["outcome"]) == (
        "ines", "investigator", "open", token, "complaint 7", "opened",
    )  # fmt: skip


def test_equal_values_have_equal_tokens_on_another_day_too(opened):
    first = opened().tokenise("phone", PHONE)

    assert opened(days=3).tokenise("phone", "07700-900461") == first
    assert opened(days=3).tokenise("phone", "07700 900462") != first
    assert opened(days=3).tokenise("name", PHONE) != first


def test_another_key_gives_other_tokens(opened, tmp_path):
    other = opened(folder=tmp_path / "other", head=tmp_path / "head", key=make_master_key())

    assert opened().tokenise("email", EMAIL) != other.tokenise("email", EMAIL)


def test_a_reader_cannot_open_and_the_attempt_is_logged(vault):
    token = vault.tokenise("email", EMAIL)

    with pytest.raises(OpeningRefusedError, match="The role reader may not open tokens"):
        vault.open(token, reason="curious", actor=READER)

    last = vault.audit.read()[0][-1]
    assert (last["actor"], last["token"], last["outcome"]) == ("rita", token, "refused: role")


@pytest.mark.parametrize(
    ("changed", "message", "outcome"),
    [
        ({"key": make_master_key()}, "locked with another key", "failed: wrong key"),
        ({"key": "walrus"}, "REFERENCE_APP_VAULT_KEY is no base64 of 32 bytes", "failed: wrong key"),
        ({"key": None}, "needs a key: set REFERENCE_APP_VAULT_KEY", "failed: no key"),
    ],
)
def test_a_wrong_key_opens_nothing_and_loses_nothing(opened, changed, message, outcome):
    token = opened().tokenise("email", EMAIL)
    before = (opened().settings.folder / "keys.json").read_bytes()

    with pytest.raises(VaultError, match=message) as failed:
        opened(**changed).open(token, reason="complaint")
    with pytest.raises(VaultError, match=message):
        opened(**changed).tokenise("email", "bo@example.com")

    assert "walrus" not in str(failed.value)
    assert outcomes(opened())[-1] == ("open", outcome)
    assert (opened().settings.folder / "keys.json").read_bytes() == before
    assert opened().open(token, reason="complaint") == EMAIL


def test_an_unknown_token_is_refused_and_not_written_to_the_log(vault):
    vault.tokenise("email", EMAIL)

    with pytest.raises(OpeningRefusedError, match="does not know this token"):
        vault.open("bo@example.com", reason="a value in place of a token")

    assert vault.audit.read()[0][-1]["token"] is None
    assert "bo@" not in everything(vault.settings.folder)


def test_personal_data_in_a_reason_is_masked_and_no_reason_is_refused(vault):
    token = vault.tokenise("email", EMAIL)
    vault.open(token, reason=f"call {PHONE}")

    with pytest.raises(OpeningRefusedError, match="needs a reason"):
        vault.open(token, reason=" ")

    assert [line["reason"] for line in vault.audit.read()[0][-2:]] == ["call [phone]", " "]


def test_a_password_is_masked_and_never_kept(vault):
    assert vault.tokenise("password", "Walrus7!") == "[password]"
    assert not vault.settings.folder.exists()


def _cut(text):
    return text[: len(text) // 2]


def _swap_values(text):
    data = json.loads(text)
    one, two = data["records"]
    one["sealed"], two["sealed"] = two["sealed"], one["sealed"]
    return json.dumps(data)


def _change_value(text):
    data = json.loads(text)
    sealed = data["records"][0]["sealed"]
    data["records"][0]["sealed"] = ("B" if sealed[0] == "A" else "A") + sealed[1:]
    return json.dumps(data)


def _change_key(text):
    data = json.loads(text)
    (key,) = data["periods"].values()
    key["wrapped"] = key["wrapped"][:-8] + "AAAAAAA="
    return json.dumps(data)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("keys.json", _cut, "keys.json is damaged: it is no JSON"),
        ("keys.json", lambda _: "[]", "keys.json is damaged"),
        ("keys.json", lambda _: '{"version": 1, "master": 3, "periods": {"x": 1}}', "no file of keys"),
        ("keys.json", lambda text: text.replace('"version": 1', '"version": 2'), "another version than 1"),
        ("keys.json", _change_key, "an encrypted text was changed or moved"),
        ("records/2026-03-05.json", _cut, "is damaged: it is no JSON"),
        ("records/2026-03-05.json", lambda _: '{"version": 1, "records": [4]}', "no file of records"),
        ("records/2026-03-05.json", _swap_values, "an encrypted text was changed or moved"),
        ("records/2026-03-05.json", _change_value, "an encrypted text was changed or moved"),
    ],
)
def test_a_damaged_file_is_one_clear_message_and_stays_as_it_is(vault, file, damage, message):
    token = vault.tokenise("email", EMAIL)
    vault.tokenise("email", "bo@example.com")
    path = vault.settings.folder / file
    sound = path.read_text()
    path.write_text(damage(sound))
    damaged = path.read_text()

    with pytest.raises(VaultError, match=message):
        vault.open(token, reason="complaint")
    assert outcomes(vault)[-1][1].startswith("failed")
    assert path.read_text() == damaged
    path.write_text(sound)
    assert vault.open(token, reason="complaint") == EMAIL


def test_a_lost_file_of_keys_makes_no_new_vault(vault):
    vault.tokenise("email", EMAIL)
    (vault.settings.folder / "keys.json").unlink()

    with pytest.raises(VaultError, match=r"keys\.json is damaged: it is missing"):
        vault.tokenise("email", "bo@example.com")


@pytest.mark.parametrize(
    "path", [".", "keys.json", "records", "records/2026-03-05.json", "audit.jsonl", "audit.head"]
)
def test_files_are_for_their_user_alone_and_refused_where_they_are_not(vault, path):
    token = vault.tokenise("email", EMAIL)
    place = vault.settings.folder / path
    wanted = 0o700 if place.is_dir() else 0o600
    assert stat.S_IMODE(place.stat().st_mode) == wanted

    place.chmod(wanted | 0o040)

    with pytest.raises(VaultError, match=f"is open to other users .*chmod {wanted:o}"):
        vault.open(token, reason="complaint")


def test_nothing_is_opened_where_the_log_is_broken(vault):
    token = vault.tokenise("email", EMAIL)
    vault.audit.path.write_bytes(b"")

    with pytest.raises(AuditError, match="does not agree with its head"):
        vault.open(token, reason="complaint")


def test_a_deleted_log_is_not_begun_anew(vault):
    token = vault.tokenise("email", EMAIL)
    vault.audit.path.unlink()
    vault.settings.head.unlink()

    with pytest.raises(AuditError, match="does not agree with its head"):
        vault.open(token, reason="complaint")


def test_a_rotation_wraps_the_keys_anew(opened):
    token = opened().tokenise("email", EMAIL)
    records = (opened().settings.folder / "records" / "2026-03-05.json").read_bytes()
    old, new = opened().settings.key, make_master_key()

    assert rotate(opened(key=new, old_key=old), reason="yearly") == 1

    assert opened(key=new).open(token, reason="complaint") == EMAIL
    assert opened(key=new).tokenise("email", EMAIL) == token
    assert (opened().settings.folder / "records" / "2026-03-05.json").read_bytes() == records
    with pytest.raises(VaultError, match="locked with another key"):
        opened().open(token, reason="complaint")
    assert ("rotate", "rotated") in outcomes(opened())


@pytest.mark.parametrize("old", [None, make_master_key()], ids=["none", "another"])
def test_a_rotation_with_a_wrong_old_key_changes_nothing(opened, old):
    token = opened().tokenise("email", EMAIL)

    with pytest.raises(VaultError, match=r"OLD_KEY|locked with another key"):
        rotate(opened(key=make_master_key(), old_key=old), reason="yearly")

    assert opened().open(token, reason="complaint") == EMAIL


def test_an_answer_is_revealed_with_its_tokens_alone(vault):
    token = vault.tokenise("email", EMAIL)
    text = f"Write to {token} or aaaaaaaaaaaa@redacted.invalid."

    shown = vault.reveal(text, reason="complaint")

    assert shown == f"Write to {EMAIL} or aaaaaaaaaaaa@redacted.invalid."
    assert outcomes(vault).count(("open", "opened")) == 1


def test_the_key_comes_from_the_keyring_where_the_environment_has_none(opened, monkeypatch):
    key = opened().settings.key
    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=lambda *_: key))
    token = opened(key=None).tokenise("email", EMAIL)

    assert opened().open(token, reason="complaint") == EMAIL


PROCESS = """
import sys
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
    printed = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert len(set(printed)) == 1
    values = [vault.open(token, reason="complaint") for token in printed[0].split("|")]
    assert values == [f"07700 9{number:05d}" for number in range(12)]
    assert vault.audit.verify()[1] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REFERENCE_APP_VAULT_ROLE", "admin"),
        ("REFERENCE_APP_VAULT_KEEP", "a month"),
        ("REFERENCE_APP_ACTOR", "two words"),
    ],
)
def test_a_wrong_setting_is_named(name, value):
    with pytest.raises(SettingsError, match=name):
        read_vault_settings({name: value})


def test_no_key_stands_in_a_message_or_a_representation(settings):
    full = replace(settings, audit_key="walruswalruswalruswalrus", old_key="walrus")

    assert settings.key not in repr(full)
    assert "walrus" not in repr(full)


def test_nothing_is_opened_while_a_line_in_the_middle_of_the_log_was_moved(vault):
    token = vault.tokenise("email", EMAIL)
    for number in range(3):
        vault.open(token, reason=f"complaint {number}")
    lines = vault.audit.path.read_bytes().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    vault.audit.path.write_bytes(b"".join(lines))

    with pytest.raises(AuditError, match="so nothing is opened or purged"):
        vault.open(token, reason="complaint 4")

    assert vault.audit.path.read_bytes() == b"".join(lines)
