"""The app's way from a question to an answer, with LightRAG in place of its own search."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.documents.encoders import open_encoders
from reference_app.documents.knowledge import load_asked, load_knowledge
from reference_app.documents.search import Found, Library, Query
from reference_app.errors import QuestionError, SettingsError
from reference_app.graph import as_record, open_app
from reference_app.models.weights import find_weights
from reference_app.nodes.guards import suspect
from reference_app.nodes.intake import Intake
from reference_app.nodes.retriever import Retriever
from reference_app.settings import Settings, open_redact, read_settings
from reference_app.shop.database import connect, open_shop
from reference_app.state import Finding, Plan, State
from reference_app.tracing import export_to, trace
from reference_app.variants.lightrag.graph import Names, build_graph
from reference_app.variants.lightrag.index import Index, check_package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reference_app.documents.encoders import Encoders
    from reference_app.documents.knowledge import Asked, Section
    from reference_app.variants.lightrag.graph import Graph

MODES, RANKERS, MAX_TOKENS = ("naive", "local", "global", "hybrid", "mix"), ("app", "none"), 2000
PRODUCTS = "SELECT p.name, c.name FROM products p JOIN categories c USING (category_id)"


class LightRAGApp(Library):
    """
    What the app's retriever searches: LightRAG, and in a section that it found the sentences that answer.

    Args:
        mode: Of LightRAG's queries.
        ranker: `app` puts what LightRAG finds in the order of the app's own search; `none` leaves it.
        extract: Whether the chat model finds entities and relations, or they are the shop's own.
    """

    name = "lightrag"
    pool = 2  # times as many are found as are kept, where they are put in order

    def __init__(self, settings: Settings, mode: str, ranker: str, *, extract: bool, rebuild: bool) -> None:
        self.check()
        if mode not in MODES or ranker not in RANKERS:
            known = f"one of {', '.join(MODES)}, and the ranker {ranker!r} one of {', '.join(RANKERS)}"
            raise SettingsError(f"The mode {mode!r} must be {known}.")
        self._settings, self._app, self._mode, self._ranked = (
            settings,
            open_app(settings),
            mode,
            ranker == "app",
        )
        weights = None if settings.embedding_model else find_weights(settings.weights, settings.adapter)
        vectors = open_encoders(settings, weights, self._app.models)
        sections: Sequence[Section] = load_knowledge(settings.knowledge)
        with connect(open_shop(settings.orders, settings.cache)) as shop:
            products = dict(shop.execute(PRODUCTS).fetchall())
        self._names = Names(products, sections)
        graph, complete = build_graph(sections, products), self._complete if extract else None
        self.index = self._open_index(graph, vectors, complete, rebuild=rebuild)
        sections, asked = self._list_sections(sections)
        super().__init__(sections, asked, vectors.of_passages, vectors.of_questions)
        self._by_id = {one.id: one for one in sections}
        self._intake = Intake(self._app.models)
        self._retriever = Retriever(
            self,
            top_k=settings.top_k,
            sentences=self._app.parts.answerer.prompt.sentences,
            name_products=lambda text: set(self._names.find(text)) & products.keys(),
            suspect=suspect,
        )

    def check(self) -> str:
        """The versions of what is needed."""
        return check_package()

    def answer(self, question: str) -> dict[str, Any]:
        """As `reference_app.answer`, from documents alone."""
        if not isinstance(question, str) or not question.strip():
            raise QuestionError("The question is empty.")
        state: State = {"question": open_redact(self._settings)(question.strip())}
        with export_to(self._settings.tracing), trace(self.name, gen_ai__operation__name="invoke_agent"):
            state.update(self._write(state) if self._settings.model else self._quote(state))
        return as_record(state, self._app.models.chat_model)

    def search(self, query: Query, count: int) -> list[Found]:
        """The sections that LightRAG finds; of more the best where they are put in order."""
        words = [query.text, *self._names.find(query.text)]
        pool = count * (self.pool if self._ranked else 1)
        found = self._read(self.index.search(query.text, words, self._mode, pool))
        ids = {one.section.id for one in found}
        ranked = super().search(query, len(self.sections)) if self._ranked else found
        return [one for one in ranked if one.section.id in ids][:count]

    def _quote(self, state: State) -> State:
        """The sentences that are nearest to the question, or the chat model's words if they bear them out."""
        state.update(self._intake(state))
        for intent in state["intents"]:
            finding = Finding(intent=intent, plan=Plan(route="documents"))
            state.update(self._retriever({**state, "findings": [*state["findings"], finding]}))
        return self._app.parts.answerer(state, {"configurable": {}})

    def _write(self, state: State) -> State:
        """LightRAG's own answer, for which its chat model finds the words to search by as well."""
        with trace(f"retrieval {self.name}", gen_ai__operation__name="retrieval") as span:
            given = self.index.search(state["question"], [], self._mode, self._settings.top_k, write=True)
            found = self._read(given)
            documents = [{"id": one.section.id, "content": one.section.text} for one in found]
            span.describe({"gen_ai.retrieval.documents": documents})
        return {"passages": found, "text": given["llm_response"]["content"]}

    def _open_index(
        self, graph: Graph, vectors: Encoders, complete: Callable[[Any], str] | None, *, rebuild: bool
    ) -> Index:
        return Index(graph, vectors, self._settings.cache / self.name, complete, rebuild=rebuild)

    def _list_sections(self, sections: Sequence[Section]) -> tuple[Sequence[Section], Asked]:
        """What can be found, and what customers ask about it."""
        return sections, load_asked(self._settings.knowledge)

    def _read(self, given: Mapping[str, Any]) -> list[Found]:
        ids = dict.fromkeys(chunk["file_path"] for chunk in given["chunks"])
        return [Found(section=self._by_id[each], score=1 / place) for place, each in enumerate(ids, 1)]

    def _complete(self, messages: Sequence[dict[str, str]]) -> str:
        prompt = replace(self._app.parts.answerer.prompt, name=self.name, version=self.check(), sha256="")
        return self._app.models.complete(prompt, messages, max_tokens=MAX_TOKENS)


def open_variant(*, rebuild: bool = False) -> LightRAGApp:
    """As the environment sets it; built once per distinct settings."""
    settings, mode, ranker, extract = read_options("LIGHTRAG")
    with _building:
        return _open(settings, mode, ranker, extract=extract, rebuild=rebuild)


def read_options(name: str) -> tuple[Settings, str, str, bool]:
    """The settings, mode, ranker, and whether the chat model extracts, of the variant of this name."""
    settings, given = read_settings(), f"REFERENCE_APP_{name}_"
    mode, ranker = os.environ.get(f"{given}MODE") or "mix", os.environ.get(f"{given}RANKER") or "app"
    extract = (os.environ.get(f"{given}EXTRACT") or str(int(bool(settings.model)))) == "1"
    return settings, mode, ranker, extract


_open, _building = cache(LightRAGApp), threading.Lock()
