"""The last node: the answer in words, and the sections that support it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.citations import cite, first_sentences
from reference_app.tracing import describe, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.client import Models
    from reference_app.prompt import Prompt
    from reference_app.state import Found, State, ToolCall

MAX_TOKENS = 64
MAX_WORDS = 240  # of passages: what a small model reads in about a second and does not get lost in
MIN_SCORE = 0.4  # below it no section has to do with the question


class Answerer:
    """Adds `text`, which ends in the ids of its sources like `[returns#window]`, and `sources`."""

    def __init__(self, models: Models, prompt: Prompt, planner_replies: dict[str, str]) -> None:
        self._models = models
        self._prompt = prompt
        self._replies = planner_replies

    def __call__(self, state: State) -> State:
        with trace("answerer") as span:
            text, sources = self._answer(state)
            describe(span, {"reference_app.answer.sources": sources})
            return {"text": text, "sources": sources}

    def _answer(self, state: State) -> tuple[str, list[str]]:
        plan = state["plan"]
        if plan.route == "refuse":
            return self._replies["refuse"], []
        if plan.route == "order_status":
            calls = state.get("tool_calls") or []
            return (self._tell_order(calls[0]), []) if calls else (self._replies["no_order_id"], [])
        shown = readable(state["passages"])
        if not shown:
            return self._prompt.replies["unknown"], []
        passages = "\n".join(
            f"[{one.section.id}] ({one.section.status}, {one.section.updated}) {one.section.text}" for one in shown
        )
        messages = [
            {"role": "system", "content": self._prompt.fill(passages=passages)},
            {"role": "user", "content": state["question"]},
        ]
        text = self._models.complete(
            self._prompt, messages, max_tokens=MAX_TOKENS, heard=state.get("heard")
        )
        text = first_sentences(text)
        sources = cite(text, [one.section for one in shown])
        return " ".join([text, *(f"[{source}]" for source in sources)]), sources

    def _tell_order(self, call: ToolCall) -> str:
        """The facts of an order are filled into a sentence: a model that rephrases them can only lose."""
        result = call.result or {}
        if "status" not in result:
            return self._prompt.replies["unknown_order"].format(order_id=call.arguments["order_id"])
        text = self._prompt.replies[f"order_{result['status']}"].format_map(result)
        if result["status"] in ("shipped", "delivered") and result["carrier"]:
            text += " " + self._prompt.replies["order_carrier"].format_map(result)
        return text


def readable(found: Sequence[Found]) -> list[Found]:
    """The passages near enough to the question, best first, as many as the model can read."""
    shown: list[Found] = []
    words = 0
    for one in found:
        words += len(one.section.text.split())
        if one.score < MIN_SCORE or (shown and words > MAX_WORDS):
            break
        shown.append(one)
    return shown
