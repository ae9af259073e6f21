"""What the nodes of the graph hand on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from reference_app.documents.knowledge import Section

Route = Literal["documents", "tools", "database", "refuse"]
ROUTES: tuple[Route, ...] = ("documents", "tools", "database", "refuse")
Decision = Literal["allowed", "confirmed", "denied", "pending"]


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
    """

    route: Route
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    A section the retriever found.

    Attributes:
        score: Cosine of question and section, less the penalty of a superseded document.
    """

    section: Section
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """
    One use of a tool, made or not.

    Attributes:
        decision: `denied` by schema or policy, `pending` where a person has to confirm it first.
        result: None unless it was made.
        reason: Why it was denied or waits; empty where it was made.
    """

    name: str
    arguments: dict[str, Any]
    decision: Decision
    result: dict[str, Any] | None = None
    reason: str = ""


class Turn(TypedDict):
    """Something that was said before: `role` is `user` or `assistant`."""

    role: str
    content: str


class State(TypedDict, total=False):
    """
    `question` comes in; each node adds its part. The graph reads these hints when it is built.

    Attributes:
        question: Masked, so that nothing after it holds personal data.
        file: Name of the file that was uploaded with the question.
        history: What was said before the question, masked as well.
        masked: Whether personal data was taken out of the question or the history.
        suspicion: Why the question is not answered, where a guard stopped it.
        vector: The question's unit vector, made once and used by planner and retriever.
        pending: The call that waits for a person.
        approved: Digests of the calls that a person confirmed.
        rejected: The same of those that a person did not want.
        text: The answer; also what is asked of a person who has to confirm a call.
        sources: Ids of the sections that support the answer.
        problems: What the output guard took out of the answer.
    """

    question: str
    file: str
    history: list[Turn]
    masked: bool
    suspicion: str
    vector: list[float]
    plan: Plan
    pending: ToolCall
    approved: list[str]
    rejected: list[str]
    passages: list[Found]
    tool_calls: list[ToolCall]
    text: str
    sources: list[str]
    problems: list[str]
