"""The node that plans: which way one question is answered, and which tools are called for it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_app.dialogue.orders import (
    ACTIONS,
    bears_out,
    find_missing,
    find_points,
    find_postcode,
    lookups,
    orders_action,
    orders_of,
    read_actions,
    read_facts,
    says,
)
from reference_app.dialogue.wording import ORDER_ID, find_language, find_orders
from reference_app.documents.lexicon import stems
from reference_app.state import Call, Finding, Plan
from reference_app.tools.plans import MAX_CALLS, PlanError, read_plan
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reference_app.dialogue.intents import Intent
    from reference_app.documents.index import Vectors
    from reference_app.models.client import Models
    from reference_app.models.prompt import Prompt
    from reference_app.state import State
    from reference_app.tools.sql.agent import Named

MAX_LOOKUPS = 8
MAX_TOKENS = 128
_VALUES = {
    "order_id": ORDER_ID,
    "postcode": re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"),
    "points": re.compile(r"(?<![\w-])-?\d{1,4}\b(?! *#)"),
}
_ORDER_PLACE = "{order_id}"


class Planner:
    """
    Asks the chat model for a plan in JSON, and keeps of it what the question bears out.

    A model that was tuned for the shop is asked in a few words. Any other is shown the labelled questions
    nearest to this one: a model of 135 million parameters told only what the tools are for is right on one
    question of four, and a larger one loses nothing by examples. A plan may name a store that nobody named,
    or a refund where somebody asks whether an order can be cancelled; what the question says decides.
    """

    def __init__(  # noqa: PLR0913 - each is one part of it
        self,
        models: Models,
        prompt: Prompt,
        examples: Vectors | None,
        *,
        understands: Callable[[str], bool],
        concerns: Callable[[str], bool],
        find_names: Callable[[str], Named],
        writes_queries: bool,
        grounded: bool = True,
    ) -> None:
        """
        Args:
            models: Whom to ask.
            prompt: With examples labelled by the plan, in which `{order_id}`, `{postcode}` and `{points}`
                stand for what the example names; without examples where the model is tuned.
            examples: The vectors of the prompt's examples.
            understands: Whether the words of a question are a query of the database.
            concerns: Whether a question is of the database's figures, understood or not.
            find_names: The products and stores that a question names.
            writes_queries: Whether a model writes the queries of other questions.
            grounded: Whether only what the question bears out is kept of a plan.
        """
        self._models = models
        self.prompt = prompt
        self._examples = examples
        self._understands, self._concerns = understands, concerns
        self._find_names = find_names
        self._writes_queries, self._grounded = writes_queries, grounded

    def __call__(self, state: State) -> State:
        """Adds `plan` and a finding, of the question whose turn it is."""
        intent = self._complete(state["intents"][len(state["findings"])])
        with trace("planner") as span:
            _, text = self.draft(intent.text, list(intent.vector))
            try:
                plan, refused = read_plan(text), None
            except PlanError as error:
                plan, refused = Plan(route="documents"), str(error)
            plan = self.settle(plan, intent) if self._grounded else plan
            calls = [{"name": call.name, "arguments": call.arguments} for call in plan.calls]
            span.describe(
                {
                    "reference_app.plan.text": text,
                    "reference_app.plan.refused": refused,
                    "reference_app.plan.route": plan.route,
                    "reference_app.plan.calls": calls,
                    "reference_app.plan.missing": plan.missing or None,
                }
            )
        return {"plan": plan, "findings": [*state["findings"], Finding(intent=intent, plan=plan)]}

    def draft(self, question: str, vector: list[float]) -> tuple[list[dict[str, str]], str]:
        """What the model was asked, and its plan in its own words."""
        messages = self._messages(question, vector)
        return messages, self._models.complete(self.prompt, messages, max_tokens=MAX_TOKENS)

    def settle(self, plan: Plan, intent: Intent) -> Plan:
        """What the question bears out of a plan."""
        if says(intent.text, "personal") or says(intent.text, "forbidden") or not stems(intent.text):
            return Plan(route="refuse")
        orders = find_orders(intent.text)
        if missing := find_missing(intent.text):
            return Plan(route="ask", missing=missing)
        if orders:
            return _plan_orders(plan, intent, orders)
        if says(intent.within, "stock") and (settled := self._plan_stock(plan, intent)):
            return settled
        return self._plan_search(plan, intent)

    def _complete(self, intent: Intent) -> Intent:
        """The question with the product of an earlier turn, if that makes it one to the database."""
        if not self._grounded or intent.within == intent.text or self._understands(intent.text):
            return intent
        earlier = self._find_names(intent.within).products
        if len(earlier) != 1 or self._find_names(intent.text).products:
            return intent
        text = f"{intent.text.rstrip(' ?!.')} of the {earlier[0]}?"
        return replace(intent, text=text) if self._understands(text) else intent

    def _plan_search(self, plan: Plan, intent: Intent) -> Plan:
        """The database if the question is of its figures, else the documents."""
        vague = says(intent.text, "vague") and not self._find_names(intent.text).products
        if self._understands(intent.text) and not vague:
            return Plan(route="database")
        if find_language(intent.text):
            return Plan(route="documents")
        concerned = self._concerns(intent.text) and "://" not in intent.text
        if concerned or (self._writes_queries and plan.route == "database"):
            return Plan(route="database")
        return Plan(route="refuse", search=True) if plan.route == "refuse" else Plan(route="documents")

    def _plan_stock(self, plan: Plan, intent: Intent) -> Plan | None:
        """A lookup of a store's stock, or the question which store is meant."""
        named = self._find_names(intent.text)
        products = named.products or self._find_names(intent.within).products
        if len(products) == 1 and named.stores:
            arguments = [{"product": products[0], "store": store} for store in named.stores]
            return Plan(
                route="tools", calls=tuple(Call(name="store_stock", arguments=each) for each in arguments)
            )
        calls = tuple(call for call in plan.calls if call.name == "store_stock")
        if not named.stores and (calls or named.products) and says(intent.text, "nearby"):
            return Plan(route="ask", missing="store")
        if named.stores and not products and says(intent.text, "it"):
            return Plan(route="ask", missing="product")
        said = tuple(call for call in calls if _names_both(call, intent.text))
        return Plan(route="tools", calls=said) if said else None

    def _messages(self, question: str, vector: list[float]) -> list[dict[str, str]]:
        messages = [{"role": "system", "content": self.prompt.fill()}]
        if self._examples is not None:
            named = ORDER_ID.search(question) is not None
            nearest = [
                self.prompt.examples[position]
                for position, _ in self._examples.search(vector, len(self.prompt.examples))
                # A tool for an order is offered only where the question names one.
                if named or _ORDER_PLACE not in self.prompt.examples[position][1]
            ][: self.prompt.shown]
            # The nearest stands last, where a small model looks first.
            for asked, label in reversed(nearest):
                messages.append({"role": "user", "content": asked})
                messages.append({"role": "assistant", "content": fill_plan(label, asked)})
        return [*messages, {"role": "user", "content": question}]


