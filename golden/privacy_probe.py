"""What the app promises of personal data, tried on the app itself; `privacy.yaml` names this as its app."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from reference_app.errors import VaultError
from reference_app.graph import SupportApp
from reference_app.models.client import Models
from reference_app.settings import read_settings
from reference_app.tracing.steps import record_steps
from reference_app.vault.access import Actor
from reference_app.vault.keys import DataKey, make_master_key
from reference_app.vault.retention import purge
from reference_app.vault.store import Keys, WrappedKey
from reference_app.vault.vault import Vault

VALUE = "tobias.merrivale@example.com"
READER, INVESTIGATOR = Actor(name="rita", role="reader"), Actor(name="ines", role="investigator")
DIMENSIONS = 8
PLAN = json.dumps({"route": "documents", "calls": []})


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
        "REFERENCE_APP_INDEX": str(folder / "cache"),
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
        vault = Vault(replace(vault.settings, key=make_master_key()))
    shown = _open(vault, token, given["actor"])
    last = vault.audit.read()[0][-1]
    seen = "the value was shown" if shown == VALUE else "the value was not shown"
    clear = VALUE in "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    logged = f"{last['actor']} {last['role']} {last['action']} {last['outcome']}"
    about = "its token" if last["token"] == token else "no token"
    return f"{seen}; logged: {logged}, {about}; value in a file: {'yes' if clear else 'no'}"


def _changed_log(folder, given):
    vault = Vault(read_settings(_variables(folder)).vault)
    token = vault.tokenise("email", VALUE)
    for _ in range(4):
        _open(vault, token, "investigator")
    lines = vault.audit.path.read_text().splitlines(keepends=True)
    _CHANGES[given["change"]](lines)
    vault.audit.path.write_text("".join(lines))
    _, faults = vault.audit.verify()
    found = f"found at line {faults[0].line}" if faults else "not found"
    return f"{found} of 5"


def _purged(folder, given):
    vault = Vault(read_settings(_variables(folder)).vault)
    token = vault.tokenise("email", VALUE)
    records, copy = vault.settings.folder / "records", folder / "copy"
    shutil.copytree(records, copy)
    later = vault.clock() + timedelta(days=given["days"])
    purge(Vault(vault.settings, clock=lambda: later), older_than=timedelta(days=30), reason="retention")
    if given.get("restore"):
        shutil.rmtree(records)
        shutil.copytree(copy, records)
    shown = _open(vault, token, "investigator")
    logged = [line["outcome"] for line in vault.audit.read()[0] if line["action"] == "purge"]
    return f"{'opened' if shown == VALUE else 'not opened'}; logged: {', '.join(logged) or 'nothing'}"


def _open(vault, token, role):
    try:
        actor = INVESTIGATOR if role == "investigator" else READER
        return vault.open(token, reason="a golden case", actor=actor)
    except VaultError:
        return None


def _variables(folder):
    return {
        "REFERENCE_APP_REDACTION": "token",
        "REFERENCE_APP_VAULT": str(folder / "vault"),
        "REFERENCE_APP_VAULT_KEY": make_master_key(),
    }


def _fix_key(vault):
    """Today's data key is the same in every run, and so are the tokens: outputs can be compared."""
    master, day = vault.master_key(), vault.clock().date().isoformat()
    key = DataKey(id="0" * 16, secret=bytes(32))
    wrapped = WrappedKey(id=key.id, wrapped=master.wrap(key, day))
    with vault.locked():
        vault.store.write_keys(Keys(master=master.id, periods={day: wrapped}))


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
    "purged": _purged,
}
_CHANGES = {
    "none": len,
    "changed": lambda lines: lines.__setitem__(2, lines[2].replace("ines", "rita")),
    "removed": lambda lines: lines.pop(2),
    "inserted": lambda lines: lines.insert(3, lines[1]),
    "reordered": lambda lines: lines.insert(1, lines.pop(3)),
    "cut short": lambda lines: lines.pop(),
}
