"""The app's way from a question to an answer, with LightRAG in place of its own search."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.documents.search import Found, Query
from reference_app.errors import SettingsError
from reference_app.settings import Settings, read_settings
from reference_app.tracing import trace
from reference_app.variants.documents import DocumentsApp
from reference_app.variants.lightrag.graph import build_graph
from reference_app.variants.lightrag.index import Index, check_package

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from reference_app.documents.knowledge import Asked, Section
    from reference_app.state import State
    from reference_app.variants.lightrag.graph import Graph

MODES, RANKERS, MAX_TOKENS = ("naive", "local", "global", "hybrid", "mix"), ("app", "none"), 2000


class LightRAGApp(DocumentsApp):
    """
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
        self._mode, self._ranked, self._extract, self._rebuild = mode, ranker == "app", extract, rebuild
        super().__init__(settings)

    def check(self) -> str:
        """The versions of what is needed."""
        return check_package()

    @property
    def folder(self) -> Path:
        """Of the index."""
        return self.index.folder

    def search(self, query: Query, count: int) -> list[Found]:
        """The sections that LightRAG finds; of more the best where they are put in order."""
        words = [query.text, *self._names.find(query.text)]
        pool = count * (self.pool if self._ranked else 1)
        found = self._list(self.index.search(query.text, words, self._mode, pool))
        ids = {one.section.id for one in found}
        ranked = super().search(query, len(self.sections)) if self._ranked else found
        return [one for one in ranked if one.section.id in ids][:count]

    def _respond(self, state: State) -> State:
        return self._write(state) if self._settings.model else super()._respond(state)

    def _write(self, state: State) -> State:
        """LightRAG's own answer, for which its chat model finds the words to search by as well."""
        with trace(f"retrieval {self.name}", gen_ai__operation__name="retrieval") as span:
            given = self.index.search(state["question"], [], self._mode, self._settings.top_k, write=True)
            found = self._list(given)
            documents = [{"id": one.section.id, "content": one.section.text} for one in found]
            span.describe({"gen_ai.retrieval.documents": documents})
        return {"passages": found, "text": given["llm_response"]["content"]}

    def _open(self, documents: Sequence[Section]) -> tuple[Sequence[Section], Asked]:
        graph, complete = build_graph(documents, self._products), self._complete if self._extract else None
        self.index = self._open_index(graph, complete)
        return super()._open(documents)

    def _open_index(self, graph: Graph, complete: Callable[[Any], str] | None) -> Index:
        folder = self._settings.cache / self.name
        return Index(graph, self._vectors, folder, complete, rebuild=self._rebuild)

    def _list(self, given: Mapping[str, Any]) -> list[Found]:
        return self._read(chunk["file_path"] for chunk in given["chunks"])

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
