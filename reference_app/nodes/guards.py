"""The guards as nodes: before the planner and after the answerer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_app.settings import SHOP_HOST
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from reference_app.nodes.telling import Telling
    from reference_app.state import State


def suspect(text: str) -> str | None:
    """Why a text seems to give orders to the model; None where it does not."""
    from reference_app.guardrails.injection import scan

    suspicion = scan(text)
    return suspicion.reason if suspicion.flagged else None


class InputGuard:
    """Adds `suspicion` and a refusal where the question or what was said before gives orders to the model."""

    def __init__(self, telling: Telling, *, on: bool) -> None:
        self._telling = telling
        self._on = on

    def __call__(self, state: State) -> State:
        with trace("guard input") as span:
            said = [state["question"], *(turn["content"] for turn in state.get("history", []))]
            reason = next(filter(None, map(suspect, said)), None) if self._on else None
            span.describe({"reference_app.guard.on": self._on, "reference_app.guard.reason": reason})
            if reason is None:
                return {}
            return {"suspicion": reason, "text": self._telling.say("refuse"), "sources": []}


class OutputGuard:
    """Takes out of an answer what must not leave the app; adds `text`, `sources` and `problems`."""

    def __init__(
        self,
        telling: Telling,
        *,
        known: AbstractSet[str],
        secrets: tuple[str, ...],
        on: bool,
        tokens: bool = False,
    ) -> None:
        """
        Args:
            telling: Says that nothing is left of an answer.
            known: Ids of the documents' sections.
            secrets: Lines that no answer may repeat.
            on: Whether answers are checked.
            tokens: Whether a question has tokens instead of personal data, which an answer may repeat.
        """
        self._telling = telling
        self._known = known
        self._secrets = secrets
        self._on = on
        self._tokens = tokens

    def __call__(self, state: State) -> State:
        from reference_app.guardrails.output import check_answer

        if not self._on:
            return {"problems": []}
        given = [one.section.text for one in state.get("passages", [])]
        if self._tokens:
            given.append(state["question"])
        known = self._known | {one.section.id for one in state.get("passages", [])}
        with trace("guard output") as span:
            guarded = check_answer(
                state["text"],
                sources=state.get("sources", []),
                known=known,
                hosts=(SHOP_HOST,),
                secrets=self._secrets,
                given=given,
            )
            span.describe({"reference_app.guard.problems": list(guarded.problems)})
            return {
                "text": guarded.text or self._telling.say("unknown"),
                "sources": [source for source in state.get("sources", []) if source in known],
                "problems": list(guarded.problems),
            }
