"""
The progress of suite checks over the looks at a run: cleared, or called and confirmed on fresh repeats.

The repeat planner and the verdict compute the same progress from the same repeats, so that what was run is
what is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_llmops.gates.error_budget import Looks
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores, Values
from pytest_llmops.statistics.multiplicity import adjust_holm, conditional_power
from pytest_llmops.statistics.paired import FEWEST

State = Literal["open", "cleared", "called", "refuted", "regressed"]

CONFIRM = 0.05
"""What the p-value of fresh repeats must not exceed to confirm a drop that was called before."""

BEYOND = 0.02
"""What the p-value of a drop beyond `max_drop` must not exceed: a smaller true one is no regression."""

BEYOND_OF_FEW = 0.01
"""The same of fewer than `FEWEST` cases or groups, which edits move unevenly and whose spread is unsure."""

CONFIRM_BEYOND = 0.2
"""The same of the fresh repeats alone, which are few."""

_FAIR_CHANCE = 0.3
_TESTED = frozenset({"open", "cleared"})


@dataclass(slots=True)
class Progress:
    """
    Where a check stands.

    Attributes:
        state: `cleared` needs no repeats, but is called if those that others need prove a drop;
            `called` is not confirmed yet, `refuted` was not confirmed by fresh repeats.
        look: The new repeats at which it was cleared or called; None for all there are.
        p_value: The smallest error budget with which one of the looks would have called it, were it alone.
        last: The p-value at the last look alone.
        p_adjusted: The same as `p_value` against all checks and against the channel's share of the budget.
        wants: New repeats of the varying cases that would take it further; 0 where nothing would.
    """

    state: State = "open"
    look: int | None = None
    p_value: float = 1.0
    p_adjusted: float = 1.0
    last: float = 1.0
    wants: int = 0


def track_checks(
    watched: Sequence[PairedScores], looks: Looks, *, share: float, level: float, seed: int = 0
) -> list[Progress]:
    """
    The progress of each check that watches for a drop.

    Args:
        share: Of the error budget, for these checks together.
        level: One minus that budget.
    """
    followed = [_begin(scores) for scores in watched]
    both = list(zip(followed, watched, strict=True))
    for look in looks.taken:
        if looks.is_tested(look):
            _test(both, looks, look, share=share, seed=seed)
        for progress, scores in both:
            if progress.state in _TESTED:
                final = share * (1 - level) / len(watched)
                _decide(progress, scores, looks, look, level=level, final=final, seed=seed)
    for progress, scores in both:
        if progress.state == "called":
            _confirm(progress, scores, looks, seed)
        elif progress.state == "open":
            progress.wants = looks.next_after(looks.done)
    return followed


def _begin(scores: PairedScores) -> Progress:
    """Open, but for a drop beyond `max_drop` of an app that does not vary, which needs no test."""
    if scores.fact and scores.check.max_drop is not None and not scores.is_tolerated(scores.at(None)):
        return Progress(state="regressed", p_adjusted=0.0)
    return Progress()


def _test(
    both: Sequence[tuple[Progress, PairedScores]], looks: Looks, look: int | None, *, share: float, seed: int
) -> None:
    """Hold the checks not called yet against their baselines, and all against each other (Holm)."""
    for progress, scores in both:
        if progress.state in _TESTED and not _can_clear(scores, look):
            progress.last = scores.p_value(scores.at(look), seed=seed)
            progress.p_value = min(progress.p_value, progress.last / looks.part(look))
    adjusted = adjust_holm([progress.p_value for progress, _ in both])
    for (progress, _), p_value in zip(both, adjusted, strict=True):
        if progress.state in _TESTED:
            progress.p_adjusted = min(1.0, p_value / share)


def _can_clear(scores: PairedScores, look: int | None) -> bool:
    """Whether the observed drop is tolerated at one of several looks, so that no call is due."""
    return bool(look and scores.check.max_drop) and scores.is_tolerated(scores.at(look))


def _decide(  # noqa: PLR0913 - a check at a look, and what it is held to
    progress: Progress,
    scores: PairedScores,
    looks: Looks,
    look: int | None,
    *,
    level: float,
    final: float,
    seed: int,
) -> None:
    values = scores.at(look)
    if looks.is_tested(look) and progress.p_adjusted <= 1 - level and _is_beyond(scores, values, seed):
        progress.state = "regressed" if looks.is_fixed else "called"
    elif progress.state == "cleared":
        return
    elif look is not None and _is_cleared(progress, scores, looks, look, final):
        progress.state = "cleared"
    progress.look = look


def _is_beyond(scores: PairedScores, values: Values, seed: int, most: float | None = None) -> bool:
    """Whether the drop is larger than what is tolerated, and not by chance."""
    if scores.is_tolerated(values):
        return False
    if not scores.check.max_drop:
        return True
    few = len(set(scores.units)) < FEWEST
    return scores.excess_p_value(values, seed=seed) <= (most or (BEYOND_OF_FEW if few else BEYOND))


def _is_cleared(progress: Progress, scores: PairedScores, looks: Looks, look: int, final: float) -> bool:
    if scores.check.max_drop is None:
        return _is_futile(progress, looks, look, final)
    if look == 1:  # one repeat clears half of what did not change, and hardly anything that did
        return scores.drop(scores.at(look)) <= 0
    return scores.is_tolerated(scores.at(look))


def _is_futile(progress: Progress, looks: Looks, look: int, final: float) -> bool:
    """Whether the next test has no fair chance to call a check that no `max_drop` says enough about."""
    later = [each for each in looks.tested if each > look]
    if not later or not looks.is_tested(look):
        return not later
    bound = final * looks.part(later[0])
    return conditional_power(progress.last, look / later[0], bound) < _FAIR_CHANCE


def _confirm(progress: Progress, scores: PairedScores, looks: Looks, seed: int) -> None:
    """Hold a called drop against repeats that were made after the call."""
    start = progress.look or 0
    if looks.done < start + looks.fresh:
        progress.wants = start + looks.fresh
        return
    fresh = scores.at(start + looks.fresh, start)
    again = not looks.fresh or (
        scores.p_value(fresh, seed=seed) <= CONFIRM and _is_beyond(scores, fresh, seed, CONFIRM_BEYOND)
    )
    progress.state = "regressed" if again else "refuted"
