"""The node that searches the documents for one question, and picks the sentences that answer it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from itertools import islice, zip_longest
from typing import TYPE_CHECKING

from reference_app.dialogue.wording import ORDER_ID, asks_for_past, find_day
from reference_app.documents.lexicon import stems
from reference_app.documents.search import Query
from reference_app.shop.sales import TODAY
from reference_app.state import Evidence
from reference_app.tracing import trace, trace_guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from reference_app.dialogue.intents import Intent
    from reference_app.documents.knowledge import Section
    from reference_app.documents.search import Found, Library
    from reference_app.state import State

MORE = 2  # times as many are found as are handed on, because some move down
OTHER_PRODUCT = 0.04
_CODE = re.compile(r"[a-z]+-\d+")
CLOSE = 0.03
BESIDE = 0.015
"""How little less near a second section is that is said, too; every fourth time it has the answer."""


class Retriever:
    """Adds `passages`, and `evidence` of the best; one that carries instructions is left out."""

    def __init__(
        self,
        library: Library,
        *,
        top_k: int,
        sentences: int,
        name_products: Callable[[str], AbstractSet[str]],
        suspect: Callable[[str], str | None],
    ) -> None:
        """
        Args:
            library: What is searched.
            top_k: How many sections are found.
            sentences: How many of them an answer has.
            name_products: The products that a text names.
            suspect: Says why a text is to be kept from the model, or None.
        """
        self._library = library
        self._top_k = top_k
        self._sentences = sentences
        self._name_products = lru_cache(maxsize=1000)(name_products)
        self._suspect = suspect

    def __call__(self, state: State) -> State:
        finding = state["findings"][-1]
        with trace("retriever") as span:
            sure = finding.plan.search and finding.plan.route == "tools"
            about = finding.plan.route == "database"  # which could not tell: of a figure of products
            said = {one.section.id for earlier in state["findings"] for one in earlier.evidence}
            picked = [
                self._find(make_query(intent), sure=sure, about=about, said=said)
                for intent in finding.intent.compared or (finding.intent,)
            ]
            most = 1 if finding.intent.compared else 2  # of each thing that is compared the best alone
            evidence = tuple({one.section.id: one for _, each in picked for one in each[:most]}.values())
            span.describe({"reference_app.retriever.evidence": [one.section.id for one in evidence]})
        passages = _take_turns([found for found, _ in picked])
        findings = [
            *state["findings"][:-1],
            replace(finding, searched=True, evidence=evidence, passages=tuple(passages)),
        ]
        return {"passages": _take_turns([one.passages for one in findings]), "findings": findings}

    def _find(
        self, query: Query, *, sure: bool, about: bool, said: AbstractSet[str]
    ) -> tuple[list[Found], list[Evidence]]:
        """What is near, and what answers: of sections `about` a product of the question, if that is set."""
        kept = []
        for one in self._search(query):
            if reason := self._suspect(one.section.text):
                trace_guard("input", reason, text=one.section.text)
            else:
                kept.append(one)
        answering = [one for one in kept if not about or self._is_on_product(one.section, query)]
        first, second = [*answering, None, None][:2]
        if first and second and first.section.id in said and first.score - second.score < CLOSE:
            del answering[0]  # that was said for another question
        return kept, self._pick(answering, query, sure=sure)

    def _is_on_product(self, section: Section, query: Query) -> bool:
        titles = self._name_products(f"{section.title}. {section.heading}")
        return not titles.isdisjoint(self._name_products(query.text))

    def _pick(self, found: list[Found], query: Query, *, sure: bool) -> list[Evidence]:
        """What answers the question; `sure` of an answer if it asks for a rule about an order."""
        codes = {word for word in stems(query.text) if _CODE.fullmatch(word)}
        if codes:  # a section of another code says nothing of this one
            found = [one for one in found if codes & stems(one.section.text)]
        if not found or not (sure or codes or self._library.answers(query, found[0].section)):
            return []
        first, *others = found
        near = (one for one in others if one.section.status == "current" and first.score - one.score < BESIDE)
        return [
            self._quote(one.section, query, self._sentences - at, beside=at > 0)
            for at, one in enumerate((first, *islice(near, 1)))
            if self._sentences > at
        ]

    def _quote(self, section: Section, query: Query, count: int, *, beside: bool) -> Evidence:
        (best,) = self._library.choose(section, query, 1)
        sentences = tuple(self._library.choose(section, query, count))
        return Evidence(section=section, sentences=sentences, best=best, beside=beside)

    def _search(self, query: Query) -> list[Found]:
        with trace(
            "retrieval knowledge",
            gen_ai__operation__name="retrieval",
            gen_ai__data_source__id="knowledge",
            gen_ai__retrieval__query__text=query.text,
            gen_ai__request__top_k=self._top_k,
        ) as span:
            found = self._put_back(self._library.search(query, MORE * self._top_k), query)[: self._top_k]
            documents = [
                {"id": one.section.id, "score": round(one.score, 4), "content": one.section.text}
                for one in found
            ]
            span.describe({"gen_ai.retrieval.documents": documents})
        return found

    def _put_back(self, found: list[Found], query: Query) -> list[Found]:
        """What is about another product than the question stands behind what is not."""
        named = self._name_products(query.text)
        if not named:
            return found

        def score(one: Found) -> float:
            others = self._name_products(f"{one.section.title}. {one.section.heading}. {one.section.text}")
            return one.score - (OTHER_PRODUCT if others and not others & named else 0.0)

        return sorted((replace(one, score=score(one)) for one in found), key=lambda one: -one.score)


def _take_turns(lists: Sequence[Sequence[Found]]) -> list[Found]:
    """The first of each, then the second of each: what one question needs does not stand behind another's."""
    ordered: dict[str, Found] = {}
    for one in (each for row in zip_longest(*lists) for each in row if each):
        ordered.setdefault(one.section.id, one)
    return list(ordered.values())


def make_query(intent: Intent) -> Query:
    """What is searched for: no document holds an order's number."""
    return Query(
        text=" ".join(ORDER_ID.sub(" ", intent.query).split()),
        vector=intent.vector,
        bought=find_day(intent.within, TODAY),
        past=asks_for_past(intent.within),
    )
