"""The first node: which way a question is answered, and which tools are called for it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

from reference_app.state import ROUTES, Call, Plan
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_app.documents.index import Vectors
    from reference_app.models.client import Models
    from reference_app.models.prompt import Prompt
    from reference_app.state import State

MAX_TOKENS = 128
MAX_CALLS = 4
MAX_DIGITS = 15
MAX_BRACKETS = 60  # a call that waits for a person is kept in a format that nests no deeper
Number = TypeVar("Number", int, float)
ORDER_ID = re.compile(r"\bFW-\d{5}\b", re.ASCII | re.IGNORECASE)
_VALUES = {
    "order_id": ORDER_ID,
    "postcode": re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b"),
    "points": re.compile(r"(?<![\w-])-?\d{1,4}\b(?! *#)"),
}
_ORDER_PLACE = "{order_id}"


class PlanError(Exception):
    """Says what is wrong with a plan, in words that its writer can mend it by."""


class Planner:
    """
    Asks the chat model for a plan in JSON, and once more with the reason where it cannot be carried out.

    A model that was tuned for the shop is asked in a few words. Any other is shown the labelled questions
    nearest to this one: a model of 135 million parameters told only what the tools are for is right on one
    question of four, and a larger one loses nothing by examples.
    """

    def __init__(
        self,
        models: Models,
        prompt: Prompt,
        examples: Vectors | None,
        *,
        mend: str,
        refuse: Callable[[Call], str | None],
    ) -> None:
        """
        Args:
            models: Whom to ask.
            prompt: With examples labelled by the plan, in which `{order_id}`, `{postcode}` and `{points}`
                stand for what the example names; without examples where the model is tuned.
            examples: The vectors of the prompt's examples.
            mend: What is said to a plan that is sent back, with `{reason}`.
            refuse: Why a call cannot be made as it stands; None where it can.
        """
        self._models = models
        self.prompt = prompt
        self._examples = examples
        self._mend = mend
        self._refuse = refuse

    def __call__(self, state: State) -> State:
        """Adds `plan`."""
        question = ORDER_ID.sub(lambda found: found[0].upper(), state["question"])
        with trace("planner") as span:
            messages, text = self.draft(question, state["vector"])
            plan, reason = self._read(text, question)
            span.describe({"reference_app.plan.text": text, "reference_app.plan.refused": reason})
            if reason is not None:
                again = [
                    *messages,
                    {"role": "assistant", "content": text},
                    {"role": "user", "content": self._mend.format(reason=reason)},
                ]
                mended, still = self._read(
                    self._models.complete(self.prompt, again, max_tokens=MAX_TOKENS), question
                )
                plan = mended if still is None else plan
            calls = [{"name": call.name, "arguments": call.arguments} for call in plan.calls]
            span.describe({"reference_app.plan.route": plan.route, "reference_app.plan.calls": calls})
        return {"plan": plan}

    def draft(self, question: str, vector: list[float]) -> tuple[list[dict[str, str]], str]:
        """What the model was asked, and its plan in its own words."""
        messages = self._messages(question, vector)
        return messages, self._models.complete(self.prompt, messages, max_tokens=MAX_TOKENS)

    def _read(self, text: str, question: str) -> tuple[Plan, str | None]:
        """
        The plan, and what is wrong with it.

        What is no plan becomes `documents`: searching in vain is the harmless mistake. Of a plan with a call
        that cannot be made all calls stay, so that the registry denies it and the denial is on record.
        """
        try:
            plan = read_plan(text)
        except PlanError as error:
            return Plan(route="documents"), str(error)
        orders = ORDER_ID.findall(question)
        for call in plan.calls:
            # Never from the model, so that no other order can be looked up, nor asked of the database.
            if strange := [named for named in _name_orders(call) if named not in orders]:
                return Plan(route="documents"), f"the question names no order {strange[0][:20]}"
            if (reason := self._refuse(call)) is not None:
                return plan, reason
        return plan, None

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


def _name_orders(call: Call) -> list[str]:
    texts = {name: value for name, value in call.arguments.items() if isinstance(value, str)}
    given = [texts.pop("order_id")] if "order_id" in texts else []
    return given + [found.upper() for text in texts.values() for found in ORDER_ID.findall(text)]


def read_plan(text: str) -> Plan:
    """
    The plan in the model's words; a call that stands there twice is made once, since a person says yes once.

    Raises:
        PlanError: It is no JSON object of a route and its calls, and nothing more.
    """
    if text.count("{") + text.count("[") > MAX_BRACKETS:
        raise PlanError("it is nested too deeply")
    try:
        data = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=lambda digits: _read_number(digits, int),
            parse_float=lambda digits: _read_number(digits, float),
        )
    except (ValueError, RecursionError):
        raise PlanError("it is no JSON") from None
    if not isinstance(data, dict) or set(data) != {"route", "calls"}:
        raise PlanError("a plan has the keys route and calls, and no others")
    route, calls = data["route"], data["calls"]
    if route not in ROUTES:
        raise PlanError(f"the route is none of {', '.join(ROUTES)}")
    if not isinstance(calls, list) or len(calls) > MAX_CALLS:
        raise PlanError(f"calls is a list of at most {MAX_CALLS}")
    if (route == "tools") != bool(calls):
        raise PlanError("there are calls if the route is tools, and none otherwise")
    read = [_read_call(call) for call in calls]
    return Plan(route=route, calls=tuple(call for place, call in enumerate(read) if call not in read[:place]))


def _read_call(call: object) -> Call:
    if (
        not isinstance(call, dict)
        or set(call) != {"name", "arguments"}
        or not isinstance(call["name"], str)
        or not isinstance(call["arguments"], dict)
    ):
        raise PlanError("a call has a name and arguments, and nothing more")
    return Call(name=call["name"], arguments=call["arguments"])


def _read_number(digits: str, kind: type[Number]) -> Number:
    # Exponents and more digits than a checkpoint can hold are nothing that a tool takes.
    if len(digits) > MAX_DIGITS or "e" in digits.lower():
        raise ValueError("a number is too large")
    return kind(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found
