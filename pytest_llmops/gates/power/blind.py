"""
What could never turn red: suite checks for a drop that nothing could prove, cases without a check, and
keywords that the question has already.
"""

from __future__ import annotations

from pytest_llmops.bounds import describe_check, holds
from pytest_llmops.gates.error_budget import SUITE_SHARE
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import Case, Golden, Output, Sample, Score
from pytest_llmops.registry import create_metric
from pytest_llmops.statistics.summaries import LINEAR

_BUDGET = 0.05
_ALONE = 2  # units that have a spread
_NAMED = 5


def describe_blind(golden: Golden) -> list[str]:
    """
    A sentence, with its place, for each suite check whose `max_drop` no drop could be proved to exceed.

    A mean or a sum of two units has a spread and can be called, if only by a large drop. Other statistics are
    tested by exchanging units, of which so many have only 2 to the power of their number.
    """
    units = len({case.group or f"::{case.id}" for case in golden.cases})
    watched = [check for check in golden.suite if check.max_drop is not None]
    lines = []
    for check in watched:
        bound = SUITE_SHARE * _BUDGET / len(watched)
        linear = check.statistic in LINEAR
        if units >= _ALONE if linear else 2.0**-units <= bound:
            continue
        of_what = "case" if units == len(golden.cases) else "group"
        sentence = (
            f"{describe_check(check)}: {counted(units, of_what)} cannot prove a drop of an app that "
            f"varies, so that max_drop {check.max_drop:g} would never turn red; add cases"
        )
        lines.append(f"{golden.path}:{golden.suite_lines.get(check.metric, 1)}: {sentence}")
    return lines


def describe_unchecked(golden: Golden) -> list[str]:
    """A sentence, with its place, on cases that nothing can fail; the run says it where all are such."""
    unchecked = [case for case in golden.cases if not case.checks]
    if not unchecked or golden.suite or len(unchecked) == len(golden.cases):
        return []
    line = source.line if (source := unchecked[0].source) else 1
    cases = counted(len(unchecked), "case")
    named = name_some([case.id for case in unchecked], _NAMED)
    sentence = f"{cases} without a check would pass whatever the app answers; give one, or remove the case"
    return [f"{golden.path}:{line}: {sentence}: {named}"]


def describe_echoes(golden: Golden) -> list[str]:
    """A sentence, with its place, on questions that pass their own `keywords`."""
    echoing = [case for case in golden.cases if _passes_itself(case)]
    if not echoing:
        return []
    line = source.line if (source := echoing[0].source) else 1
    named = name_some([case.id for case in echoing], _NAMED)
    sentence = (
        "an answer that only repeats the question would pass keywords; require a word that the question does "
        "not have"
    )
    return [f"{golden.path}:{line}: {sentence}: {named}"]


def _passes_itself(case: Case) -> bool:
    if not isinstance(case.input, str) or not case.input.rstrip().endswith("?"):
        return False
    for check in case.checks:
        if check.metric != "keywords" or check.record_only or not {"all", "any"} & check.options.keys():
            continue
        (result,) = create_metric(check.metric, check.options).score([Sample(output=Output(text=case.input))])
        if isinstance(result, Score) and holds(result.value, check):
            return True
    return False
