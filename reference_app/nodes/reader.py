"""The node that reads what a question brings along, in place of a plan: no model chooses what is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reference_app.documents.knowledge import Section
from reference_app.documents.lexicon import split
from reference_app.documents.search import Found
from reference_app.safety import RefusedError
from reference_app.safety.urls import read_url
from reference_app.state import Call, Evidence, Finding, Plan
from reference_app.tools.attachments import FILE, PAGE
from reference_app.tracing import trace

if TYPE_CHECKING:
    from reference_app.dialogue.intents import Intent
    from reference_app.documents.index import Encode
    from reference_app.safety.urls import Allowed
    from reference_app.settings import Role
    from reference_app.state import State, ToolCall
    from reference_app.tools.registry import Registry

NEAREST = 2
_URL = re.compile(r"https?://[^\s<>\"'`\])}]+", re.IGNORECASE)


class Reader:
    """Adds `plan`, `tool_calls`, findings, and as `passages` what of each text is nearest to the question."""

    def __init__(self, registry: Registry, pages: Allowed, encode: Encode, role: Role) -> None:
        """`registry` has the tools that only this node calls; `pages` are hosts whose URLs are read."""
        self._registry, self._pages, self._encode, self._role = registry, pages, encode, role

    def list_calls(self, state: State) -> tuple[Call, ...]:
        """The uploaded file, and the first URL of a host that is listed."""
        calls = [Call(name=FILE, arguments={"name": state["file"]})] if "file" in state else []
        for found in _URL.finditer(state["question"]):
            url = found[0].rstrip(".,;:!?")
            try:
                read_url(url, self._pages)
            except RefusedError:
                continue
            return (*calls, Call(name=PAGE, arguments={"url": url}))
        return tuple(calls)

    def __call__(self, state: State) -> State:
        intent = state["intents"][0]
        with trace("reader"):
            plan = Plan(route="tools", calls=self.list_calls(state))
            made = [self._registry.run(call.name, call.arguments, self._role) for call in plan.calls]
            read = [self._read(call, intent) for call in made]
        return {
            "plan": plan,
            "tool_calls": made,
            # The customer chose the text, so no likeness has to show that it is the one that is meant.
            "passages": [Found(section=one.section, score=1.0) for one in read if one],
            "findings": [
                Finding(
                    intent=intent,
                    plan=plan,
                    calls=() if one else (call,),
                    searched=True,
                    evidence=(one,) if one else (),
                )
                for call, one in zip(made, read, strict=True)
            ],
        }

    def _read(self, call: ToolCall, intent: Intent) -> Evidence | None:
        """The first line, which names the product or the columns, and the parts nearest to the question."""
        text = (call.result or {}).get("text")
        if not text:
            return None
        parts = [part for line in text.splitlines() if line.strip() for part in split(line)]
        likeness = self._encode(parts) @ intent.vector
        nearest = sorted(range(1, len(parts)), key=lambda place: -likeness[place])[:NEAREST]
        chosen = tuple(parts[place] for place in (0, *sorted(nearest)))
        section = Section(
            id=f"{call.name}#text",
            title=" ".join(map(str, call.arguments.values())),  # the name of the file, or the page's URL
            heading="",
            text="\n".join(chosen),
            status="current",
            updated="",
        )
        return Evidence(section=section, sentences=chosen, best=parts[nearest[0]] if nearest else parts[0])
