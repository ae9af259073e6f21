"""The app's way from a question, with a picture or a table, to an answer, by RAG-Anything."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.documents.knowledge import Asked, load_asked
from reference_app.errors import QuestionError, SettingsError
from reference_app.graph import as_record, read_text
from reference_app.settings import open_redact
from reference_app.tracing import export_to, trace
from reference_app.variants.lightrag.app import LightRAGApp, read_options
from reference_app.variants.raganything.content import CONTENT, load_items
from reference_app.variants.raganything.index import ModalIndex, as_message, check_packages
from reference_app.variants.raganything.pictures import MAX_CHARACTERS, load_file, read_picture, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from reference_app.documents.knowledge import Section
    from reference_app.settings import Settings
    from reference_app.state import State
    from reference_app.variants.lightrag.graph import Graph

READERS = ("ocr", "model")
SEE = "Write down the text in this picture, and in one sentence what it shows."


class RAGAnythingApp(LightRAGApp):
    """As `LightRAGApp`, with the shop's tables, pictures and equations; `reader` says who reads pictures."""

    name = "raganything"
    index: ModalIndex
    pool = 5  # RAG-Anything's order is poor where its template around a picture is longer than what is in it

    def __init__(self, settings: Settings, mode: str, ranker: str, reader: str, **given: bool) -> None:
        if reader not in READERS or (reader == "model" and settings.model is None):
            known = f"one of {', '.join(READERS)}, and model needs OPENAI_BASE_URL"
            raise SettingsError(f"The reader of pictures {reader!r} must be {known}.")
        self._sees = reader == "model"
        super().__init__(settings, mode, ranker, **given)

    def check(self) -> str:
        return check_packages()

    def answer(self, question: str | Mapping[str, str]) -> dict[str, Any]:
        """As `reference_app.answer`, from what is indexed alone."""
        nodes = self._app.parts.nodes
        with export_to(self._settings.tracing), trace(self.name, gen_ai__operation__name="invoke_agent"):
            state: State = {"question": open_redact(self._settings)(self._read_question(question))}
            state.update(nodes["input_guard"](state))
            if "suspicion" not in state:
                state.update(self._respond(state))
            state.update(nodes["output_guard"](state))
        return as_record(state, self._app.models.chat_model)

    def _read_question(self, question: object) -> str:
        """Its text, and what is written in its picture or table, which is searched for as well."""
        if not isinstance(question, Mapping):
            return read_text(question)
        if unknown := sorted(map(str, question.keys() - {"text", "image", "table"})):
            raise QuestionError(f"A question has no {unknown[0]!r}; it has `text`, `image` and `table`.")
        parts = [read_text(question["text"])] if "text" in question else []
        if "image" in question:
            parts.append(self._see(load_file(question["image"], "picture"), str(question["image"])))
        if "table" in question:
            parts.append(read_table(load_file(question["table"], "table"), str(question["table"])))
        if not any(parts):
            raise QuestionError("The question is empty.")
        return " ".join(filter(None, parts)).encode("utf-8", "replace").decode()

    def _see(self, data: bytes, name: str) -> str:
        text = read_picture(data, name)  # also to know that it is a picture
        if not self._sees:
            return text
        return self._complete([as_message(SEE, base64.b64encode(data).decode())])[:MAX_CHARACTERS]

    def _open(self, documents: Sequence[Section]) -> tuple[Sequence[Section], Asked]:
        """The documents, and beside them the items as they are described in the index."""
        documents, asked = super()._open(documents)
        described = self.index.described
        modal = [item.as_section(described[item.id]) for item in self._items]
        answered = {**asked.answered, **load_asked(CONTENT).answered}
        return [*documents, *modal], Asked(answered=answered, unanswered=asked.unanswered)

    def _open_index(self, graph: Graph, complete: Callable[[Any], str] | None) -> ModalIndex:
        self._items = load_items(taken=[chunk["source_id"] for chunk in graph["chunks"]])
        return ModalIndex(
            graph,
            self._vectors,
            self._settings.cache / self.name,
            complete,
            items=self._items,
            find_names=self._names.find,
            vision=self._sees,
            rebuild=self._rebuild,
        )

    def _score(self, vectors: NDArray[np.float32], *, own: bool = False) -> NDArray[np.float32]:
        """As of sections; but of a table the nearest row counts in place of the whole."""
        import numpy as np

        scores = super()._score(vectors, own=own)
        for place, section in enumerate(self.sections):
            if section.id.endswith("#table"):
                rows = self._of_sentence == place
                nearest = np.vstack([self._headed.matrix[rows], self._bare.matrix[rows]]) @ vectors
                scores[place] += (nearest.max(axis=0) - self._whole.matrix[place] @ vectors) / 3
        return scores


def open_variant(*, rebuild: bool = False) -> RAGAnythingApp:
    """As the environment sets it; built once per distinct settings."""
    settings, mode, ranker, extract = read_options("RAGANYTHING")
    reader = os.environ.get("REFERENCE_APP_RAGANYTHING_READER") or "ocr"
    with _building:
        return _open(settings, mode, ranker, reader, extract=extract, rebuild=rebuild)


_open, _building = cache(RAGAnythingApp), threading.Lock()
