"""The last node: the answer in words, and the sections that bear it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.documents.grounding import split
from reference_app.tracing import describe, trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.documents.grounding import Grounding
    from reference_app.documents.index import Vectors
    from reference_app.documents.knowledge import Section
    from reference_app.models.client import Models
    from reference_app.nodes.prompt import Prompt
    from reference_app.state import Found, State, ToolCall

MAX_TOKENS = 48
MIN_SCORE = 0.4  # below it no section has to do with the question
REPLIES = (
    "unknown",
    "refuse",
    "unknown_order",
    "order_processing",
    "order_shipped",
    "order_delivered",
    "order_returned",
    "order_cancelled",
    "order_carrier",
)


class Excerpts:
    """
    The sentences of sections that a small model should read for a question.

    A model of 135 million parameters copies the right sentence from two or three, and a wrong number from
    a whole section.
    """

    def __init__(self, sections: Sequence[Section], sentences: Sequence[str], vectors: Vectors) -> None:
        """Sentences are those of all sections, in their order; the vectors are theirs."""
        self._sentences, self._vectors = sentences, vectors
        self._places: dict[str, range] = {}
        start = 0
        for section in sections:
            count = len(split(section.text))
            self._places[section.id] = range(start, start + count)
            start += count

    def cut(self, section: Section, vector: Sequence[float]) -> str:
        """The section's first sentence, which says what it is about, and the one nearest to the question."""
        places = self._places[section.id]
        likeness = self._vectors.similarities(vector, places)
        nearest = max(places, key=lambda place: likeness[place - places.start])
        return " ".join(self._sentences[place] for place in sorted({places.start, nearest}))


class Answerer:
    """Adds `text`, in which each sentence ends in its source like `[returns#window]`, and `sources`."""

    def __init__(self, models: Models, prompt: Prompt, excerpts: Excerpts, grounding: Grounding) -> None:
        self._models = models
        self._prompt = prompt
        self._excerpts = excerpts
        self._grounding = grounding

    def __call__(self, state: State) -> State:
        with trace("answerer") as span:
            text, sources = self._answer(state)
            describe(span, {"reference_app.answer.sources": sources})
            return {"text": text, "sources": sources}

    def _answer(self, state: State) -> tuple[str, list[str]]:
        if state["plan"].route == "refuse":
            return self._prompt.replies["refuse"], []
        if calls := state.get("tool_calls"):
            return self._tell_order(calls[0]), []
        near = [one.section for one in readable(state.get("passages", []))]
        if not near:
            return self._prompt.replies["unknown"], []
        question = state["question"]
        further = (section for section in near[1:] if self._grounding.adds(section, question, near[0]))
        parts: list[str] = []
        sources: list[str] = []
        for section in (near[0], *list(further)[:1]):
            if parts and (heard := state.get("heard")):
                heard(" ")
            answer = " ".join(self._ask(section, state).split())
            if self._grounding.supports(section, answer):
                answer += f" [{section.id}]"
                sources.append(section.id)
            parts.append(answer)
        return " ".join(parts), sources

    def _ask(self, section: Section, state: State) -> str:
        """What the model makes of one section."""
        passage = self._excerpts.cut(section, state["vector"])
        messages = [{"role": "system", "content": self._prompt.fill()}]
        for turn in (*self._prompt.turns, {"passage": passage, "question": state["question"]}):
            messages.append({"role": "user", "content": self._prompt.fill_turn(turn)})
            if "answer" in turn:
                messages.append({"role": "assistant", "content": turn["answer"]})
        return self._models.complete(self._prompt, messages, max_tokens=MAX_TOKENS, heard=state.get("heard"))

    def _tell_order(self, call: ToolCall) -> str:
        """The facts of an order are filled into a sentence: a model that rephrases them can only lose."""
        result = call.result or {}
        if "status" not in result:
            return self._prompt.replies["unknown_order"].format(order_id=call.arguments["order_id"])
        text = self._prompt.replies[f"order_{result['status']}"].format_map(result)
        if result["status"] in ("shipped", "delivered") and result["carrier"]:
            text += " " + self._prompt.replies["order_carrier"].format_map(result)
        return text


def readable(found: Sequence[Found]) -> list[Found]:
    """
    The passages near enough to the question, best first.

    A superseded one is read only where the best is superseded too, because the question then asks for it.
    """
    near = [one for one in found if one.score >= MIN_SCORE]
    if near and near[0].section.status == "current":
        near = [one for one in near if one.section.status == "current"]
    return near
