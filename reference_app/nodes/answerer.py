"""The last node: the answer in words, and the sections that bear it out."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_app.dialogue.reckoning import (
    find_day_of,
    find_deadline,
    find_start,
    find_worth,
    has_other_rule,
)
from reference_app.documents.support import repeats, supports
from reference_app.documents.values import wanted_values
from reference_app.nodes.telling import write_pounds
from reference_app.shop.sales import TODAY
from reference_app.state import NOT_KNOWN
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_core.runnables import RunnableConfig

    from reference_app.models.client import Models
    from reference_app.models.prompt import Prompt
    from reference_app.nodes.telling import Telling
    from reference_app.state import Evidence, Finding, State

MAX_TOKENS = 96
_CITATION = re.compile(r"\s*\[[^\]\n]{0,80}\]?\s*$")


@dataclass(frozen=True, slots=True)
class Said:
    """One part of an answer; `source` is the id of its section, empty where it rests on none."""

    text: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """
    Adds `text`, in which each part from a document ends in its source like `[returns#window]`, and `sources`.

    What a document says is said in its own sentences, or in the model's words if the sentences bear them
    out. What tools found the app says itself: a model can only lose of it.

    Attributes:
        tuned: Such a model is shown which section it reads.
        grounded: Whether only what the sentences bear out is kept of a draft.
    """

    models: Models
    prompt: Prompt
    telling: Telling
    tuned: bool
    grounded: bool = True

    def __call__(self, state: State, config: RunnableConfig) -> State:
        heard = config["configurable"].get("heard")
        with trace("answerer") as span:
            parts: list[Said] = []
            for part in self._answer(state):
                if part in parts:
                    continue
                if heard is not None:  # never a draft: it may turn out wrong
                    heard((" " if parts else "") + part.text)
                parts.append(part)
            sources = list(dict.fromkeys(part.source for part in parts if part.source))
            span.describe({"reference_app.answer.sources": sources})
            text = " ".join(f"{part.text} [{part.source}]" if part.source else part.text for part in parts)
            return {"text": text, "sources": sources}

    def _answer(self, state: State) -> Iterator[Said]:
        if note := self.telling.language(state["question"]):
            yield Said(note)
        parts = [(finding, list(self._say(finding))) for finding in state["findings"]]
        answered = any(said for _, said in parts)
        read: set[str] = set()
        for finding, said in parts:
            yield from (one for one in said if one.source not in read or not one.source)
            read |= {one.source for one in said}
            if not said:
                occasion = "refuse" if finding.plan.route == "refuse" else "unknown"
                yield Said(self.telling.say("unknown_rest" if answered else occasion))

    def _say(self, finding: Finding) -> Iterator[Said]:
        if finding.plan.route == "ask":
            yield Said(self.telling.say(f"missing_{finding.plan.missing}"))
        calls = [
            call
            for call in finding.calls
            if not finding.evidence or (call.result or {}).get("error") not in NOT_KNOWN
        ]
        if calls and not (finding.searched and all(_found_nothing(call.result) for call in calls)):
            yield Said(self.telling.tell(calls, finding.intent.text))
        for evidence in finding.evidence:
            yield Said(self.read(evidence, finding.intent.query), evidence.section.id)
            if not evidence.beside and (reckoned := self._reckon(evidence, finding)):
                yield Said(reckoned)

    def _reckon(self, evidence: Evidence, finding: Finding) -> str:
        """What the rule comes to on the day, or with the points, that the question or a tool names."""
        question, results = finding.intent.within, [call.result or {} for call in finding.calls]
        if begins := find_start(evidence.best):
            known = [each["delivered"] for each in results if each.get("delivered") and begins == "delivery"]
            start = dt.date.fromisoformat(known[0]) if known else find_day_of(begins, question, TODAY)
            exception = start and has_other_rule(evidence.section.text, start)
            if start and not exception and (found := find_deadline(evidence.best, question, start)):
                return self.telling.say(
                    "time_ahead" if found.end >= TODAY else "time_over",
                    start=found.start.isoformat(),
                    time=found.time,
                    end=found.end.isoformat(),
                )
        points = next((each["points"] for each in results if each.get("points")), None)
        if worth := find_worth(evidence.sentences, question, points):
            amount = write_pounds(worth.pounds).removesuffix(".00")
            return self.telling.say("points_worth", points=worth.points, amount=amount)
        return ""

    def read(self, evidence: Evidence, question: str) -> str:
        """
        The sentences, or what the model makes of them.

        A small model copies one of two sentences, and of two the wrong one about every fifth time. So its
        draft is used only if it holds the sentence that answers best, and leaves out none with a value of the
        kind that is asked for.
        """
        passage = " ".join(evidence.sentences)
        wanted = wanted_values(question)
        if evidence.beside or (self.grounded and (not wanted or len(evidence.sentences) == 1)):
            return passage
        shown = f"[{evidence.section.id}] {passage}" if self.tuned else passage
        draft = _CITATION.sub("", " ".join(self.ask(shown, question).split()))
        if not self.grounded:
            return draft
        needed = [
            sentence
            for sentence in evidence.sentences
            if sentence == evidence.best or any(kind.search(sentence) for kind in wanted)
        ]
        held = supports(evidence.sentences, draft) and all(repeats(sentence, draft) for sentence in needed)
        return draft if held else passage

    def ask(self, passage: str, question: str) -> str:
        """What the model makes of one passage."""
        messages = [{"role": "system", "content": self.prompt.fill()}]
        for turn in (*self.prompt.turns, {"passage": passage, "question": question}):
            messages.append({"role": "user", "content": self.prompt.fill_turn(turn)})
            if "answer" in turn:
                messages.append({"role": "assistant", "content": turn["answer"]})
        return self.models.complete(self.prompt, messages, max_tokens=MAX_TOKENS)


def _found_nothing(result: dict[str, object] | None) -> bool:
    return (result or {}).get("error") == "no_query"
