"""The node that searches the documents for one question, and picks the sentences that answer it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reference_app.dialogue.wording import ORDER_ID, asks_for_past, find_day
from reference_app.documents.search import Query
from reference_app.shop.sales import TODAY
from reference_app.state import Evidence
from reference_app.tracing import trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_app.dialogue.intents import Intent
    from reference_app.documents.search import Found, Library
    from reference_app.state import State


class Retriever:
    """Adds `passages`, and `evidence` of the best; one that carries instructions is left out."""

    def __init__(
        self, library: Library, *, top_k: int, sentences: int, suspect: Callable[[str], str | None]
    ) -> None:
        """`sentences` is how many an answer has; `suspect` says why a text is kept away, or None."""
        self._sentences = sentences
        self._library = library
        self._top_k = top_k
        self._suspect = suspect

    def __call__(self, state: State) -> State:
        finding = state["findings"][-1]
        with trace("retriever") as span:
            query = make_query(finding.intent)
            passages = self._search(query)
            kept = []
            for one in passages:
                if reason := self._suspect(one.section.text):
                    trace_guard("input", reason, text=one.section.text)
                else:
                    kept.append(one)
            if len(kept) < len(passages):
                left_out = [one.section.id for one in passages if one not in kept]
                span.describe({"reference_app.retriever.left_out": left_out})
            evidence = self._pick(kept, query)
            span.describe({"reference_app.retriever.evidence": evidence and evidence.section.id})
        earlier = state.get("passages", [])
        known = {one.section.id for one in earlier}
        return {
            "passages": [*earlier, *(one for one in kept if one.section.id not in known)],
            "findings": [*state["findings"][:-1], replace(finding, searched=True, evidence=evidence)],
        }

    def _pick(self, found: list[Found], query: Query) -> Evidence | None:
        if not found or not self._library.answers(query):
            return None
        section = found[0].section
        sentences = self._library.choose(section, query, self._sentences)
        (best,) = self._library.choose(section, query, 1)
        return Evidence(section=section, sentences=tuple(sentences), best=best)

    def _search(self, query: Query) -> list[Found]:
        with trace(
            "retrieval knowledge",
            gen_ai__operation__name="retrieval",
            gen_ai__data_source__id="knowledge",
            gen_ai__retrieval__query__text=query.text,
            gen_ai__request__top_k=self._top_k,
        ) as span:
            found = self._library.search(query, self._top_k)
            documents = [
                {"id": one.section.id, "score": round(one.score, 4), "content": one.section.text}
                for one in found
            ]
            span.describe({"gen_ai.retrieval.documents": documents})
        return found


def make_query(intent: Intent) -> Query:
    """What is searched for: no document holds an order's number."""
    return Query(
        text=" ".join(ORDER_ID.sub(" ", intent.query).split()),
        vector=intent.vector,
        bought=find_day(intent.within, TODAY),
        past=asks_for_past(intent.within),
    )
