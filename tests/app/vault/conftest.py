"""A vault in a folder of its own, with a day that a test can set."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from cryptography.fernet import Fernet

from reference_app.vault.access import read_vault_settings
from reference_app.vault.vault import Vault

EMAIL, PHONE = "ada.quimby@example.com", "07700 900461"


@pytest.fixture
def settings(tmp_path):
    return read_vault_settings(
        {
            "REFERENCE_APP_VAULT": str(tmp_path / "vault"),
            "REFERENCE_APP_VAULT_KEY": Fernet.generate_key().decode(),
            "REFERENCE_APP_ACTOR": "ines",
            "REFERENCE_APP_VAULT_ROLE": "investigator",
        }
    )


@pytest.fixture
def opened(settings):
    """Open the vault: `opened(days=3)` three days later, `opened(key=…)` with other settings."""

    def make(*, days=0, **changed):
        today = date(2026, 3, 5) + timedelta(days=days)
        return Vault(replace(settings, **changed), today=lambda: today)

    return make


@pytest.fixture
def vault(opened):
    return opened()


def read_log(vault):
    with vault.database() as db:
        rows = db.execute("SELECT * FROM keys.log ORDER BY n")
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in rows]


def outcomes(vault):
    return [(entry["action"], entry["outcome"]) for entry in read_log(vault)]


def everything(vault):
    """All bytes of the vault's files."""
    return b"".join(path.read_bytes() for path in vault.settings.folder.iterdir())
