"""One step of an answer, described by attributes that hold no personal data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reference_app.guardrails.redaction import mask, mask_all


@dataclass(slots=True, kw_only=True, eq=False)
class Step:
    """Depth 0 is a question, whose steps `question` lists as they began; times are of a monotonic clock."""

    name: str
    depth: int = 0
    start_s: float = 0.0
    end_s: float = 0.0
    attributes: dict[str, Any] = field(default_factory=dict)
    parent: Step | None = None
    question: list[Step] = field(default_factory=list)

    def describe(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes, every text masked; None is left out, and a tuple is a list of texts."""
        for name, value in attributes.items():
            if value is not None:
                is_texts = isinstance(value, tuple)
                self.attributes[name] = tuple(map(mask, value)) if is_texts else mask_all(value)

    def write(self) -> dict[str, Any]:
        """The attributes as OpenTelemetry takes them: lists and mappings as JSON."""
        return {
            name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
            for name, value in self.attributes.items()
        }
