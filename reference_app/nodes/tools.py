"""The nodes that use tools: one asks a person where the policy says so, the other makes the calls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_app.nodes.telling import REJECTED
from reference_app.state import Call
from reference_app.tools.registry import Confirmation
from reference_app.tools.sql.agent import MAX_CHARACTERS, NAME
from reference_app.tracing import trace

if TYPE_CHECKING:
    from reference_app.settings import Role
    from reference_app.state import State, ToolCall
    from reference_app.tools.registry import Registry


class Confirming:
    """Stops the graph before each call that needs a person; adds `approved` and `rejected`."""

    def __init__(self, registry: Registry, role: Role) -> None:
        self._registry = registry
        self._role = role

    def __call__(self, state: State) -> State:
        from langgraph.types import interrupt

        approved: list[str] = []
        rejected: list[str] = []
        for call in calls_of(state):
            if self._registry.decide(call.name, call.arguments, self._role).outcome != "confirm":
                continue
            # What comes back is the digest of the call that the person saw, not a yes to whatever is here.
            answer: dict[str, Any] = interrupt({"name": call.name, "arguments": call.arguments})
            if answer["digest"] == Confirmation.of(call.name, call.arguments).digest:
                (approved if answer["approved"] else rejected).append(answer["digest"])
        return {"approved": approved, "rejected": rejected}


class ToolUse:
    """Makes the calls of the plan in their order; adds `tool_calls`."""

    def __init__(self, registry: Registry, role: Role) -> None:
        self._registry = registry
        self._role = role

    def __call__(self, state: State) -> State:
        with trace("tools"):
            return {"tool_calls": [self._make(call, state) for call in calls_of(state)]}

    def _make(self, call: Call, state: State) -> ToolCall:
        asked = Confirmation.of(call.name, call.arguments)
        confirmation = asked if asked.digest in state.get("approved", []) else None
        made = self._registry.run(call.name, call.arguments, self._role, confirmation)
        if made.decision != "pending":
            return made
        rejected = asked.digest in state.get("rejected", [])
        reason = REJECTED if rejected else "nobody confirmed this call with these arguments"
        return replace(made, decision="denied", reason=reason)


def calls_of(state: State) -> tuple[Call, ...]:
    """What the plan calls; the database is asked with the question itself, which no model has to copy."""
    plan = state["plan"]
    if plan.route == "database":
        return (Call(name=NAME, arguments={"question": state["question"][:MAX_CHARACTERS]}),)
    return tuple(plan.calls)
