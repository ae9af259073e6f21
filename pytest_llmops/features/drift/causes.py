"""Causes of other answers than in an earlier run: prompt, model, data, tool output or the references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["prompt", "model", "data", "tool output", "concept"]
KINDS: tuple[Kind, ...] = ("prompt", "model", "data", "tool output", "concept")
Change = Literal["same", "varying", "changed"]
Hint = Literal["", "app", "unseen"]

LEVEL = 0.01
"""Largest p-value at which a test shows a cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """
    Something that moved between the runs and could explain why a case drifted.

    Attributes:
        evidence: The change, by names and digests; no text of an app, a model or a document.
        sure: False where chance, or an unseen change, could look the same.
    """

    kind: Kind
    evidence: str
    sure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDrift:
    """
    One case in both runs.

    Attributes:
        change: Of the set of answers over the repeats: `same`, `changed`, or `varying` where it is no more
            than how the app's repeats differ from each other.
        shown: The kinds that the crossing shows; the other clues are candidates.
        hint: Where no clue is left: `app` for its own code or settings, `unseen` for model calls that were
            not seen.
    """

    case: str
    change: Change
    clues: tuple[Clue, ...] = ()
    shown: tuple[Kind, ...] = ()
    hint: Hint = ""

    @property
    def is_open(self) -> bool:
        """Return whether it drifted without a shown cause; moved references are no cause of other answers."""
        if self.change == "changed":
            return not set(self.shown) - {"concept"}
        return bool(self.clues) and not self.shown

    @property
    def candidates(self) -> tuple[Kind, ...]:
        """The kinds that could explain it and are not shown to."""
        kinds = {clue.kind for clue in self.clues}
        return tuple(kind for kind in KINDS if kind in kinds and kind not in self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """
    One kind of drift.

    Attributes:
        evidence: The changes.
        cases: Those it explains, or could; none where every answer held in spite of it.
        shown: The crossing of old and new parts shows it; else it is one candidate of several.
    """

    kind: Kind
    evidence: tuple[str, ...]
    cases: tuple[str, ...]
    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """
    Two runs crossed.

    Attributes:
        outcome: `drift` when a cause is shown, else `open` when something drifted, else `none`.
        causes: Shown ones first.
        cases: Every case with answers in both runs, by id.
        advice: Which run would decide where a cause is open.
        notes: Changes without effect, and cases that could not be compared.
        comparable: False where no answer, and no model's answer to a request, occurs twice in both runs: then
            each answer is new anyway, and a part that moved is a candidate at most.
    """

    outcome: Literal["none", "drift", "open"]
    causes: tuple[Cause, ...]
    cases: tuple[CaseDrift, ...]
    advice: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    comparable: bool = True
