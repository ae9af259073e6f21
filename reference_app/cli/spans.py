"""Finished spans as a tree of lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

MAX_VALUE_CHARACTERS = 160


def draw(spans: Sequence[ReadableSpan]) -> str:
    """One line a span with its time in milliseconds, its attributes below it, children indented."""
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        children.setdefault(span.parent.span_id if span.parent else None, []).append(span)
    lines: list[str] = []

    def add(span: ReadableSpan, depth: int) -> None:
        indent = "  " * depth
        duration_ms = ((span.end_time or 0) - (span.start_time or 0)) / 1e6
        lines.append(f"{indent}{span.name} {duration_ms:.0f} ms")
        for name, value in sorted((span.attributes or {}).items()):
            text = str(value)
            cut = f"{text[:MAX_VALUE_CHARACTERS]}…" if len(text) > MAX_VALUE_CHARACTERS else text
            lines.append(f"{indent}  · {name} = {cut}")
        for child in children.get(span.context.span_id, []):
            add(child, depth + 1)

    for root in children.get(None, []):
        add(root, 0)
    return "\n".join(lines)
