"""What is said of scores: verdicts, changes, the comparison of two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["passed", "failed", "regressed", "undecided", "error"]
OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "regressed", "undecided", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """
    What the gate says of one check.

    Attributes:
        check: For people, `recall@5 mean >= 0.9`.
        metric: Whose numbers it is about; empty where no metric is.
        case: The item's id; None for a suite check.
        interval: Of the difference from the baseline, or of the gain over a rival, at the comparison's level.
        advice: What to do, or what a larger run would see.
    """

    check: str
    outcome: Outcome
    metric: str = ""
    case: str | None = None
    observed: float | None = None
    baseline: float | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    cases: int = 1
    reason: str = ""
    evidence: tuple[Any, ...] = ()
    advice: str = ""
    known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A case whose check reads otherwise than in the baseline; `confirmed` when it is no chance."""

    case: str
    metric: str
    before: float
    after: float
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    Two runs side by side: verdicts, and the cases that came, went or changed.

    Attributes:
        differs: What else is another than in the baseline, a line each: prompts, models, data.
    """

    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    level: float
    new: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()
    differs: tuple[str, ...] = ()
