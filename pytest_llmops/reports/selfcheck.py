"""A self-check as `llmops selfcheck` shows it, and its one line in the summary of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmops.gates.paired_runs import Chance
from pytest_llmops.gates.selfcheck import Recorded, SelfCheck, find_suite, sort_cases
from pytest_llmops.gates.suite_channel.detectable_drops import (
    RECORD,
    DetectableDrop,
    find_detectable_drops,
    find_scored,
)
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import Run, SuiteCheck
from pytest_llmops.reports.document import Document, Notes, Table
from pytest_llmops.reports.terminal import count_named

VERSION = 1
_IN_LINE = 4
_CAPTION = "a drop here is one that all cases share, seen in four of five runs"
_FACT = "three alike new repeats tell that a case no longer holds its check, and that is a fact"


def selfcheck_json(check: SelfCheck) -> dict[str, Any]:
    """The self-check as JSON values; every number is finite, and an unknown one is null."""
    alarms = check.false_alarms
    return {
        "version": VERSION,
        "level": check.level,
        "repeats": check.repeats,
        "false_alarms": None
        if alarms is None
        else {"rate": alarms.rate, "low": alarms.low, "high": alarms.high, "runs": alarms.runs},
        "checks": [
            {"check": drop.check, "smallest_drop": drop.smallest_drop, "advice": drop.advice}
            for drop in check.checks
        ],
        "cases": {
            "varying": list(check.cases.varying),
            "steady": list(check.cases.steady),
            "single": list(check.cases.single),
            "deviations": None
            if (deviations := check.cases.deviations) is None
            else {
                "deviating": deviations.deviating,
                "repeats": deviations.repeats,
                "high": deviations.high,
            },
            "unscored": list(check.unscored),
            "left_out": check.cases.left_out,
        },
        "broken_case": check.broken_case,
    }


def selfcheck_document(check: SelfCheck) -> Document:
    """A row a check with the drop it sees, then the repeats of the cases, then the false alarms."""
    blocks: list[Table | Notes] = []
    if check.checks:
        head = ("check", f"sees a drop of, with {counted(check.repeats, 'new repeat')}", "advice")
        blocks.append(Table(head=head, rows=list(map(_row, check.checks))))
    caption = [_CAPTION] if check.checks else []
    return Document(blocks=[*blocks, Notes(items=[*caption, *_cases(check), _alarms(check)])])


def selfcheck_line(
    base: Run,
    suite: Mapping[str, Sequence[SuiteCheck]] | None = None,
    *,
    repeats: int = 1,
    most: int = 0,
) -> str:
    """
    `baseline: 61 cases, 3 vary; with 1 new repeat this gate sees a drop of 0.07 in recall@5`.

    Args:
        suite: Golden file to its suite checks; by default the mean of each bounded metric.
        repeats: How often the new run runs each case.
        most: The limit of `auto`, where `repeats` are those of the last look; 0 where their number is fixed.
    """
    results, _ = find_scored(base.results)
    if not results:
        return f"baseline: no case was scored; {RECORD}"
    chance = Chance(results)
    cases = sort_cases(results, chance)
    text = f"baseline: {counted(cases.count, 'case')}, {_vary(cases)}"
    if len(cases.single) == cases.count:
        return f"{text}; {RECORD}"
    if cases.app_is_steady:
        return text
    known = base.suite if suite is None else suite
    drops = find_detectable_drops(
        find_suite(known, results, chance), results, repeats=repeats, steady=False, most=most
    )
    seen = [drop for drop in drops if drop.smallest_drop is not None]
    unseen = next((drop.advice for drop in drops if drop.smallest_drop is None), "nothing is watched")
    with_repeats = f"with {counted(repeats, 'new repeat')} this gate sees"
    if not seen:
        return f"{text}; {with_repeats} no drop: {printable(unseen)}"
    named = name_some([f"{_drop(drop)} in {_name(drop, drops)}" for drop in seen], _IN_LINE)
    return f"{text}; {with_repeats} a drop of {named}"


def _row(drop: DetectableDrop) -> tuple[str, ...]:
    smallest = "-" if drop.smallest_drop is None else _drop(drop)
    return drop.check, smallest, drop.advice


def _drop(drop: DetectableDrop) -> str:
    return f"{drop.smallest_drop:.2g}" if drop.smallest_drop else "any size"


def _name(drop: DetectableDrop, among: Sequence[DetectableDrop]) -> str:
    """Return the metric where only one check is about it, else the check."""
    alone = sum(other.metric == drop.metric for other in among) == 1
    return printable(drop.metric if alone else drop.check)


def _cases(check: SelfCheck) -> list[str]:
    cases = check.cases
    lines = [f"{counted(cases.count, 'case')}: {count_named(cases.varying, 'vary')}"]
    if cases.steady:
        lines.append(f"  {len(cases.steady)} gave the same in all repeats")
    if cases.single:
        lines.append(
            f"  {count_named(cases.single, 'with one repeat')}; whether they vary is unknown: {RECORD}"
        )
    if cases.left_out:
        lines.append(
            f"  {counted(cases.left_out, 'repeat')} left out: copies that a cache answered, which show no "
            "variation; turn the cache off for golden runs"
        )
    if check.unscored:
        lines.append(f"  {count_named(check.unscored, 'not scored and left out')}")
    if (deviations := cases.deviations) is not None:
        repeats = counted(deviations.repeats, "further repeat")
        lines.append(
            f"{deviations.deviating} of {repeats} deviate from their case's most frequent answer: "
            f"at most {_percent(deviations.high)} of all calls do"
        )
    if cases.app_is_steady:
        lines.append(f"no repeat differs: {_FACT}")
    elif check.broken_case is None:
        lines.append("no allowed number of repeats can single out one broken case")
    else:
        lines.append(
            f"a single case that breaks is named after {counted(check.broken_case, 'new repeat')} of it; "
            "--llm-repeats auto asks that of suspects alone"
        )
    return lines


def _alarms(check: SelfCheck) -> str:
    """Describe the rate, and that it is more than the gate allows itself only where that is sure."""
    alarms, allowed = check.false_alarms, 1 - check.level
    if alarms is None:
        return f"false alarms: not known, since no case has two repeats; {RECORD}"
    if not alarms.runs:
        return "false alarms: none among these repeats, since no half differs from another"
    text = (
        f"false alarms: {round(alarms.rate * alarms.runs)} of {counted(alarms.runs, 'pair')} of halves, "
        f"{_percent(alarms.rate)} ({_percent(alarms.low)} … {_percent(alarms.high)}); "
        f"the gate allows itself {_percent(allowed)}"
    )
    return f"{text}, and this is more: {RECORD}" if alarms.low > allowed else text


def _vary(cases: Recorded) -> str:
    text = f"{len(cases.varying) or 'none'} var{'ies' if len(cases.varying) < 2 else 'y'}"  # noqa: PLR2004
    if not cases.varying and cases.single:
        return f"{len(cases.single)} with one repeat"
    return text + (f", {len(cases.single)} with one repeat" if cases.single else "")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
