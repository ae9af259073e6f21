"""What is recorded of one use of a tool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Recorded = Literal["allowed", "confirmed", "denied", "pending"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """
    One use of a tool, made or not.

    Attributes:
        decision: `denied` by schema, policy or a guard, `pending` where a person has to confirm it first.
        result: None unless it was made.
        reason: Why it was denied or waits; empty where it was made.
    """

    name: str
    arguments: dict[str, Any]
    decision: Recorded
    result: dict[str, Any] | None = None
    reason: str = ""
