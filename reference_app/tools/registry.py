"""The one door to every tool: arguments are checked, the policy is asked, then something runs."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reference_app.guardrails.calls.request import (
    AllowedTool,
    Confirmation,
    Decision,
    Request,
)
from reference_app.guardrails.tool_gate import check_call
from reference_app.tools.arguments import (
    ToolError,
    check_strict,
    compile_schema,
    explain_errors,
    name_near_miss,
    read_arguments,
)
from reference_app.tools.calls import Recorded, ToolCall
from reference_app.tools.policy import ROLES
from reference_app.tracing import trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from reference_app.guardrails.calls.request import Outcome, Text
    from reference_app.tools.policy import Policy


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


__all__ = ["NOT_OWN", "UNSIGNED", "Confirmation", "Decision", "DeniedCallError", "Registry", "Tool"]

UNSIGNED = "The guard manifest denies it: the tool is not as somebody signed for it."
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


class Registry:
    """
    Tools by name, behind a policy and the guards of calls; may be used from many threads.

    Args:
        hosts: Whose URLs an argument may be.
        unsigned: Names of the tools that are never called, as nobody signed for what they are now.

    Raises:
        ToolError: Two tools have one name.
        PolicyError: The policy does not fit the tools.
    """

    def __init__(
        self,
        tools: Iterable[Tool],
        policy: Policy,
        *,
        hosts: Sequence[str] = (),
        unsigned: frozenset[str] = frozenset(),
    ) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ToolError(f"Two tools are named {tool.name}.")
            self._tools[tool.name] = tool
        policy.check_tools({name: tool.parameters for name, tool in self._tools.items()})
        self._policy = policy
        self.unsigned = unsigned
        self._validators = {name: compile_schema(tool.parameters) for name, tool in self._tools.items()}
        self._allowed = tuple(
            AllowedTool(
                name=tool.name,
                description=tool.description,
                parameters=tool.parameters,
                policy={"hosts": list(hosts)},
                declaration=policy.rules[tool.name],
            )
            for tool in self._tools.values()
        )

    @property
    def tools(self) -> tuple[Tool, ...]:
        """In the order in which they were given."""
        return tuple(self._tools.values())

    def decide(  # noqa: PLR0913 - what a call is decided by
        self,
        name: str,
        arguments: object,
        role: str,
        *,
        said: Sequence[str] | None = None,
        texts: Sequence[Text] = (),
        guards: Collection[str] = (),
    ) -> Decision:
        """
        What would happen to this call; runs nothing.

        Args:
            said: What the person wrote in this conversation; None does not ask where values come from.
            texts: What the model read: results of tools, passages, pages, uploads.
            guards: Of `CALL_GUARDS`, those that look; `tools` and `schema` always do.
        """
        read = read_arguments(arguments)
        decided = self._decide(name, read, role)
        if decided.outcome == "deny":
            return decided
        request = Request(
            tools=self._allowed,
            name=name,
            arguments=read,
            role=role,
            said=None if said is None else tuple(said),
            texts=tuple(texts),
        )
        found = check_call(request, frozenset(guards) - {"tools", "schema"})
        if found.outcome == "deny" or (found.outcome, decided.outcome) == ("confirm", "allow"):
            verb = "denies it" if found.outcome == "deny" else "wants a person to confirm it"
            return replace(found, reason=f"The guard {found.guard} {verb}: {found.reason}.")
        return decided

    def run(  # noqa: PLR0913 - what a call is decided by
        self,
        name: str,
        arguments: dict[str, Any],
        role: str,
        confirmation: Confirmation | None = None,
        *,
        said: Sequence[str] | None = None,
        texts: Sequence[Text] = (),
        guards: Collection[str] = (),
        objection: Decision | None = None,
        customer: int | None = None,
    ) -> ToolCall:
        """
        Decide as `decide` does, run what may run, and record both in a span.

        Arguments that are no JSON values, or too long, are left out of the record.

        Args:
            objection: Denies the call whatever the policy says; None if nothing does.
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
            decided = self.decide(name, arguments, role, said=said, texts=texts, guards=guards)
            if objection and decided.outcome != "deny":
                decided = objection
            decision, reason = _record(decided, confirmation, name, kept)
            result = None
            try:
                if tool and decision in ("allowed", "confirmed"):
                    result = _use(tool, kept, customer)
            except DeniedCallError as error:
                decided, decision, reason = error.decided, "denied", error.decided.reason
            if decision == "denied":
                trace_guard(decided.guard, reason)
            span.describe(
                {
                    "reference_app.tool.decision": decision,
                    "reference_app.tool.reason": reason or None,
                    "gen_ai.tool.call.result": result,
                }
            )
        return ToolCall(name=name, arguments=kept, decision=decision, result=result, reason=reason)

    def _decide(self, name: str, arguments: dict[str, Any] | str, role: str) -> Decision:
        """By name, signature, schema and policy."""
        if not isinstance(name, str) or name not in self._tools:
            known = list(self._tools)
            reason = f"There is no tool {str(name)[:60]!a}; there are {', '.join(known)}."
            return Decision(outcome="deny", reason=reason + name_near_miss(name, known))
        if name in self.unsigned:
            return Decision(outcome="deny", reason=UNSIGNED, guard="manifest")
        if isinstance(arguments, str):
            return Decision(outcome="deny", reason=arguments, guard="schema")
        if wrong := explain_errors(self._validators[name], name, arguments):
            return Decision(outcome="deny", reason=wrong, guard="schema")
        if role not in ROLES:
            return Decision(outcome="deny", reason=f"There is no role {str(role)[:60]!a}.")
        reasons: dict[Outcome, str] = {
            "allow": "",
            "confirm": f"A person has to confirm {name} with these arguments first.",
            "deny": f"The role {role} may not use {name}.",
        }
        outcome = self._policy.decide(name, role)
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
