"""The node that makes a message ready: the questions in it, each with the vector it is searched by."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from reference_app.dialogue.intents import read_intents
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_app.dialogue.intents import Intent
    from reference_app.models.client import Models
    from reference_app.state import State

CONTEXT = 0.5
"""How much the whole message counts in the vector of one of its questions."""


class Intake:
    """Adds `intents`, and `findings`, of which there are none yet."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def __call__(self, state: State) -> State:
        earlier = [turn["content"] for turn in state.get("history", []) if turn["role"] == "user"]
        with trace("intake") as span:
            intents = read_intents(state["question"], earlier)
            span.describe({"reference_app.intents": [intent.text for intent in intents]})
            embed = cache(self._models.embed_query)  # questions of one message share what they are within
            return {"intents": [_encode(intent, embed) for intent in intents], "findings": []}


def _encode(intent: Intent, embed: Callable[[str], list[float]]) -> Intent:
    vector = embed(intent.query)
    if intent.within != intent.query:
        vector = _mix(vector, embed(intent.within))
    compared = tuple(_encode(one, embed) for one in intent.compared)
    return replace(intent, vector=tuple(vector), compared=compared)


def _mix(vector: Sequence[float], context: Sequence[float]) -> list[float]:
    import numpy as np

    mixed = np.asarray(vector) + CONTEXT * np.asarray(context)
    unit: list[float] = (mixed / np.linalg.norm(mixed)).tolist()
    return unit
