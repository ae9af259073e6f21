"""The second node: fetches what the plan asks for, passages or the state of an order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.state import Found, ToolCall
from reference_app.tools import order_status
from reference_app.tracing import describe, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.documents.index import Vectors
    from reference_app.documents.knowledge import Section
    from reference_app.state import State
    from reference_app.tools.order_status import Orders

# Outdated rules differ from the current ones by little more than a number, so they come close behind.
SUPERSEDED_PENALTY = 0.05


class Retriever:
    """Searches the sections or runs the tool; adds `passages` and `tool_calls`."""

    def __init__(self, sections: Sequence[Section], vectors: Vectors, orders: Orders, *, top_k: int) -> None:
        self._sections = sections
        self._vectors = vectors
        self._orders = orders
        self._top_k = top_k

    def __call__(self, state: State) -> State:
        with trace("retriever"):
            if state["plan"].order_id is not None:
                return {"tool_calls": [self._look_up(state["plan"].order_id)]}
            return {"passages": self._search(state["question"], state["vector"])}

    def _search(self, question: str, vector: Sequence[float]) -> list[Found]:
        with trace(
            "retrieval knowledge",
            gen_ai__operation__name="retrieval",
            gen_ai__data_source__id="knowledge",
            gen_ai__retrieval__query__text=question,
            gen_ai__request__top_k=self._top_k,
        ) as span:
            # Twice as many as wanted, because the penalty moves some of them down.
            found = [
                Found(section=section, score=score - SUPERSEDED_PENALTY * (section.status == "superseded"))
                for position, score in self._vectors.search(vector, 2 * self._top_k)
                for section in (self._sections[position],)
            ]
            found = sorted(found, key=lambda one: -one.score)[: self._top_k]
            documents = [
                {"id": one.section.id, "score": round(one.score, 4), "content": one.section.text}
                for one in found
            ]
            describe(span, {"gen_ai.retrieval.documents": documents})
        return found

    def _look_up(self, order_id: str) -> ToolCall:
        arguments = {"order_id": order_id}
        with trace(
            f"execute_tool {order_status.NAME}",
            gen_ai__operation__name="execute_tool",
            gen_ai__tool__name=order_status.NAME,
            gen_ai__tool__description=order_status.DESCRIPTION,
            gen_ai__tool__type="function",
            gen_ai__tool__call__arguments=arguments,
        ) as span:
            allowed = order_status.is_valid(arguments)
            result = self._orders.look_up(order_id) if allowed else None
            call = ToolCall(
                name=order_status.NAME,
                arguments=arguments,
                decision="allowed" if allowed else "denied",
                result=result,
            )
            describe(span, {"gen_ai.tool.call.result": result, "reference_app.tool.decision": call.decision})
        return call
