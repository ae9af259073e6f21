"""What a model is asked that has learnt the shop's plans and answers, in the form that it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_app.documents.knowledge import Section
    from reference_app.tools.calls import ToolCall

PROMPTS = {"planner": "adapter-planner", "answerer": "adapter-answerer"}
PASSAGES = 2  # more than that it has never seen


def show_question(said: Sequence[str]) -> str:
    """The customer's turns, one a line."""
    return "\n".join(" ".join(text.split()) for text in said)


def show_material(sections: Sequence[Section], calls: Sequence[ToolCall], question: str) -> str:
    """The nearest sections, one a line, or what tools found; and the question."""
    facts = [show_facts(call.result) for call in calls if call.result]
    lines = [f"[{section.id}] {' '.join(section.text.split())}" for section in sections[:PASSAGES]]
    material = f"Facts: {' | '.join(facts)}" if facts else "\n".join(lines)
    return f"{material}\nQuestion: {question}"


def show_facts(value: Any) -> str:
    """A result as `order_id FW-10427; items a, b; late no`."""
    if isinstance(value, dict):
        shown = ((name, show_facts(one)) for name, one in value.items() if one not in (None, "", []))
        return "; ".join(f"{name} {text}" for name, text in shown)
    if isinstance(value, list):
        return ", ".join(map(show_facts, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
