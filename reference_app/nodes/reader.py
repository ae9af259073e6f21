"""The node that reads what a question brings along, in place of a plan: no model chooses what is read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reference_app.documents.grounding import split
from reference_app.documents.knowledge import Section
from reference_app.safety import RefusedError
from reference_app.safety.urls import read_url
from reference_app.state import Call, Found, Plan
from reference_app.tools.attachments import FILE, PAGE
from reference_app.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.documents.index import Encode
    from reference_app.safety.urls import Allowed
    from reference_app.settings import Role
    from reference_app.state import State
    from reference_app.tools.registry import Registry

NEAREST = 2
_URL = re.compile(r"https?://[^\s<>\"'`\])}]+", re.IGNORECASE)


class Reader:
    """Adds `plan` and `tool_calls`, and as `passages` what of each text is nearest to the question."""

    def __init__(self, registry: Registry, pages: Allowed, encode: Encode, role: Role) -> None:
        """`registry` has the tools that only this node calls; `pages` are the hosts whose URLs are read."""
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
        with trace("reader"):
            calls = self.list_calls(state)
            made = [self._registry.run(call.name, call.arguments, self._role) for call in calls]
            passages = [
                # The customer chose the text, so no likeness has to show that it is the one that is meant.
                Found(section=_as_section(call.name, self._cut(text, state["vector"])), score=1.0)
                for call in made
                if (text := (call.result or {}).get("text"))
            ]
            return {"plan": Plan(route="tools", calls=calls), "tool_calls": made, "passages": passages}

    def _cut(self, text: str, vector: Sequence[float]) -> str:
        """The first line, which names the product or the columns, and the parts nearest to the question."""
        parts = [part for line in text.splitlines() for part in split(line)]
        likeness = self._encode(parts) @ vector
        nearest = sorted(range(1, len(parts)), key=lambda place: -likeness[place])[:NEAREST]
        return "\n".join(parts[place] for place in (0, *sorted(nearest)))


def _as_section(name: str, text: str) -> Section:
    return Section(id=f"{name}#text", title="", heading="", text=text, status="current", updated="")
