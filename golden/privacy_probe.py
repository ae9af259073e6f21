"""What the app promises of personal data, tried on the app itself; `privacy.yaml` names this as its app."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from cryptography.fernet import Fernet

from reference_app.app import SupportApp
from reference_app.errors import VaultError
from reference_app.models.client import Models
from reference_app.settings import read_settings
from reference_app.tracing.steps import record_steps
from reference_app.vault.audit import find_faults
from reference_app.vault.vault import Vault

VALUE = "tobias.merrivale@example.com"
ACTORS = {"reader": "rita", "investigator": "ines"}
DIMENSIONS = 8
PLAN = json.dumps({"calls": [{"name": "search_documents", "arguments": {"query": "delivery"}}]})


def probe(given):
    """
    Try one promise; `text` says what was seen.

    Args:
        given: `promise`, the name of one; and what it needs: a `question`, a `change` of the log.
    """
    with tempfile.TemporaryDirectory() as folder:
        return {"text": _PROMISES[given["promise"]](Path(folder), given)}


def _model_reads(folder, given):
    """Everything that a question makes the app send to its model, and nothing else."""
    client = _Client()
    models = Models(
        chat=client, chat_model="probe", embedding=client, embedding_model="probe", provider="probe"
    )
    variables = {
        **_variables(folder),
        "OPENAI_API_KEY": "none",  # no weights are looked for
        "REFERENCE_APP_EMBEDDING_MODEL": "probe",
        "REFERENCE_APP_KNOWLEDGE": str(_copy_knowledge(folder)),
        "REFERENCE_APP_REDACTION": given["redaction"],
        "REFERENCE_APP_GUARDRAILS": given.get("guards", ""),
    }
    settings = read_settings(variables)
    if settings.vault:
        _fix_key(Vault(settings.vault))
    app = SupportApp(settings, models)
    try:
        client.requests.clear()  # the documents were embedded
        app.answer(given["question"])
    finally:
        app.close()
    return "\n".join(client.requests)


def _spans_read(folder, given):
    """The model reads the value, so that the spans, which the gate collects, are all that hides it."""
    with record_steps() as steps:
        read = _model_reads(folder, {**given, "redaction": "mask", "guards": "input,output"})
    if not steps:
        return "nothing was traced"
    return f"the model read {'the question as it is' if given['question'] in read else 'something else'}"


def _opening(folder, given):
    vault = Vault(read_settings(_variables(folder)).vault)
    token = vault.tokenise("email", VALUE)
    if given.get("key") == "wrong":
        vault = Vault(replace(vault.settings, key=Fernet.generate_key().decode()))
    shown = _open(vault, token, given["actor"])
    last = _read_log(vault)[-1]
    seen = "the value was shown" if shown == VALUE else "the value was not shown"
    clear = VALUE.encode() in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    logged = f"{last['actor']} {last['role']} {last['action']} {last['outcome']}"
    about = "its token" if last["token"] == token else "no token"
    return f"{seen}; logged: {logged}, {about}; value in a file: {'yes' if clear else 'no'}"


def _changed_log(folder, given):
    vault = Vault(read_settings(_variables(folder)).vault)
    token = vault.tokenise("email", VALUE)
    for _ in range(5):
        _open(vault, token, "investigator")
    with vault.database() as db:
        for statement in (
            "DROP TRIGGER keys.no_update",
            "DROP TRIGGER keys.no_delete",
            *_CHANGES[given["change"]],
        ):
            db.execute(statement)
        faults = find_faults(db)
    found = f"found at entry {faults[0][0]}" if faults else "not found"
    return f"{found} of 5"


def _deleted(folder, given):
    vault = Vault(read_settings(_variables(folder)).vault)
    token = vault.tokenise("email", VALUE, "customer 7")
    values, copy = vault.settings.folder / "vault.db", folder / "copy"
    shutil.copy(values, copy)
    if "erase" in given:
        vault.erase(given["erase"], reason="asked for it")
    else:
        later = datetime.now(UTC).date() + timedelta(days=given["days"])
        Vault(vault.settings, today=lambda: later).purge(30, reason="retention")
    if given.get("restore"):
        shutil.copy(copy, values)
    shown = _open(vault, token, "investigator")
    logged = [line["outcome"] for line in _read_log(vault) if line["action"] != "open"]
    return f"{'opened' if shown == VALUE else 'not opened'}; logged: {', '.join(logged) or 'nothing'}"


def _open(vault, token, role):
    vault = Vault(replace(vault.settings, actor=ACTORS[role], role=role))
    try:
        return vault.open(token, reason="a golden case")
    except VaultError:
        return None


def _read_log(vault):
    with vault.database() as db:
        rows = db.execute("SELECT * FROM keys.log ORDER BY n")
        return [{name[0]: value for name, value in zip(rows.description, row, strict=True)} for row in rows]


def _variables(folder):
    return {
        "REFERENCE_APP_REDACTION": "token",
        "REFERENCE_APP_VAULT": str(folder / "vault"),
        "REFERENCE_APP_VAULT_KEY": Fernet.generate_key().decode(),
    }


def _fix_key(vault):
    """Today's data key is the same in every run, and so are the tokens: outputs can be compared."""
    wrapped = Fernet(vault.settings.key).encrypt(base64.urlsafe_b64encode(bytes(32)))
    with vault.database() as db:
        row = (vault.today().isoformat(), wrapped)
        db.execute("INSERT INTO keys.keys VALUES (NULL, '', ?, ?)", row)


def _copy_knowledge(folder):
    """One document, so that little has to be embedded."""
    copy = folder / "knowledge"
    copy.mkdir()
    shutil.copy(read_settings({}).knowledge / "gift-cards.md", copy)
    return copy


class _Client:
    """In place of the client of a model: keeps what it is sent and answers with one plan."""

    def __init__(self):
        self.requests = []
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._complete))
        self.embeddings = SimpleNamespace(create=self._embed)

    def close(self):
        pass

    def _complete(self, **request):
        # The last turn is the question; those before it are of the prompt file.
        self.requests.append(request["messages"][-1]["content"])
        choice = SimpleNamespace(message=SimpleNamespace(content=PLAN), finish_reason="stop")
        return SimpleNamespace(choices=[choice], model="probe", usage=None)

    def _embed(self, *, model, input):  # noqa: A002 - as the client names it
        self.requests += input
        vectors = [SimpleNamespace(embedding=[1.0] * DIMENSIONS) for _ in input]
        return SimpleNamespace(data=vectors, model=model, usage=None)


_PROMISES = {
    "model": _model_reads,
    "spans": _spans_read,
    "opening": _opening,
    "log": _changed_log,
    "deleted": _deleted,
}
_CHANGES = {
    "none": (),
    "changed": ("UPDATE keys.log SET actor = 'rita' WHERE n = 3",),
    "removed": ("DELETE FROM keys.log WHERE n = 3",),
    "inserted": (
        "UPDATE keys.log SET n = 6 WHERE n = 5",
        "UPDATE keys.log SET n = 5 WHERE n = 4",
        "INSERT INTO keys.log (n, hash) VALUES (4, '')",
    ),
    "reordered": (
        "UPDATE keys.log SET n = 9 WHERE n = 2",
        "UPDATE keys.log SET n = 2 WHERE n = 4",
        "UPDATE keys.log SET n = 4 WHERE n = 9",
    ),
    "cut short": ("DELETE FROM keys.log WHERE n = 5",),
}
