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

    @property
    def found(self) -> dict[str, Any]:
        """The result of a call that was answered; empty where it was not made, or ended in an error."""
        return {} if self.result is None or "error" in self.result else self.result
