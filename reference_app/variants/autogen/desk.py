"""Where agents use tools: guards, policy, a person's consent and the words are the app's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reference_app.dialogue.intents import Intent
from reference_app.nodes.tools import calls_of
from reference_app.state import NOT_KNOWN, Finding, Plan, State
from reference_app.tools.plans import PlanError, read_plan
from reference_app.tools.registry import Confirmation

if TYPE_CHECKING:
    from collections.abc import Collection

    from reference_app.graph import SupportApp
    from reference_app.state import ToolCall


class _PersonNeededError(Exception):
    def __init__(self, asked: dict[str, Any]) -> None:
        super().__init__()
        self.asked = asked


@dataclass(slots=True, kw_only=True)
class Desk:
    """
    One question's use of tools.

    Attributes:
        question: Free of personal data.
        customer: Who is signed in; None where nobody is.
        approved: Digests of calls that a person agreed to.
        calls: Made or denied so far.
        pending: What a person is asked before the team goes on; empty where nobody is.
    """

    app: SupportApp
    question: str
    customer: int | None = None
    approved: Collection[str] = ()
    calls: list[ToolCall] = field(default_factory=list)
    pending: str = ""

    def carry_out(self, text: str) -> str:
        """The answer to the question, by a plan in the planner's words."""
        try:
            plan = read_plan(text)
        except PlanError:
            plan = Plan(route="documents")
        made = self.make(plan)
        found = {(call.result or {}).get("error") for call in made}
        if plan.route in ("documents", "tools") and not self.pending and found <= NOT_KNOWN:
            plan = Plan(route="database")  # where the app would search its documents; the team has none
            made = self.make(plan)
        if self.pending:
            return self.pending
        finding = Finding(intent=self._intent, plan=plan, calls=made)
        state: State = {"question": self.question, "findings": [finding]}
        said: State = self.app.parts.nodes["answerer"](state, {"configurable": {}})
        return said["text"]

    def make(self, plan: Plan) -> tuple[ToolCall, ...]:
        """A plan's calls, each after the guards, the policy and a person if it wants one."""
        if plan.route not in ("tools", "database"):
            return ()
        nodes, finding = self.app.parts.nodes, Finding(intent=self._intent, plan=plan)
        state: State = {"question": self.question, "plan": plan, "findings": [finding]}
        if self.customer is not None:
            state["customer"] = self.customer
        before = len(self.calls)
        try:
            state.update(nodes["approval"].decide(state, self._ask))
        except _PersonNeededError as needed:
            waiting = self.app.ask_person(needed.asked, state)
            self.pending = waiting["text"]
            self.calls += waiting["tool_calls"]
            return tuple(self.calls[before:])
        self.calls += state["tool_calls"]  # orders that were looked up for the person
        made = len(self.calls)
        for call in calls_of(state):
            self.calls.append(nodes["tools"].make(call, state, self.calls))
        return tuple(self.calls[made:])

    @property
    def _intent(self) -> Intent:
        return Intent(text=self.question, query=self.question, within=self.question)

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        digest = Confirmation.of(asked["name"], asked["arguments"]).digest
        if digest not in self.approved:
            raise _PersonNeededError(asked)
        return {"digest": digest, "approved": True}
