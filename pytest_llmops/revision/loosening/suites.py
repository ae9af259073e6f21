"""What a change made easier to pass of the checks over all cases of a golden file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pytest_llmops.bounds import bound_of, is_bound_as_strict
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.paired_runs import find_scale
from pytest_llmops.printable import printable
from pytest_llmops.records import Golden, SuiteCheck
from pytest_llmops.revision.loosening.fields import looser_fields
from pytest_llmops.revision.loosening.listing import show_check, show_drop, show_field, show_options
from pytest_llmops.revision.loosening.record import Loosening
from pytest_llmops.revision.loosening.strictness import has_same_options

_COMPARED = {"metric", "statistic", "comparison", "threshold", "max_drop", "options"}


def compare_suite_checks(was: SuiteCheck, old: Golden, new: Golden) -> Iterator[Loosening]:
    """What became of one check of the old file in the new one; what was only recorded asked for nothing."""
    if was.record_only:
        return
    name = printable(f"{was.metric} {was.statistic}")
    loosened = partial(Loosening, place=old.path)
    alike = [each for each in new.suite if each.metric == was.metric]
    now = next((each for each in alike if each.statistic == was.statistic), None)
    if now is None:
        had = {each.statistic for each in old.suite if each.metric == was.metric}
        instead = [each for each in alike if each.statistic not in had]
        what = f"the suite is no longer judged by {name}"
        yield loosened(
            what=what, before=show_check(was), after=" and ".join(show_check(each) for each in instead)
        )
        return
    if not has_same_options(was.metric, now.options, was.options):
        what = f"the suite is judged by {name} with other options: {show_options(now.options, was.options)}"
        yield loosened(what=what)
    elif (bound := bound_of(was)) and not ((kept := bound_of(now)) and is_bound_as_strict(kept, bound)):
        what = f"the suite's bound on {name} is laxer"
        yield loosened(what=what, before=show_check(was), after=show_check(now))
    if _tolerates_more(now, was):
        what = f"the suite tolerates a larger drop of {name}"
        yield loosened(what=what, before=show_drop(was), after=show_drop(now))
    for changed in looser_fields(was, now, _COMPARED):
        what = f"{changed.name} of the suite's {name} changed"
        yield loosened(what=what, **show_field(changed))


def _tolerates_more(now: SuiteCheck, was: SuiteCheck) -> bool:
    """
    Whether a drop from the baseline passes that did not.

    Without `max_drop` a bounded metric may not drop at all, but a drop that cannot be ruled out passes,
    and no other metric is watched. So either step can loosen.
    """
    if was.max_drop is not None:
        return now.max_drop is None or now.max_drop > was.max_drop
    if not now.max_drop:
        return False
    try:
        return find_scale(now.metric, now.options).bounded
    except LLMOpsError:
        return True
