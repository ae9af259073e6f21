"""The app: three nodes, one answer."""

from __future__ import annotations

import atexit
import threading
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from reference_app.errors import QuestionError
from reference_app.masking import mask
from reference_app.models.client import open_models
from reference_app.models.weights import find_weights
from reference_app.settings import read_settings
from reference_app.state import ROUTES, State
from reference_app.tracing import as_messages, describe, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langgraph.graph.state import CompiledStateGraph

    from reference_app.models.client import Models
    from reference_app.models.weights import Weights
    from reference_app.settings import Settings

MAX_QUESTION_CHARACTERS = 2000
_building = threading.Lock()


class SupportApp:
    """
    Customer support of Fellwind Outfitters under fixed settings; may be used from many threads.

    Building it reads documents, prompts and the index; models are loaded by whoever serves them.
    """

    def __init__(self, settings: Settings) -> None:
        weights = None
        if settings.model is None or settings.embedding_model is None:
            weights = find_weights(settings.weights)
        self.models = open_models(settings, weights)
        try:
            self._graph = _build(settings, weights, self.models)
        except BaseException:
            self.models.close()
            raise
        atexit.register(self.models.close)

    def run(self, question: str, heard: Callable[[str], None] | None = None) -> Iterator[tuple[str, State]]:
        """
        Each node's name and what it added, as it ends.

        Raises:
            QuestionError: The question is empty or longer than 2,000 characters.
        """
        if not isinstance(question, str) or not question.strip():
            raise QuestionError("The question is empty.")
        if len(question) > MAX_QUESTION_CHARACTERS:
            raise QuestionError(
                f"The question has {len(question)} characters; at most {MAX_QUESTION_CHARACTERS} are read."
            )
        masked = mask(question.strip().encode("utf-8", "replace").decode())
        with trace(
            "invoke_agent support",
            gen_ai__operation__name="invoke_agent",
            gen_ai__agent__name="support",
            gen_ai__request__model=self.models.chat_model,
            gen_ai__input__messages=as_messages([{"role": "user", "content": masked}]),
        ) as span:
            start: State = {"question": masked, "heard": heard}
            for update in self._graph.stream(start, stream_mode="updates"):
                for node, added in update.items():
                    added_state: State = added or State()
                    if "text" in added_state:
                        message = {"role": "assistant", "content": added_state["text"]}
                        describe(span, {"gen_ai.output.messages": as_messages([message])})
                    yield node, added_state

    def answer(self, question: str) -> dict[str, Any]:
        """What `reference_app.answer` returns."""
        state: State = {}
        for _, added in self.run(question):
            state.update(added)
        return as_record(state, self.models.chat_model)


def as_record(state: State, model: str) -> dict[str, Any]:
    """The final state as plain data: `text`, `passages`, `tool_calls`, `model`."""
    return {
        "text": state["text"],
        "passages": [
            {"id": one.section.id, "text": one.section.text, "score": round(one.score, 6)}
            for one in state.get("passages", [])
        ],
        "tool_calls": [asdict(call) for call in state.get("tool_calls", [])],
        "model": model,
    }


def open_app(settings: Settings | None = None) -> SupportApp:
    """The app under these settings or the environment's, built once per distinct settings."""
    with _building:
        return _open(settings or read_settings())


_open = cache(SupportApp)


def _build(settings: Settings, weights: Weights | None, models: Models) -> CompiledStateGraph[Any]:
    from langgraph.graph import END, START, StateGraph

    from reference_app.documents.grounding import Grounding, split
    from reference_app.documents.index import open_vectors
    from reference_app.documents.knowledge import load_knowledge
    from reference_app.nodes.answerer import REPLIES, Answerer, Excerpts
    from reference_app.nodes.planner import Planner
    from reference_app.nodes.prompt import load_prompt
    from reference_app.nodes.retriever import Retriever
    from reference_app.tools.order_status import Orders

    sections = load_knowledge(settings.knowledge)
    planning = load_prompt(settings.prompts, "planner", examples=ROUTES)
    answering = load_prompt(settings.prompts, "answerer", replies=REPLIES)

    def encode(texts: Any) -> Any:
        if settings.embedding_model is not None or weights is None:
            return models.embed_many(texts)
        from reference_app.models.encoder import Encoder

        return Encoder(weights).encode(texts)

    def vectors(texts: list[str]) -> Any:
        return open_vectors(texts, encoder=models.embedding_model, encode=encode, folder=settings.cache)

    planner = Planner(models, planning, vectors([asked for asked, _ in planning.examples]))
    retriever = Retriever(
        sections,
        vectors([f"{one.title}: {one.heading}. {one.text}" for one in sections]),
        Orders(settings.orders, settings.cache),
        top_k=settings.top_k,
    )
    sentences = [sentence for one in sections for sentence in split(one.text)]
    excerpts = Excerpts(sections, sentences, vectors(sentences))
    answerer = Answerer(models, answering, excerpts, Grounding(sections))
    graph = StateGraph(State)
    graph.add_node("planner", planner)
    graph.add_node("retriever", retriever)
    graph.add_node("answerer", answerer)
    graph.add_edge(START, "planner")
    graph.add_conditional_edges(
        "planner",
        lambda state: "answerer" if state["plan"].route == "refuse" else "retriever",
        ["retriever", "answerer"],
    )
    graph.add_edge("retriever", "answerer")
    graph.add_edge("answerer", END)
    return graph.compile()
