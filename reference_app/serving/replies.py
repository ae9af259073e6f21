"""Replies for people, made of what the app's nodes add; the page and the terminal show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any


def load_sections() -> dict[str, Any]:
    """Return the sections of the environment's documents by their ids."""
    from reference_app.documents.knowledge import load_knowledge
    from reference_app.settings import read_settings

    return {section.id: section for section in load_knowledge(read_settings().knowledge)}


def confirm(name: str, arguments: Mapping[str, Any]) -> Any:
    """Return what `SupportApp.resume` needs to know the call that a person decided on."""
    from reference_app.tools.registry import Confirmation

    return Confirmation.of(name, arguments)


def follow(
    steps: Iterable[tuple[str, Any]], sections: Mapping[str, Any], show: Callable[[str], Any]
) -> dict[str, Any]:
    """Run the steps that `SupportApp` yields, `show` a line about each, and return the reply."""
    state: dict[str, Any] = {}
    for node, added in steps:
        state.update(added or {})
        calls = ", ".join(write_call(_as_plain(call)) for call in (added or {}).get("tool_calls", []))
        show(node.replace("_", " ") + (calls and f": {calls}"))
    sources = [(source, sections.get(source)) for source in state.get("sources", [])]
    return {
        "text": state.get("text", ""),
        "sources": [  # one that is no section is an uploaded file
            {"id": id_, "title": one.name if one else id_, "text": one.text if one else ""}
            for id_, one in sources
        ],
        "tool_calls": [_as_plain(call) for call in state.get("tool_calls", [])],
        "pending": _as_plain(state.get("pending")),
        "degraded": state.get("degraded"),
    }


def write_call(call: Mapping[str, Any]) -> str:
    """Return a call as a person reads it, like `order_status(order_id FW-1) allowed`."""
    arguments = ", ".join(f"{name} {value}" for name, value in call["arguments"].items())
    return f"{call['name']}({arguments}) {call.get('decision', '')}".strip()


def _as_plain(call: Any) -> Any:
    return asdict(call) if is_dataclass(call) and not isinstance(call, type) else call