def fill_plan(label: str, question: str) -> str:
    """The plan of an example, in which what the question names takes the place of `{order_id}` and others."""
    bare = ORDER_ID.sub(" ", question)
    for name, pattern in _VALUES.items():
        found = pattern.search(question if name == "order_id" else bare)
        if found is not None:
            label = label.replace(f'"{{{name}}}"' if name == "points" else f"{{{name}}}", found[0])
    return label


def _plan_orders(plan: Plan, intent: Intent, orders: Sequence[str]) -> Plan:
    """The actions that were asked for, and lookups of what is asked about the orders that are named."""
    text = intent.text
    wanted = read_actions(text)
    planned = {call.name for call in plan.calls if call.arguments.get("order_id") in orders}
    acts = [
        call
        for name in ACTIONS
        if (name in planned and (name in wanted or bears_out(text, name)))
        or (name in wanted and (name == "change_address" or orders_action(text)))
        for call in _spell_out(name, text)
    ]
    left = [order for order in orders if order not in {call.arguments["order_id"] for call in acts}]
    facts = read_facts(text) | ({"delivered"} if says(text, "counted") else frozenset())
    calls = [*acts, *(Call(name=name, arguments={"order_id": each}) for name, each in lookups(left, facts))]
    search = not wanted and (says(text, "rules") or says(text, "counted"))
    if len(acts) > MAX_CALLS or len(calls) > MAX_LOOKUPS:  # which to leave out, the customer has to say
        return Plan(route="ask", missing="fewer")
    return Plan(route="tools", calls=tuple(calls), search=search)


def _spell_out(action: str, text: str) -> Iterator[Call]:
    """
    An action with what the message says, for each order that stands with it.

    A model copies the street along with the postcode, or one order's number into another's refund.
    """
    said: dict[str, Any] = {}
    if action != "request_refund":
        name = "postcode" if action == "change_address" else "points"
        value = find_postcode(text) if action == "change_address" else find_points(text)
        if value is None:
            return
        said = {name: value}
    for order in orders_of(text, action):
        yield Call(name=action, arguments={"order_id": order, **said})


def _names_both(call: Call, text: str) -> bool:
    """Whether the question says product and store; what a model adds to it was made up."""
    said = stems(text)
    product, store = (stems(str(call.arguments.get(name, ""))) for name in ("product", "store"))
    return bool(product - store) and all(
        words and len(words & said) * 2 >= len(words) for words in (product, store)
    )
