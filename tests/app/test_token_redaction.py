"""With REFERENCE_APP_REDACTION=token the model reads tokens, and only the vault knows what they stand for."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet

from reference_app.errors import SettingsError, VaultError
from reference_app.app import SupportApp
from reference_app.settings import read_settings
from reference_app.vault.tokens import TOKENS
from reference_app.vault.vault import Vault
from tests.openai_server import last_user_text

DOCUMENTS = json.dumps({"route": "documents", "calls": []})
VALUES = ("ada.quimby@example.com", "07700 900461", "4629 1830 5577 1940", "Ada Quimby")
QUESTION = (
    "I'm Ada Quimby, ada.quimby@example.com, tel. 07700 900461, card 4629 1830 5577 1940; "
    "my password is Walrus7! How heavy is the Kestrel tent?"
)


@pytest.fixture
def server(model_server):
    model_server.answer = lambda _: DOCUMENTS
    return model_server


@pytest.fixture
def variables(shop, server, tmp_path):
    return {
        **shop,
        "OPENAI_BASE_URL": server.url,
        "REFERENCE_APP_EMBEDDING_MODEL": "text-embedding-3-small",
        "REFERENCE_APP_REDACTION": "token",
        "REFERENCE_APP_VAULT": str(tmp_path / "vault"),
        "REFERENCE_APP_VAULT_KEY": Fernet.generate_key().decode(),
        "REFERENCE_APP_VAULT_ROLE": "investigator",
    }


@pytest.fixture
def answer(variables):
    def run(question, **changed):
        app = SupportApp(read_settings({**variables, **changed}))
        try:
            return app.answer(question)
        finally:
            app.close()

    return run


def test_the_model_reads_tokens_and_an_investigator_the_values(answer, server, variables):
    answer(QUESTION)

    sent = json.dumps(server.requests)
    assert not [value for value in (*VALUES, "Walrus7") if value in sent]
    asked = last_user_text(next(request for request in server.requests if "messages" in request))
    assert "my password is [password]" in asked
    assert len(set(TOKENS.findall(asked))) == 4
    vault = Vault(read_settings(variables).vault)
    assert vault.open(asked, reason="complaint") == QUESTION.replace("Walrus7!", "[password]")


@pytest.mark.parametrize("key", ["", "walrus"])
def test_without_a_right_key_no_model_sees_the_question(answer, server, key):
    with pytest.raises(VaultError, match="REFERENCE_APP_VAULT_KEY"):
        answer(QUESTION, REFERENCE_APP_VAULT_KEY=key)

    assert not [value for value in VALUES if value in json.dumps(server.requests)]
    assert not [request for request in server.requests if "messages" in request]


def test_a_question_without_personal_data_needs_no_key(answer):
    assert answer("How heavy is the Kestrel tent?", REFERENCE_APP_VAULT_KEY="")["text"]


def test_an_uploaded_file_has_tokens_too(answer, server, tmp_path):
    (tmp_path / "note.txt").write_text("Order for ada.quimby@example.com\nThe tent leaks.")

    answer({"question": "What leaks?", "file": "note.txt"}, REFERENCE_APP_UPLOADS=str(tmp_path))

    sent = json.dumps(server.requests)
    assert "redacted.invalid" in sent
    assert "ada.quimby" not in sent


def test_a_wrong_setting_is_named():
    with pytest.raises(SettingsError, match="REFERENCE_APP_REDACTION is 'hash'; it must be mask or token"):
        read_settings({"REFERENCE_APP_REDACTION": "hash"})
