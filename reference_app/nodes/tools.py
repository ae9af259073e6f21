"""The nodes that use tools: one asks a person where the policy says so, the other makes the calls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from reference_app.nodes.telling import REJECTED, SETTLED
from reference_app.state import Call
from reference_app.tools.registry import NOT_OWN, UNSIGNED, Confirmation, Decision
from reference_app.tools.sql.agent import MAX_CHARACTERS, NAME
from reference_app.tracing import trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from reference_app.settings import Role
    from reference_app.state import State, ToolCall
    from reference_app.tools.registry import Registry


TOO_LATE = {
    "request_refund": ("returned", "cancelled"),  # its money was paid back
    "change_address": ("delivered", "returned", "cancelled"),
}
"""Status of an order in which the shop refuses a call, so that no person is asked."""
Screen = Callable[["Call", str, str], "Decision | None"]
"""A guard's denial of a call, given the question and the results of earlier calls; None if none denies it."""
Suspect = Callable[[str], "str | None"]
"""Why a text is to be kept from the model, or None."""
Asker = Callable[["State"], "int | None"]
"""The customer whose orders alone a call may be about; None where they may be anybody's."""


def screen_calls(
    registry: Registry,
    role: Role,
    guards: AbstractSet[str],
    unsigned: AbstractSet[str] = frozenset(),
) -> Screen:
    """
    The guards of tool calls before the registry, which itself checks names, schemas and the policy.

    A tool in `unsigned` is never called, and none with a target that the customer did not name.
    """
    from reference_app.guardrails.calls.request import Text

    def screen(call: Call, question: str, context: str) -> Decision | None:
        texts = [Text(context)] if context else []
        found = registry.decide(
            call.name, call.arguments, role, said=[question] if question else None, texts=texts, guards=guards
        )
        if call.name in unsigned:
            return Decision(outcome="deny", reason=UNSIGNED, guard="manifest")
        return found if found.outcome == "deny" and found.guard not in ("tools", "schema") else None

    return screen


def find_asker(role: Role, guards: AbstractSet[str]) -> Asker:
    """Staff may see all orders, and with the guard `owner` off everybody may."""
    if role == "staff" or "owner" not in guards:
        return lambda _: None
    return lambda state: state.get("customer")


class Confirming:
    """Stops the graph before each call that needs a person; sets `approved`, `rejected` and `foreign`."""

    def __init__(self, registry: Registry, role: Role, screen: Screen, asker: Asker) -> None:
        self._registry = registry
        self._role = role
        self._screen = screen
        self._asker = asker

    def __call__(self, state: State) -> State:
        from langgraph.types import interrupt

        return self.decide(state, interrupt)

    def decide(self, state: State, ask: Callable[[dict[str, Any]], Any]) -> State:
        """
        As the node does, for who has another way to ask.

        Args:
            state: With the plan and the finding that its calls belong to.
            ask: Gets `name`, `arguments` and what was `looked` up; returns the `digest` of the call that the
                person saw, and whether it was `approved`. What it raises leaves the plan as it is.
        """
        approved: list[str] = []
        rejected: list[str] = []
        settled: list[str] = []
        foreign: list[str] = []
        looked: list[ToolCall] = []
        for call in calls_of(state):
            if self._registry.decide(call.name, call.arguments, self._role).outcome != "confirm":
                continue
            if self._screen(call, _asked(state), ""):
                continue  # it is denied whatever the person says
            found = self._look_up(call, self._asker(state))
            looked += found
            if any(one.reason == NOT_OWN.reason for one in found):
                foreign.append(Confirmation.of(call.name, call.arguments).digest)
                continue  # nobody is asked about the order of another customer
            order = (found[0].result or {}) if found else {}
            if order.get("status") in TOO_LATE.get(call.name, ()):
                settled.append(Confirmation.of(call.name, call.arguments).digest)
                continue
            # What comes back is the digest of the call that the person saw, not a yes to whatever is here.
            asked = {
                "name": call.name,
                "arguments": call.arguments,
                "looked": [asdict(one) for one in looked],
            }
            answer: dict[str, Any] = ask(asked)
            if answer["digest"] == Confirmation.of(call.name, call.arguments).digest:
                (approved if answer["approved"] else rejected).append(answer["digest"])
        # Of this plan alone: a yes to an earlier question's call is none to the same call here.
        return {
            "approved": approved,
            "rejected": rejected,
            "settled": settled,
            "foreign": foreign,
            "tool_calls": [*state.get("tool_calls", []), *looked],
        }

    def _look_up(self, call: Call, customer: int | None) -> list[ToolCall]:
        """The order that a call is about, so that a person sees what a number stands for."""
        order = {name: value for name, value in call.arguments.items() if name == "order_id"}
        if not order:
            return []
        return [self._registry.run("order_status", order, self._role, customer=customer)]


class ToolUse:
    """Makes the calls of the plan in their order; adds `tool_calls` and what they found."""

    def __init__(
        self,
        registry: Registry,
        role: Role,
        screen: Screen,
        suspect: Suspect,
        asker: Asker,
    ) -> None:
        """`suspect` says why a result is to be kept from the model, or None."""
        self._registry = registry
        self._role = role
        self._screen = screen
        self._asker = asker
        self._suspect = suspect

    def __call__(self, state: State) -> State:
        finding = state["findings"][-1]
        with trace("tools"):
            made: list[ToolCall] = []
            for call in calls_of(state):
                made.append(self.make(call, state, made))
        return {
            "tool_calls": [*state.get("tool_calls", []), *made],
            "findings": [*state["findings"][:-1], replace(finding, calls=tuple(made))],
        }

    def make(self, call: Call, state: State, earlier: Sequence[ToolCall]) -> ToolCall:
        """One call, where what earlier ones found is no wish of the customer."""
        context = "\n".join(json.dumps(one.result, ensure_ascii=False) for one in earlier if one.result)
        objection = self._screen(call, _asked(state), context)
        asked = Confirmation.of(call.name, call.arguments)
        if asked.digest in state.get("foreign", []):
            objection = objection or NOT_OWN
        confirmation = asked if asked.digest in state.get("approved", []) else None
        made = self._registry.run(
            call.name,
            call.arguments,
            self._role,
            confirmation,
            objection=objection,
            customer=self._asker(state),
        )
        if made.decision != "pending":
            return screen_result(made, self._suspect)
        reason = "nobody confirmed this call with these arguments"
        if asked.digest in state.get("rejected", []):
            reason = REJECTED
        elif asked.digest in state.get("settled", []):
            reason = SETTLED
        trace_guard("tools", reason)
        return replace(made, decision="denied", reason=reason)


def screen_result(made: ToolCall, suspect: Suspect) -> ToolCall:
    """The call without a result that gives orders to the model; it would be put into words next."""
    text = "\n".join(_list_texts(made.result))
    if not text or (reason := suspect(text)) is None:
        return made
    trace_guard("input", reason, text=text)
    return replace(made, result={"error": "suspicious"})


def _list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _list_texts(part)


def calls_of(state: State) -> tuple[Call, ...]:
    """What the plan calls; the database is asked with the question itself, which no model has to copy."""
    plan = state["plan"]
    if plan.route == "database":
        return (Call(name=NAME, arguments={"question": state["findings"][-1].intent.text[:MAX_CHARACTERS]}),)
    return tuple(plan.calls)


def _asked(state: State) -> str:
    """What the customer wants, with an order that an earlier turn named."""
    intent = state["findings"][-1].intent
    return f"{intent.within} {intent.text}"
