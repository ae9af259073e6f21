"""The last node: the answer in words, and the sections that bear it out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.documents.grounding import split
from reference_app.nodes.facts import MAX_ROWS, REPORTED_FIELDS, bears_out, write_facts
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.runnables import RunnableConfig

    from reference_app.documents.grounding import Grounding
    from reference_app.documents.index import Vectors
    from reference_app.documents.knowledge import Section
    from reference_app.models.client import Models
    from reference_app.models.prompt import Prompt
    from reference_app.nodes.telling import Telling
    from reference_app.state import Found, State, ToolCall

MAX_TOKENS = 64
MAX_FACTS_CHARACTERS = 1000  # a shop elsewhere may send more than the small model can read
MIN_SCORE = 0.4  # below it no section has to do with the question
MIN_SCORE_BESIDE_TOOLS = 0.65  # below it a product or store that a tool does not know is told as that
_CITATION = re.compile(r"\s*\[[^\]\n]{0,80}\]?\s*$")


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
        places = self._places.get(section.id)
        if places is None:  # what a customer sent was cut when it was read
            return section.text
        likeness = self._vectors.similarities(vector, places)
        nearest = max(places, key=lambda place: likeness[place - places.start])
        return " ".join(self._sentences[place] for place in sorted({places.start, nearest}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """
    Adds `text`, in which each sentence ends in its source like `[returns#window]`, and `sources`.

    Attributes:
        tuned: Such a model puts what tools found into words itself, and is shown which section it reads.
        untuned: The same model without its adapter, asked where an answer does not rest on its section.
    """

    models: Models
    prompt: Prompt
    excerpts: Excerpts
    grounding: Grounding
    telling: Telling
    tuned: bool
    untuned: Answerer | None = None

    def __call__(self, state: State, config: RunnableConfig) -> State:
        with trace("answerer") as span:
            text, sources = self._answer(state, config["configurable"].get("heard"))
            span.describe({"reference_app.answer.sources": sources})
            return {"text": text, "sources": sources}

    def _answer(self, state: State, heard: Callable[[str], None] | None) -> tuple[str, list[str]]:
        if state["plan"].route == "refuse" and not state["passages"]:
            return self.telling.say("refuse"), []
        calls, found = state.get("tool_calls"), readable(state.get("passages", []))
        if calls and (not found or (_names_thing(calls) and found[0].score < MIN_SCORE_BESIDE_TOOLS)):
            return self._tell(calls, state["question"]), []
        near = [one.section for one in found]
        if not near:
            return self.telling.say("unknown"), []
        question = state["question"]
        further = (section for section in near[1:] if self.grounding.adds(section, question, near[0]))
        parts: list[str] = []
        sources: list[str] = []
        for section in (near[0], *list(further)[:1]):
            if parts and heard is not None:
                heard(" ")
            answer = self.read(section, state, heard)
            # Cited is what bears the answer out, whatever the model says it read.
            if self.grounding.supports(section, answer):
                parts.append(f"{answer} [{section.id}]")
                sources.append(section.id)
            elif not parts:
                parts.append(answer)
        return " ".join(parts), sources

    def read(self, section: Section, state: State, heard: Callable[[str], None] | None) -> str:
        """What the model makes of one section; of what it does not bear out, what the untuned one does."""
        passage = self.excerpts.cut(section, state["vector"])
        shown = f"[{section.id}] {passage}" if self.tuned else passage
        answer = " ".join(self.ask(shown, state["question"], heard).split())
        if self.untuned is None:
            return answer
        answer = _CITATION.sub("", answer)
        held = self.grounding.supports(section, answer) and self.grounding.keeps_figures(section, answer)
        return answer if held else self.untuned.read(section, state, None)

    def _tell(self, calls: Sequence[ToolCall], question: str) -> str:
        """In the model's words where they say what the tools found, else in the app's own."""
        report = self.telling.tell(calls)
        if not self.tuned or not all(_is_short(call) for call in calls):
            return report
        facts = write_facts(calls)
        if len(facts) > MAX_FACTS_CHARACTERS:
            return report
        answer = " ".join(self.ask(f"Facts: {facts}", question, None).split())
        return answer if bears_out(calls, answer) else report

    def ask(self, passage: str, question: str, heard: Callable[[str], None] | None) -> str:
        """What the model makes of one section, or of the facts."""
        messages = [{"role": "system", "content": self.prompt.fill()}]
        for turn in (*self.prompt.turns, {"passage": passage, "question": question}):
            messages.append({"role": "user", "content": self.prompt.fill_turn(turn)})
            if "answer" in turn:
                messages.append({"role": "assistant", "content": turn["answer"]})
        if heard is not None and self.tuned:
            heard = _before_citation(heard)
        return self.models.complete(self.prompt, messages, max_tokens=MAX_TOKENS, heard=heard)


def _before_citation(heard: Callable[[str], None]) -> Callable[[str], None]:
    """Hears an answer up to the space before the citation that ends it: the app cites what it has checked."""
    ended, space = False, ""

    def hear(piece: str) -> None:
        nonlocal ended, space
        if ended:
            return
        whole, opened, _ = (space + piece).partition("[")
        said = whole.rstrip()
        ended, space = bool(opened), whole[len(said) :]
        if said:
            heard(said)

    return hear


def _names_thing(calls: Sequence[ToolCall]) -> bool:
    """Whether a call was about a thing by its name, and not a question that the database cannot answer."""
    return all((call.result or {}).get("error") != "no_query" for call in calls)


def _is_short(call: ToolCall) -> bool:
    """Whether a call was made and found what fits into a sentence."""
    result = call.result
    if call.decision != "allowed" or result is None or "error" in result:
        return False
    if call.name == "shipment" and (result["delivered"] or not result["carrier"]):
        return False  # late or not is no question any more, or none yet
    if "rows" in result:
        whole = all(value is not None for row in result["rows"] for value in row)
        # A bare figure says nothing of what it counts, and the model makes up what.
        whole = whole and all(isinstance(row[0], str) for row in result["rows"])
        return whole and len(result["rows"]) in range(1, MAX_ROWS)
    return call.name in REPORTED_FIELDS


def readable(found: Sequence[Found]) -> list[Found]:
    """
    The passages near enough to the question, best first.

    A superseded one is read only where the best is superseded too, because the question then asks for it.
    """
    near = [one for one in found if one.score >= MIN_SCORE]
    if near and near[0].section.status == "current":
        near = [one for one in near if one.section.status == "current"]
    return near
