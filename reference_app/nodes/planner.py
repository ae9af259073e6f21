"""The first node: which way a question is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.state import ROUTES, Plan, Route
from reference_app.tools.order_status import ORDER_ID
from reference_app.tracing import describe, trace

if TYPE_CHECKING:
    from reference_app.documents.index import Vectors
    from reference_app.models.client import Models
    from reference_app.nodes.prompt import Prompt
    from reference_app.state import State

MAX_TOKENS = 12


class Planner:
    """
    Asks the chat model, which is shown the labelled questions nearest to this one.

    A model of 135 million parameters told only what the labels mean is right on one question of four; by
    near examples it is right on nearly all, and a larger one loses nothing. The tool is offered only where
    it could be called: the question names an order.
    """

    def __init__(self, models: Models, prompt: Prompt, examples: Vectors) -> None:
        self._models = models
        self._prompt = prompt
        self._examples = examples

    def __call__(self, state: State) -> State:
        """Adds `vector` and `plan`."""
        with trace("planner") as span:
            vector = self._models.embed(state["question"])
            text = self._models.complete(
                self._prompt, self._messages(state["question"], vector), max_tokens=MAX_TOKENS
            )
            plan = read_plan(text, state["question"])
            describe(
                span, {"reference_app.plan.route": plan.route, "reference_app.plan.order_id": plan.order_id}
            )
        return {"vector": vector, "plan": plan}

    def _messages(self, question: str, vector: list[float]) -> list[dict[str, str]]:
        offered = [route for route in ROUTES if route != "order_status" or ORDER_ID.search(question)]
        nearest = [
            self._prompt.examples[position]
            for position, _ in self._examples.search(vector, len(self._prompt.examples))
            if self._prompt.examples[position][1] in offered
        ][: self._prompt.shown]
        messages = [{"role": "system", "content": self._prompt.fill()}]
        # The nearest stands last, where a small model looks first.
        for asked, route in reversed(nearest):
            messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": route}]
        return [*messages, {"role": "user", "content": question}]


def read_plan(text: str, question: str) -> Plan:
    """
    The plan in the model's words.

    What is none of the routes becomes `documents`: searching in vain is the harmless mistake. The order's
    number is taken from the question, never from the model, so that no other order can be looked up; a
    question without one cannot be answered by the tool, and documents tell how an order is tracked.
    """
    word = (text.split() or [""])[0].strip(".,:;\"'`").lower()
    route: Route = next((route for route in ROUTES if route == word), "documents")
    if route != "order_status":
        return Plan(route=route)
    found = ORDER_ID.search(question)
    return Plan(route=route, order_id=found[0].upper()) if found else Plan(route="documents")
