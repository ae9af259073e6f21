"""
The progress of suite checks over the looks at a run: cleared, or called and confirmed on fresh repeats.

The repeat planner and the verdict compute the same progress from the same repeats, so that the repeats that
were made are the ones that are judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pytest_llmops.gates.error_budget import Looks
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores
from pytest_llmops.statistics.multiplicity import adjust_holm, conditional_power
from pytest_llmops.statistics.paired import PairedComparison

State = Literal["open", "cleared", "called", "refuted", "regressed"]

CONFIRM = 0.05
"""The largest p-value of fresh repeats that confirms a drop that was called before."""

BEYOND = 0.02
"""The largest p-value of a drop beyond `max_drop` that is called: a smaller true one is no regression."""

BEYOND_OF_FEW = 0.01
"""The same of fewer than `FEWEST` cases or groups, which edits move unevenly and whose spread is unsure."""

CONFIRM_BEYOND = 0.2
"""The same of the fresh repeats, which are few."""

FAIR_CHANCE = 0.3
"""The chance to be called by the next test, without which a check without `max_drop` is given up."""


class Progress:
    """
    A check that watches for a drop, look by look.

    Attributes:
        state: `cleared` needs no repeats, but is called if those that others need prove a drop;
            `called` is not confirmed yet, `refuted` was not confirmed by fresh repeats.
        look: The new repeats at which it was cleared or called; None for all there are.
        p_value: The smallest error budget with which one of the looks would have called it by itself.
        last: The p-value at the last tested look.
        p_adjusted: `p_value` corrected for all checks and for the channel's share of the budget.
        decisive: The p-value of the test that decided, and the same corrected: of any drop or of one beyond
            `max_drop`, whose bound is brought to that of `p_adjusted`; the larger counts.
        wants: New repeats of the varying cases that would take it further; 0 where none would.
    """

    def __init__(self, scores: PairedScores, looks: Looks, *, seed: int) -> None:
        self.scores = scores
        self.state: State = "open"
        self.look: int | None = None
        self.p_value = self.last = self.p_adjusted = 1.0
        self._excess: tuple[float, float] | None = None
        self.wants = 0
        self.looks = looks
        self._seed = seed
        # A drop beyond `max_drop` of an app that does not vary needs no test.
        if scores.fact and scores.check.max_drop is not None and self.is_beyond_tolerance:
            self.state, self.p_adjusted = "regressed", 0.0

    @property
    def is_tested(self) -> bool:
        """True if further looks can still change the state."""
        return self.state in {"open", "cleared"}

    @property
    def is_beyond_tolerance(self) -> bool:
        """True if the drop over all repeats is larger than the tolerated one."""
        return not self.scores.is_tolerated(self.scores.at(None))

    @property
    def decisive(self) -> tuple[float, float]:
        any_drop = self.p_value, self.p_adjusted
        return self._excess if self._excess and self._excess[1] > self.p_adjusted else any_drop

    def test(self, look: int | None) -> None:
        """Test for any drop, unless one of several looks shows none that counts."""
        compared = self.scores.at(look)
        if look and self.scores.check.max_drop and self.scores.is_tolerated(compared):
            return
        self.last = self.scores.p_value(compared, seed=self._seed)
        self.p_value = min(self.p_value, self.last / self.looks.part(look))

    def decide(self, look: int | None, *, level: float, bound: float) -> None:
        """
        Call the drop, or clear the check, at a look.

        Args:
            level: One minus the error budget that `p_adjusted` is compared with.
            bound: The largest p-value that all looks together would call, were all checks alike.
        """
        if self.state == "cleared" and not self.looks.is_tested(look):
            return
        compared = self.scores.at(look)
        if (
            self.looks.is_tested(look)
            and self.p_adjusted <= 1 - level
            and self._is_called_beyond(compared, level)
        ):
            self.state = "regressed" if self.looks.is_fixed else "called"
        elif self.state == "cleared":
            return
        elif look is not None and self._is_cleared(look, compared, bound):
            self.state = "cleared"
        self.look = look

    def _is_called_beyond(self, compared: PairedComparison, level: float) -> bool:
        most = BEYOND_OF_FEW if self.scores.has_few_units else BEYOND
        if not self.scores.check.max_drop or self.scores.is_tolerated(compared):
            return self._is_beyond(compared, most)
        p_value = self.scores.excess_p_value(compared, seed=self._seed)
        self._excess = p_value, min(1.0, p_value * (1 - level) / most)
        return p_value <= most

    def _is_beyond(self, compared: PairedComparison, most: float) -> bool:
        """True if the drop is larger than the tolerated one, and not by chance."""
        if self.scores.is_tolerated(compared):
            return False
        return not self.scores.check.max_drop or (
            self.scores.excess_p_value(compared, seed=self._seed) <= most
        )

    def _is_cleared(self, look: int, compared: PairedComparison, bound: float) -> bool:
        if self.scores.check.max_drop is None:
            return self._is_futile(look, bound)
        if look == 1:  # one repeat clears half of the unchanged checks, and hardly any that dropped
            return compared.drop <= 0
        return self.scores.is_tolerated(compared)

    def _is_futile(self, look: int, bound: float) -> bool:
        """True if the next test has no fair chance to call a check without a `max_drop`."""
        following = next((tested for tested in self.looks.tested if tested > look), None)
        if following is None or not self.looks.is_tested(look):
            return following is None
        power = conditional_power(self.last, look / following, bound * self.looks.part(following))
        return power < FAIR_CHANCE

    def finish(self) -> None:
        """Confirm a called drop by the repeats that were made after the call; else plan further ones."""
        if self.state == "open":
            self.wants = self.looks.next_after(self.looks.done)
        if self.state != "called":
            return
        start, fresh = self.look or 0, self.looks.fresh
        if self.looks.done < start + fresh:
            self.wants = start + fresh
            return
        compared = self.scores.at(start + fresh, start)
        confirmed = not fresh or (
            self.scores.p_value(compared, seed=self._seed) <= CONFIRM
            and self._is_beyond(compared, CONFIRM_BEYOND)
        )
        self.state = "regressed" if confirmed else "refuted"


def track_checks(
    watched: Sequence[PairedScores], looks: Looks, *, share: float, level: float, seed: int = 0
) -> list[Progress]:
    """
    The progress of each check that watches for a drop.

    Args:
        share: Of the error budget, for these checks together.
        level: One minus that budget.
    """
    tracked = [Progress(scores, looks, seed=seed) for scores in watched]
    for look in looks.taken:
        running = [progress for progress in tracked if progress.is_tested]
        if looks.is_tested(look):
            for progress in running:
                progress.test(look)
            adjusted = adjust_holm([progress.p_value for progress in tracked])
            for progress, p_value in zip(tracked, adjusted, strict=True):
                if progress in running:
                    progress.p_adjusted = min(1.0, p_value / share)
        for progress in running:
            progress.decide(look, level=level, bound=share * (1 - level) / len(watched))
    for progress in tracked:
        progress.finish()
    return tracked
