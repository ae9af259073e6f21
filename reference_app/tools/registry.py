"""The one door to every tool: arguments are checked, the policy is asked, then something runs."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reference_app.tools.arguments import (
    ToolError,
    check_strict,
    compile_schema,
    explain_errors,
    name_near_miss,
    read_arguments,
)
from reference_app.tools.calls import Decision as Recorded
from reference_app.tools.calls import ToolCall
from reference_app.tools.policy import ROLES
from reference_app.tracing import trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reference_app.tools.policy import Outcome, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """
    Something a plan may call.

    Attributes:
        parameters: JSON Schema of an object; must be closed and bounded (`check_strict`).
        run: Gets arguments that keep to the schema; returns JSON values. What can be expected to go wrong
            is returned as `{"error": "<word>", …}`.
        run_as: The same for the customer with this number, who may see only what is their own; raises
            `DeniedCallError`. None where the data are nobody's own.

    Raises:
        ToolError: The schema is not strict.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[[dict[str, Any]], dict[str, Any]]
    run_as: Callable[[dict[str, Any], int], dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        check_strict(self.parameters, self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What happens to a call.

    Attributes:
        reason: For a planner or a person: what to mend, who may not, or that a person is asked. Empty for
            `allow`.
        guard: Which guard denies the call.
    """

    outcome: Outcome
    reason: str = ""
    guard: str = "tools"


NOT_OWN = Decision(
    outcome="deny",
    reason="The guard owner denies it: the order is not among the customer's own.",
    guard="owner",
)


class DeniedCallError(Exception):
    """What a tool found may not be handed on; carries what is recorded of the call."""

    def __init__(self, decided: Decision) -> None:
        super().__init__(decided.reason)
        self.decided = decided


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A person's yes to one call with exactly these arguments."""

    digest: str

    @classmethod
    def of(cls, name: str, arguments: Mapping[str, Any]) -> Confirmation:
        """
        The confirmation of this call.

        Raises:
            ValueError: The arguments are no JSON values.
        """
        text = json.dumps([name, arguments], sort_keys=True, separators=(",", ":"), allow_nan=False)
        return cls(hashlib.sha256(text.encode()).hexdigest())


class Registry:
    """
    Tools by name, behind a policy; may be used from many threads.

    Raises:
        ToolError: Two tools have one name.
        PolicyError: The policy does not fit the tools.
    """

    def __init__(self, tools: Iterable[Tool], policy: Policy) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ToolError(f"Two tools are named {tool.name}.")
            self._tools[tool.name] = tool
        policy.check_tools(self._tools)
        self._policy = policy
        self._validators = {name: compile_schema(tool.parameters) for name, tool in self._tools.items()}

    @property
    def tools(self) -> tuple[Tool, ...]:
        """In the order in which they were given."""
        return tuple(self._tools.values())

    def decide(self, name: str, arguments: object, role: str) -> Decision:
        """What would happen to this call; runs nothing."""
        return self._decide(name, read_arguments(arguments), role)

    def run(  # noqa: PLR0913 - what a call is decided by
        self,
        name: str,
        arguments: dict[str, Any],
        role: str,
        confirmation: Confirmation | None = None,
        *,
        objection: Decision | None = None,
        customer: int | None = None,
    ) -> ToolCall:
        """
        Decide, run what may run, and record both in a span.

        Arguments that are no JSON values, or too long, are left out of the record.

        Args:
            objection: Of a guard that denies the call whatever the policy says; None if none does.
            customer: Whose data alone the call may be about; None where they may be anybody's.
        """
        read = read_arguments(arguments)
        kept: dict[str, Any] = {} if isinstance(read, str) else read
        tool = self._tools.get(name) if isinstance(name, str) else None
        shown = tool.name if tool else "unknown"
        with trace(
            f"execute_tool {shown}",
            gen_ai__operation__name="execute_tool",
            gen_ai__tool__name=str(name)[:60],
            gen_ai__tool__description=tool.description if tool else None,
            gen_ai__tool__type="function",
            gen_ai__tool__call__id=f"call_{uuid.uuid4().hex[:24]}",
            gen_ai__tool__call__arguments=kept,
        ) as span:
            decided = self._decide(name, read, role)
            if objection and decided.outcome != "deny":
                decided = objection
            decision, reason = _record(decided, confirmation, name, kept)
            if decision == "denied":
                trace_guard(decided.guard, reason)
            runs = tool is not None and decision in ("allowed", "confirmed")
            span.describe(
                {"reference_app.tool.decision": decision, "reference_app.tool.reason": reason or None}
            )
            result = None
            try:
                result = _use(tool, kept, customer) if tool and runs else None
            except DeniedCallError as error:
                decision, reason = "denied", error.decided.reason
                trace_guard(error.decided.guard, reason)
                span.describe({"reference_app.tool.decision": decision, "reference_app.tool.reason": reason})
            span.describe({"gen_ai.tool.call.result": result})
        return ToolCall(name=name, arguments=kept, decision=decision, result=result, reason=reason)

    def _decide(self, name: str, arguments: dict[str, Any] | str, role: str) -> Decision:
        if not isinstance(name, str) or name not in self._tools:
            known = list(self._tools)
            near = name_near_miss(name, known)
            return Decision(
                outcome="deny",
                reason=f"There is no tool {str(name)[:60]!a}; there are {', '.join(known)}.{near}",
            )
        if isinstance(arguments, str):
            return Decision(outcome="deny", reason=arguments, guard="schema")
        if wrong := explain_errors(self._validators[name], name, arguments):
            return Decision(outcome="deny", reason=wrong, guard="schema")
        if role not in ROLES:
            return Decision(outcome="deny", reason=f"There is no role {str(role)[:60]!a}.")
        outcome = self._policy.decide(name, role)
        reasons: dict[Outcome, str] = {
            "allow": "",
            "confirm": f"A person has to confirm {name} with these arguments first.",
            "deny": f"The role {role} may not use {name}.",
        }
        return Decision(outcome=outcome, reason=reasons[outcome])


def _use(tool: Tool, arguments: dict[str, Any], customer: int | None) -> dict[str, Any]:
    if customer is None or tool.run_as is None:
        return tool.run(dict(arguments))
    return tool.run_as(dict(arguments), customer)


def _record(
    decided: Decision, confirmation: Confirmation | None, name: str, arguments: dict[str, Any]
) -> tuple[Recorded, str]:
    if decided.outcome == "deny":
        return "denied", decided.reason
    if decided.outcome == "allow":
        return "allowed", ""
    if confirmation is None:
        return "pending", decided.reason
    if confirmation != Confirmation.of(name, arguments):
        return "denied", f"The confirmation is not of {name} with these arguments."
    return "confirmed", ""
