"""Suite checks that watch for a drop and could never call one, in an app whose answers vary."""

from __future__ import annotations

from pytest_llmops.bounds import describe_check
from pytest_llmops.gates.error_budget import SUITE_SHARE
from pytest_llmops.printable import counted
from pytest_llmops.records import Golden
from pytest_llmops.statistics.summaries import LINEAR

_BUDGET = 0.05
_ALONE = 2  # units that have a spread


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
