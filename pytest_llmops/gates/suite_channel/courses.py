"""
The course of suite checks over the looks at a run: cleared, or called and confirmed on fresh repeats.

The planner of repeats and the verdict follow the same course from the same repeats, so that what was asked
for is what is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pytest_llmops.gates.looks import Looks
from pytest_llmops.gates.suite_channel.paired_scores import PairedScores, Values
from pytest_llmops.statistics.alpha_spending import conditional_power
from pytest_llmops.statistics.multiplicity import adjust_holm

State = Literal["open", "cleared", "called", "refuted", "regressed"]

CONFIRM = 0.05
"""What the p-value of fresh repeats must not exceed to confirm a drop that was called before."""

BEYOND = 0.02
"""What the p-value of a drop beyond `max_drop` must not exceed: a smaller true one is no regression."""

CONFIRM_BEYOND = 0.2
"""The same of the fresh repeats alone, which are few."""

_FAIR_CHANCE = 0.3
_TESTED = frozenset({"open", "cleared"})


@dataclass(slots=True)
class Course:
    """
    Where a check stands.

    Attributes:
        state: `cleared` asks for no repeats, but is called if those that others asked for prove a drop;
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


def follow(
    watched: Sequence[PairedScores], looks: Looks, *, share: float, level: float, seed: int = 0
) -> list[Course]:
    """
    The course of each check that watches for a drop.

    Args:
        share: Of the error budget, for these checks together.
        level: One minus that budget.
    """
    courses = [_begin(found) for found in watched]
    both = list(zip(courses, watched, strict=True))
    for look in looks.taken:
        if looks.is_tested(look):
            _test(both, looks, look, share=share, seed=seed)
        for course, found in both:
            if course.state in _TESTED:
                final = share * (1 - level) / len(watched)
                _decide(course, found, looks, look, level=level, final=final, seed=seed)
    for course, found in both:
        if course.state == "called":
            _confirm(course, found, looks, seed)
        elif course.state == "open":
            course.wants = looks.next_after(looks.done)
    return courses


def _begin(found: PairedScores) -> Course:
    """Open, but for a drop beyond `max_drop` of an app that does not vary, which needs no test."""
    if found.fact and found.check.max_drop is not None and not found.is_tolerated(found.at(None)):
        return Course(state="regressed", p_adjusted=0.0)
    return Course()


def _test(
    both: Sequence[tuple[Course, PairedScores]], looks: Looks, look: int | None, *, share: float, seed: int
) -> None:
    """Hold the checks not called yet against their baselines, and all against each other (Holm)."""
    for course, found in both:
        if course.state in _TESTED and not _can_clear(found, look):
            course.last = found.p_value(found.at(look), seed=seed)
            course.p_value = min(course.p_value, course.last / looks.part(look))
    adjusted = adjust_holm([course.p_value for course, _ in both])
    for (course, _), p_value in zip(both, adjusted, strict=True):
        if course.state in _TESTED:
            course.p_adjusted = min(1.0, p_value / share)


def _can_clear(found: PairedScores, look: int | None) -> bool:
    """Whether the observed drop is tolerated at one of several looks, so that no call is due."""
    return bool(look and found.check.max_drop) and found.is_tolerated(found.at(look))


def _decide(  # noqa: PLR0913 - a check at a look, and what it is held to
    course: Course,
    found: PairedScores,
    looks: Looks,
    look: int | None,
    *,
    level: float,
    final: float,
    seed: int,
) -> None:
    values = found.at(look)
    if looks.is_tested(look) and course.p_adjusted <= 1 - level and _is_beyond(found, values, seed):
        course.state = "regressed" if looks.is_fixed else "called"
    elif course.state == "cleared":
        return
    elif look is not None and _is_cleared(course, found, looks, look, final):
        course.state = "cleared"
    course.look = look


def _is_beyond(found: PairedScores, values: Values, seed: int, most: float = BEYOND) -> bool:
    """Whether the drop is larger than what is tolerated, and not by chance."""
    if found.is_tolerated(values):
        return False
    return not found.check.max_drop or found.excess_p_value(values, seed=seed) <= most


def _is_cleared(course: Course, found: PairedScores, looks: Looks, look: int, final: float) -> bool:
    if found.check.max_drop is None:
        return _is_futile(course, looks, look, final)
    if look == 1:  # one repeat clears half of what did not change, and hardly anything that did
        return found.drop(found.at(look)) <= 0
    return found.is_tolerated(found.at(look))


def _is_futile(course: Course, looks: Looks, look: int, final: float) -> bool:
    """Whether the next test has no fair chance to call a check that no `max_drop` says enough about."""
    later = [each for each in looks.tested if each > look]
    if not later or not looks.is_tested(look):
        return not later
    bound = final * looks.part(later[0])
    return conditional_power(course.last, look / later[0], bound) < _FAIR_CHANCE


def _confirm(course: Course, found: PairedScores, looks: Looks, seed: int) -> None:
    """Hold a called drop against repeats that were made after the call."""
    start = course.look or 0
    if looks.done < start + looks.fresh:
        course.wants = start + looks.fresh
        return
    fresh = found.at(start + looks.fresh, start)
    again = not looks.fresh or (
        found.p_value(fresh, seed=seed) <= CONFIRM and _is_beyond(found, fresh, seed, CONFIRM_BEYOND)
    )
    course.state = "regressed" if again else "refuted"
