"""A vault in a folder of its own, with a clock that a test can set."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reference_app.vault.access import Actor, read_vault_settings
from reference_app.vault.keys import make_master_key
from reference_app.vault.vault import Vault

READER = Actor(name="rita", role="reader")
INVESTIGATOR = Actor(name="ines", role="investigator")
EMAIL, PHONE = "ada.quimby@example.com", "07700 900461"


@pytest.fixture
def settings(tmp_path):
    return read_vault_settings(
        {
            "REFERENCE_APP_VAULT": str(tmp_path / "vault"),
            "REFERENCE_APP_VAULT_KEY": make_master_key(),
            "REFERENCE_APP_ACTOR": "ines",
            "REFERENCE_APP_VAULT_ROLE": "investigator",
        }
    )


@pytest.fixture
def opened(settings):
    """Open the vault: `opened(days=3)` three days later, `opened(key=…)` with other settings."""

    def make(*, days=0, **changed):
        now = datetime(2026, 3, 5, 12, tzinfo=UTC) + timedelta(days=days)
        return Vault(replace(settings, **changed), clock=lambda: now)

    return make


@pytest.fixture
def vault(opened):
    return opened()


def outcomes(vault):
    return [(line["action"], line["outcome"]) for line in vault.audit.read()[0]]


def everything(folder):
    """All that lies in the folder, as one text."""
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
