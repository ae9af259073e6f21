"""What the nodes of the graph hand on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from reference_app.dialogue.intents import Intent  # langgraph reads the hints of the state
from reference_app.dialogue.threads import Turn
from reference_app.documents.knowledge import Section
from reference_app.documents.search import Found
from reference_app.tools.calls import Recorded as Decision
from reference_app.tools.calls import ToolCall

__all__ = ["Decision", "ToolCall"]

Route = Literal["documents", "tools", "database", "refuse", "ask"]
ROUTES: tuple[Route, ...] = ("documents", "tools", "database", "refuse")
"""What a model may plan; that something is missing the app sees itself."""
_CITED = re.compile(r"\[([^\[\]]+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the planner asks of a tool; nothing has been checked yet."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The planner's decision.

    Attributes:
        calls: In the order in which they are made; empty unless the route is `tools`.
        search: Whether the documents are searched besides, or before a refusal.
        missing: With the route `ask`, what the customer has to say: `order_id`, `product` and the like.
    """

    route: Route
    calls: tuple[Call, ...] = ()
    search: bool = False
    missing: str = ""


NOT_KNOWN = frozenset({"no_query", "unknown_product", "unknown_store"})
"""What tools say of something that may stand in a document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    The sentences of a section that answer a question.

    Attributes:
        sentences: In the section's order.
        best: The one nearest to the question.
        beside: Whether another section is nearer, by a little.
    """

    section: Section
    sentences: tuple[str, ...]
    best: str
    beside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What was done for one question.

    Attributes:
        searched: Whether the documents were.
        passages: What they hold that is near the question.
        evidence: What answers it, the best of each thing that is compared; empty if they hold no answer.
    """

    intent: Intent
    plan: Plan
    calls: tuple[ToolCall, ...] = ()
    searched: bool = False
    passages: tuple[Found, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class State(TypedDict, total=False):
    """
    `question` comes in; each node adds its part. The graph reads these hints when it is built.

    Attributes:
        question: Masked, so that nothing after it holds personal data.
        customer: Number of the customer who is signed in; missing where nobody is.
        file: Name of the file that was uploaded with the question.
        history: What was said before, the oldest first; masked as well.
        masked: Whether personal data was taken out of the question or the history.
        suspicion: Why the question is not answered, where a guard stopped it.
        intents: The questions in it.
        plan: Of the intent whose turn it is.
        findings: Of the intents so far.
        pending: The call that waits for a person.
        approved: Digests of the plan's calls that a person confirmed.
        rejected: The same of those that a person did not want.
        settled: The same of those that the shop would refuse.
        foreign: The same of those that are about another customer's order.
        text: The answer; also what is asked of a person who has to confirm a call.
        sources: Ids of the sections that support the answer.
        problems: What the output guard took out of the answer.
    """

    question: str
    history: list[Turn]
    customer: int
    file: str
    masked: bool
    suspicion: str
    intents: list[Intent]
    plan: Plan
    findings: list[Finding]
    pending: ToolCall
    approved: list[str]
    rejected: list[str]
    settled: list[str]
    foreign: list[str]
    passages: list[Found]
    tool_calls: list[ToolCall]
    text: str
    sources: list[str]
    problems: list[str]


def name_sources(state: State) -> dict[str, str]:
    """What people are shown of each source, by its id: the titles of its document and section."""
    read = [one.section for one in state.get("passages", [])]
    read += [one.section for finding in state.get("findings", []) for one in finding.evidence]
    names = {section.id: section.name for section in read}
    return {source: names.get(source) or source for source in state.get("sources", [])}


def cite_by_name(text: str, names: Mapping[str, str]) -> str:
    """The text with `[Returns and exchanges > How long you have]` for `[returns#window]`."""
    return _CITED.sub(lambda found: f"[{names.get(found[1], found[1])}]", text)
