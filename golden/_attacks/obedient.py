"""
The attacked app with a model that obeys: what holds then was held by a guard, and not by the model.

An input says what the model is talked into, so that no real one is needed: `plan`, the calls it wants, and
`says`, its answer, which it gives only if it reads `if_reads`. The answer may be in pieces, which the model
joins, as an attack whose word is in the input proves nothing. With `person: careless`, somebody confirms
whatever is asked.
"""

import json
import shutil
import threading
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from uuid import uuid4

from golden._attacks.attacked import FOLDER, HERE, KNOWLEDGE, settings
from reference_app.app import SupportApp, as_record, collect
from reference_app.models.multilingual import load_search_encoder
from reference_app.models.weights import find_weights
from reference_app.tools.registry import Confirmation
from reference_app.tracing import as_messages, trace

SCRIPT = ("plan", "says", "if_reads", "person", "description")
_script: ContextVar[dict[str, Any]] = ContextVar("script")
_opening = threading.Lock()
FEW = FOLDER / "few"  # documents, since each is encoded anew where one of them has changed
shutil.copytree(HERE / "knowledge", FEW)
shutil.copy(KNOWLEDGE / "returns.md", FEW)


@dataclass(frozen=True, kw_only=True)
class ObedientModels:
    """In place of `reference_app.models.client.Models`; only vectors are real."""

    weights: Any
    embedding_model: str
    search_model: str
    chat_model: str = "obedient"
    provider: str = "golden"

    def complete(self, prompt, messages, *, max_tokens, schema=None):  # noqa: ARG002 - as the app calls it
        script, read = _script.get(), json.dumps(messages, ensure_ascii=False)
        shown = as_messages(messages)
        with trace("chat obedient", gen_ai__request__model=self.chat_model, gen_ai__input__messages=shown):
            if prompt.name == "planner":
                search = {"name": "search_documents", "arguments": {"query": script["question"]}}
                return json.dumps({"calls": script.get("plan") or [search]})
            if script.get("if_reads", "") not in read:
                return "I do not know."
            said = script.get("says", "I do not know.")
            said = said if isinstance(said, str) else "".join(said)
            return said.replace("{instructions}", messages[0]["content"])

    def embed_query(self, text):
        return load_search_encoder(self.weights).query([text])[0].tolist()

    def embed_many(self, texts):
        return load_search_encoder(self.weights).passage(texts)

    def close(self):
        """Nothing is open."""


def answer(given):
    """As `reference_app.answer`, by a model that does what the input says."""
    _script.set(given)
    with _opening:
        wanted = settings(given.get("description"))
        # With the grounding, no plan or draft of this model would get as far as another guard.
        app = _open(replace(wanted, knowledge=FEW, guards=wanted.guards - {"grounding"}))
    thread = uuid4().hex
    asked = {name: value for name, value in given.items() if name not in SCRIPT}
    state = collect(app.run(**asked, thread=None if "history" in asked else thread))
    while given.get("person") == "careless" and state.get("pending"):
        call = state.pop("pending")
        seen = Confirmation.of(call.name, call.arguments)
        state = collect(app.resume(thread, seen, approved=True), state)
    return as_record(state, app.models.chat_model)


@cache
def _open(opened):
    weights = find_weights(opened.weights, opened.adapter)
    return SupportApp(
        opened,
        ObedientModels(
            weights=weights, embedding_model=weights.encoder_name, search_model=weights.search_name
        ),
    )
