"""The last node: the answer in words, and the sections that bear it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.tracing import describe, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.client import Models
    from reference_app.grounding import Grounding
    from reference_app.prompt import Prompt
    from reference_app.state import Found, State, ToolCall

MAX_TOKENS = 48
MAX_SHOWN = 2  # passages the model reads; a third made the small model's answers worse, not better
MIN_SCORE = 0.4  # below it no section has to do with the question
REPLIES = (
    "unknown",
    "refuse",
    "unknown_order",
    "order_processing",
    "order_shipped",
    "order_delivered",
    "order_returned",
    "order_cancelled",
    "order_carrier",
)


class Answerer:
    """Adds `text`, in which each sentence ends in its source like `[returns#window]`, and `sources`."""

    def __init__(self, models: Models, prompt: Prompt, grounding: Grounding) -> None:
        self._models = models
        self._prompt = prompt
        self._grounding = grounding

    def __call__(self, state: State) -> State:
        with trace("answerer") as span:
            text, sources = self._answer(state)
            describe(span, {"reference_app.answer.sources": sources})
            return {"text": text, "sources": sources}

    def _answer(self, state: State) -> tuple[str, list[str]]:
        if state["plan"].route == "refuse":
            return self._prompt.replies["refuse"], []
        if calls := state.get("tool_calls"):
            return self._tell_order(calls[0]), []
        shown = [one.section for one in readable(state.get("passages", []))]
        if not shown:
            return self._prompt.replies["unknown"], []
        messages = [
            {"role": "system", "content": self._prompt.fill(passages="\n".join(one.text for one in shown))},
            {"role": "user", "content": state["question"]},
        ]
        draft = self._models.complete(self._prompt, messages, max_tokens=MAX_TOKENS, heard=state.get("heard"))
        if "{passages}" not in self._prompt.template:
            return " ".join(draft.split()), []
        statements = self._grounding.ground(draft, state["question"], shown)
        text = " ".join(f"{one.text} [{one.source}]" for one in statements)
        return text, list(dict.fromkeys(one.source for one in statements))

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
    """
    The passages the model is shown, best first: near enough to the question, and not too many.

    A superseded one is shown only where the best is superseded too, because the question then asks for it.
    """
    near = [one for one in found if one.score >= MIN_SCORE]
    if near and near[0].section.status == "current":
        near = [one for one in near if one.section.status == "current"]
    return near[:MAX_SHOWN]
