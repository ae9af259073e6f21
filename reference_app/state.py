"""What the nodes of the graph hand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from reference_app.knowledge import Section

Route = Literal["documents", "order_status", "refuse"]
ROUTES: tuple[Route, ...] = ("documents", "order_status", "refuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    The planner's decision.

    Attributes:
        order_id: The order to look up; None unless the route is `order_status` and the question names one.
    """

    route: Route
    order_id: str | None = None


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
    One use of a tool.

    Attributes:
        decision: `allowed`, or `denied` where the arguments break the tool's schema.
    """

    name: str
    arguments: dict[str, Any]
    decision: Literal["allowed", "denied"]
    result: dict[str, Any] | None


class State(TypedDict, total=False):
    """
    `question` and `heard` come in; each node adds its part. The graph reads these hints when it is built.

    Attributes:
        question: Masked, so that nothing after it holds personal data.
        heard: Gets the answer piece by piece while the model writes it.
        vector: The question's unit vector, made once and used by planner and retriever.
        sources: Ids of the sections that support the answer.
    """

    question: str
    heard: Callable[[str], None] | None
    vector: list[float]
    plan: Plan
    passages: list[Found]
    tool_calls: list[ToolCall]
    text: str
    sources: list[str]
