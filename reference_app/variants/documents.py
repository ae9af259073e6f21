"""The app's way from a question to an answer out of documents, with another library's search in it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from reference_app.documents.encoders import open_encoders
from reference_app.documents.knowledge import load_asked, load_knowledge
from reference_app.documents.search import Found, Library
from reference_app.errors import AppError, QuestionError
from reference_app.graph import as_record, open_app
from reference_app.models.weights import find_weights
from reference_app.nodes.guards import suspect
from reference_app.nodes.intake import Intake
from reference_app.nodes.retriever import Retriever
from reference_app.settings import Settings, open_redact
from reference_app.shop.database import connect, open_shop
from reference_app.state import Finding, Plan, State
from reference_app.tracing import export_to, trace
from reference_app.variants.names import Names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from reference_app.documents.knowledge import Asked, Section

BUILD_S = 900.0
PRODUCTS = "SELECT p.name, c.name FROM products p JOIN categories c USING (category_id)"


class DocumentsApp(Library):
    """
    What the app's retriever searches; a subclass has `search` ask another library.

    Attributes:
        name: Of the span of an answer.
    """

    name = "documents"

    def __init__(self, settings: Settings) -> None:
        self._settings, self._app = settings, open_app(settings)
        weights = None if settings.embedding_model else find_weights(settings.weights, settings.adapter)
        self._vectors = open_encoders(settings, weights, self._app.models)
        with connect(open_shop(settings.orders, settings.cache)) as shop:
            self._products: dict[str, str] = dict(shop.execute(PRODUCTS).fetchall())
        documents = load_knowledge(settings.knowledge)
        self._names = Names(self._products, documents)
        sections, asked = self._open(documents)
        super().__init__(sections, asked, self._vectors.of_passages, self._vectors.of_questions)
        self._by_id = {one.id: one for one in sections}
        self._intake = Intake(self._app.models)
        self._retriever = Retriever(
            self,
            top_k=settings.top_k,
            sentences=self._app.parts.answerer.prompt.sentences,
            name_products=lambda text: set(self._names.find(text)) & self._products.keys(),
            suspect=suspect,
        )

    def answer(self, question: str) -> dict[str, Any]:
        """As `reference_app.answer`, from documents alone."""
        if not isinstance(question, str) or not question.strip():
            raise QuestionError("The question is empty.")
        state: State = {"question": open_redact(self._settings)(question.strip())}
        with export_to(self._settings.tracing), trace(self.name, gen_ai__operation__name="invoke_agent"):
            state.update(self._respond(state))
        return as_record(state, self._app.models.chat_model)

    def _open(self, documents: Sequence[Section]) -> tuple[Sequence[Section], Asked]:
        """Open what is searched; what can be found in it, and what customers ask about that."""
        return documents, load_asked(self._settings.knowledge)

    def _respond(self, state: State) -> State:
        """The sentences that are nearest to the question, or the chat model's words if they bear them out."""
        state.update(self._intake(state))
        for intent in state["intents"]:
            finding = Finding(intent=intent, plan=Plan(route="documents"))
            state.update(self._retriever({**state, "findings": [*state["findings"], finding]}))
        return self._app.parts.answerer(state, {"configurable": {}})

    def _read(self, ids: Iterable[str]) -> list[Found]:
        """The sections of these ids, best first."""
        unique = dict.fromkeys(ids)
        return [Found(section=self._by_id[each], score=1 / place) for place, each in enumerate(unique, 1)]


@contextmanager
def lock_index(folder: Path) -> Iterator[None]:
    """
    So that one process builds an index, and the others wait for it.

    Raises:
        AppError: It is being built for longer than a build takes.
    """
    lock = FileLock(folder.with_suffix(".lock"), timeout=BUILD_S)
    try:
        lock.acquire()
    except Timeout:
        raise AppError(f"Another process has been building {folder} for {BUILD_S:g} s; stop it.") from None
    try:
        yield
    finally:
        lock.release()


def run_variant(open_app: Callable[..., Any], arguments: list[str]) -> int:
    """
    The command of a variant: build what is searched and print its folder, or answer a question.

    Returns:
        0 done, 1 the index or the answer could not be had.
    """
    words = [each for each in arguments if each != "--rebuild"]
    try:
        variant = open_app(rebuild="--rebuild" in arguments)
        print(variant.answer(" ".join(words))["text"] if words else variant.folder)  # noqa: T201
    except AppError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
