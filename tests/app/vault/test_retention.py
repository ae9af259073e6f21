"""What is older than the limit cannot be opened any more, not from an old copy of the data either."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from reference_app.errors import AuditError, OpeningRefusedError, VaultError
from reference_app.vault.keys import make_master_key
from reference_app.vault.retention import purge
from tests.app.vault.conftest import EMAIL, PHONE, everything, outcomes

MONTH = timedelta(days=30)


def test_only_what_is_old_enough_is_destroyed_and_the_log_says_so(opened):
    old, kept = opened().tokenise("email", EMAIL), opened(days=5).tokenise("phone", PHONE)

    (purged,) = purge(opened(days=31), older_than=MONTH, reason="retention")

    assert (purged.period, purged.count) == ("2026-03-05", 1)
    with pytest.raises(OpeningRefusedError, match="data key of 2026-03-05 was destroyed"):
        opened(days=31).open(old, reason="complaint")
    assert opened(days=31).open(kept, reason="complaint") == PHONE
    log = opened().audit.read()[0]
    assert [line["outcome"] for line in log if line["action"] == "purge"] == ["begun", "destroyed: 1 token"]
    assert {line["key"] for line in log if line["action"] == "purge"} == {f"2026-03-05/{purged.key_id}"}
    assert ("open", "refused: purged") in outcomes(opened())
    assert opened().audit.verify()[1] == []


@pytest.mark.parametrize(("days", "count"), [(30, 0), (31, 1)])
def test_a_day_is_purged_when_all_of_it_is_old_enough(opened, days, count):
    opened().tokenise(
        "email", EMAIL
    )  # at noon, so part of that day is younger than the limit at noon of day 30

    assert len(purge(opened(days=days), older_than=MONTH, reason="retention")) == count
    assert purge(opened(days=30), older_than=MONTH, reason="retention") == []


def test_an_old_copy_of_the_data_cannot_be_opened(opened, tmp_path):
    token = opened().tokenise("email", EMAIL)
    folder = opened().settings.folder
    shutil.copytree(folder / "records", tmp_path / "copy")
    purge(opened(days=40), older_than=MONTH, reason="retention")
    shutil.rmtree(folder / "records")
    shutil.copytree(tmp_path / "copy", folder / "records")

    with pytest.raises(OpeningRefusedError, match="was destroyed"):
        opened(days=40).open(token, reason="complaint")


def test_an_old_copy_of_the_keys_opens_until_the_master_key_of_that_time_is_gone(opened, tmp_path):
    """The limit of the proof, as the documentation states it."""
    token = opened().tokenise("email", EMAIL)
    folder = opened().settings.folder
    shutil.copytree(folder, tmp_path / "copy")
    purge(opened(days=40), older_than=MONTH, reason="retention")
    copy = {"folder": tmp_path / "copy", "head": tmp_path / "copy" / "audit.head"}

    assert opened(**copy).open(token, reason="complaint") == EMAIL
    with pytest.raises(VaultError, match="locked with another key"):
        opened(**copy, key=make_master_key()).open(token, reason="complaint")


def test_after_a_purge_an_equal_value_gets_another_token(opened):
    """Nothing is left that could confirm what a purged token stood for."""
    old = opened().tokenise("email", EMAIL)
    purge(opened(days=40), older_than=MONTH, reason="retention")

    new = opened(days=40).tokenise("email", EMAIL)

    assert new != old
    assert opened(days=40).open(new, reason="complaint") == EMAIL
    assert opened().knows(old)


def test_no_encrypted_value_is_left(opened):
    opened().tokenise("email", EMAIL)
    assert '"sealed": "' in everything(opened().settings.folder)

    purge(opened(days=40), older_than=MONTH, reason="retention")

    assert '"sealed": "' not in everything(opened().settings.folder)


def test_an_interrupted_purge_is_finished_by_the_next(opened, monkeypatch):
    opened().tokenise("email", EMAIL)
    vault = opened(days=40)

    def fail(*_):
        raise VaultError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(vault.store, "write_records", fail)
        with pytest.raises(VaultError, match="disk"):
            purge(vault, older_than=MONTH, reason="retention")

    assert [one.period for one in purge(vault, older_than=MONTH, reason="retention")] == ["2026-03-05"]
    assert '"sealed": "' not in everything(vault.settings.folder)
    assert purge(vault, older_than=MONTH, reason="retention") == []


def test_a_wrong_key_or_a_broken_log_destroys_nothing(opened):
    token = opened().tokenise("email", EMAIL)

    with pytest.raises(VaultError, match="another key"):
        purge(opened(days=40, key=make_master_key()), older_than=MONTH, reason="retention")
    assert outcomes(opened())[-1] == ("purge", "failed: wrong key")
    sound = opened().audit.path.read_bytes()
    opened().audit.path.write_bytes(sound[:-5])
    with pytest.raises(AuditError):
        purge(opened(days=40), older_than=MONTH, reason="retention")

    opened().audit.path.write_bytes(sound)
    assert opened().open(token, reason="complaint") == EMAIL
