"""The node that searches the documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.state import Found
from reference_app.tracing import trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reference_app.documents.index import Vectors
    from reference_app.documents.knowledge import Section
    from reference_app.state import State

# Outdated rules differ from the current ones by little more than a number, so they come close behind.
SUPERSEDED_PENALTY = 0.05
# A plan to refuse is not followed where a section speaks of the very question. What is out of scope scores
# below .4, and a section that answers mostly above .5.
MIN_SCORE_AGAINST_REFUSAL = 0.55


class Retriever:
    """Adds `passages`; one that carries instructions is left out."""

    def __init__(
        self,
        sections: Sequence[Section],
        vectors: Vectors,
        *,
        top_k: int,
        suspect: Callable[[str], str | None],
    ) -> None:
        """`suspect` says why a text is to be kept from the model, or None."""
        self._sections = sections
        self._vectors = vectors
        self._top_k = top_k
        self._suspect = suspect

    def __call__(self, state: State) -> State:
        with trace("retriever") as span:
            passages = self._search(state["question"], state["vector"])
            kept = []
            for one in passages:
                if reason := self._suspect(one.section.text):
                    trace_guard("input", reason, text=one.section.text)
                else:
                    kept.append(one)
            if len(kept) < len(passages):
                left_out = [one.section.id for one in passages if one not in kept]
                span.describe({"reference_app.retriever.left_out": left_out})
            if state["plan"].route == "refuse" and (not kept or kept[0].score < MIN_SCORE_AGAINST_REFUSAL):
                return {"passages": []}
            return {"passages": kept}

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
            span.describe({"gen_ai.retrieval.documents": documents})
        return found
