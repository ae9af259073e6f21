"""
Golden files of a change, with cases of its target and checks of its merge base.

A change that began before a case was added would otherwise never be asked it. And a check whose options were
edited is asked as it was too, which needs no proof that the new one is as strict.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.golden.identity import file_of
from pytest_llmops.metrics.declared_metric import DeclaredMetric
from pytest_llmops.records import Case, CaseResult, Check, Golden, Run, SuiteCheck
from pytest_llmops.registry import create_metric, metric_factory, metric_options, register_metric, split_turn
from pytest_llmops.revision.loosening import Loosening, list_looser_keys

_Item = TypeVar("_Item", Case, SuiteCheck)

_QUESTION = ("input", "turns", "user", "history", "attached")
_PARTS = 2
"""Parts of a signature, at `|`, from which on options are among them: `name|version|options`."""

_OF_THE_CHANGE = {
    "path",
    "cases",
    "suite",
    "suite_lines",
    "sha256",
    "app",
    "rival",
    "prompts",
    "data",
    "anchors",
    "table",
}
"""The app and its files are those that the change has: the target's may not be there at all."""


def merge_target(
    old: Sequence[Golden], now: Sequence[Golden], target: Sequence[Golden], *, run: Sequence[str]
) -> tuple[tuple[Golden, ...], tuple[str, ...]]:
    """
    Add to the golden files of a change the cases, checks and keys that its target added or changed since.

    Where both changed one check, both are asked. Cases that the target removed stay.

    Args:
        old: Where the change began.
        now: Those of the change.
        target: Those of the revision that it is compared with, as they are by now.
        run: Paths of those files of the target that this run is about.

    Returns:
        The files to run; and the additions, as people name them: item ids, and suite checks of a file.
    """
    before = {golden.path: golden for golden in old}
    theirs = {golden.path: golden for golden in target}
    merged, carried = [], list[str]()
    for golden in now:
        base = before.get(golden.path) or replace(golden, cases=(), suite=())
        result = _merge_file(base, golden, theirs.get(golden.path, base))
        merged.append(result)
        own = {case.id: case for case in golden.cases}
        names = [case.id for case in result.cases if own.get(case.id) != case]
        suite = dict.fromkeys(check.metric for check in result.suite if check not in golden.suite)
        carried += [f"{golden.path}::{name}" for name in (*names, *(f"suite[{metric}]" for metric in suite))]
    known = {*before, *(golden.path for golden in now)}
    added = [path for path in run if path in theirs and path not in known]
    return (*merged, *(theirs[path] for path in added)), (*carried, *added)


def _merge_file(base: Golden, ours: Golden, theirs: Golden) -> Golden:
    sides = (base, ours, theirs)
    cases = ({case.id: case for case in golden.cases} for golden in sides)
    suites = ({(check.metric, check.statistic): check for check in golden.suite} for golden in sides)
    return replace(
        ours,
        **_take_changed(*sides, _OF_THE_CHANGE),
        cases=tuple(_merge(cases, _merge_case)),
        suite=tuple(_merge(suites, _choose_check)),
        suite_lines={**theirs.suite_lines, **ours.suite_lines},
    )


def _take_changed(base: Any, ours: Any, theirs: Any, apart: Collection[str]) -> dict[str, Any]:
    """The keys of the target that the change left as they were."""
    return {
        key.name: getattr(theirs, key.name)
        for key in fields(base)
        if key.name not in apart and getattr(ours, key.name) == getattr(base, key.name)
    }


def _merge(
    sides: Iterable[Mapping[Any, _Item]], resolve: Callable[[_Item, _Item, _Item], _Item]
) -> Iterator[_Item]:
    """
    Each item of the change or, where only the target changed it, the target's; then those that it added.

    Args:
        resolve: Makes one of an item that both changed, or added.
    """
    base, ours, theirs = sides
    for place, own in ours.items():
        before, after = base.get(place), theirs.get(place)
        if after is None or _bare(after) in (_bare(before), _bare(own)):
            yield own
        elif _bare(own) == _bare(before):
            yield after
        else:
            yield resolve(before or own, own, after)
    yield from (item for place, item in theirs.items() if place not in ours and place not in base)


def _bare(item: Any) -> Any:
    """The item without its line, which moves with everything above it."""
    return replace(item, source=None) if isinstance(item, Case) else item


def _merge_case(base: Case, ours: Case, theirs: Case) -> Case:
    """
    Each key by whoever changed it, and the checks of both. Of a metric with unlike options only the target's
    checks, since that is how the case is scored once merged.
    """
    taken = _take_changed(base, ours, theirs, {"checks", "source", *_QUESTION})
    if all(getattr(ours, key) == getattr(base, key) for key in _QUESTION):
        taken |= {key: getattr(theirs, key) for key in _QUESTION}
    added = [check for check in theirs.checks if not any(_is_as_strict(own, check) for own in ours.checks)]
    options = {check.metric: check.options for check in added}
    own = [check for check in ours.checks if options.get(check.metric, check.options) == check.options]
    turns = len(taken.get("turns", ours.turns))
    checks = (check for check in (*own, *added) if split_turn(check.metric)[0] <= turns)
    return replace(ours, **taken, checks=tuple(checks))


def _choose_check(_: SuiteCheck, ours: SuiteCheck, theirs: SuiteCheck) -> SuiteCheck:
    """The target's, unless the other is as strict: a statistic has one verdict."""
    return ours if theirs.record_only or _is_as_strict(ours, theirs) else theirs


def _is_as_strict(new: Check | SuiteCheck, old: Check | SuiteCheck) -> bool:
    return new.metric == old.metric and not list_looser_keys(old, new)


AS_BEFORE = " (merge base)"
"""The end of a metric's name where it has the options that it had at the merge base."""


def ask_as_before(
    goldens: Sequence[Golden], old: Sequence[Golden], base: Run | None, edits: Iterable[Loosening]
) -> tuple[tuple[Golden, ...], Run | None, list[Loosening]]:
    """
    Add the old checks of metrics whose options were edited, under names that end in `AS_BEFORE`.

    All checks of the metric in the file are added, since the bound on a mean is on the mean of all cases.

    Args:
        goldens: The files of the run.
        old: Those of the merge base, with the means that they watch.
        edits: Loosenings of a change that have a `metric`.

    Returns:
        The files to run; the baseline, which has the scores of the metric under its new name too; and the
        edits that loosen nothing by that. The others cannot be asked as before: their file is not run, their
        metric cannot be made, or a metric of the suite reads the edited checks.
    """
    before = {golden.path: golden for golden in old}
    running = {golden.path for golden in goldens}
    metrics, asked = defaultdict[str, set[str]](set), list[Loosening]()
    for edit in edits:
        path = file_of(edit.case) if edit.case else edit.place
        if path in running and (edit.metric in metrics[path] or _register(edit.metric, before[path])):
            metrics[path].add(edit.metric)
            asked.append(edit)
    with_old = tuple(
        _add_checks(golden, before[golden.path], metrics[golden.path]) if metrics[golden.path] else golden
        for golden in goldens
    )
    if base is not None:
        results = (_lend_scores(result, metrics[file_of(result.case)]) for result in base.results)
        base = replace(base, results=tuple(results))
    return with_old, base, asked


def _register(metric: str, old: Golden) -> bool:
    """Make the metric known under its further name, if it can be made as each old case has it."""
    if {"@", ":"} & {*metric}:  # the name sets an option
        return False
    try:
        # Such a metric reads other checks of the case by their names, and would read the edited ones.
        if any(_reads_checks(name) for name in {metric, *(check.metric for check in old.suite)}):
            return False
        register_metric(f"{metric}{AS_BEFORE}", metric_factory(metric))
        for case in old.cases:
            for check in case.checks:
                if check.metric == metric:
                    create_metric(f"{metric}{AS_BEFORE}", check.options)
    except LLMOpsError:
        return False
    return True


def _reads_checks(metric: str) -> bool:
    own = getattr(metric_factory(metric), "of_case", DeclaredMetric.of_case)
    return own is not DeclaredMetric.of_case


def _add_checks(golden: Golden, old: Golden, metrics: Collection[str]) -> Golden:
    def as_before(checks: Iterable[Any]) -> list[Any]:
        # The key `passages` of a file is an option of metrics that take it.
        passages = {"passages": old.passages} if old.passages else {}
        return [
            replace(
                check,
                metric=f"{check.metric}{AS_BEFORE}",
                options={**(passages if "passages" in metric_options(check.metric) else {}), **check.options},
            )
            for check in checks
            if check.metric in metrics
        ]

    checks = {case.id: as_before(case.checks) for case in old.cases}
    return replace(
        golden,
        cases=tuple(replace(case, checks=(*case.checks, *checks.get(case.id, ()))) for case in golden.cases),
        suite=(*golden.suite, *as_before(old.suite)),
    )


def _lend_scores(result: CaseResult, metrics: Collection[str]) -> CaseResult:
    """
    Give the scores of edited checks to the old ones.

    The edited ones keep those that no option of theirs is in the signature of; others cannot be compared.
    """
    edited = [score for score in result.scores if score.metric in metrics]
    made_otherwise = [score for score in edited if score.signature.count("|") >= _PARTS]
    kept = (score for score in result.scores if score not in made_otherwise)
    lent = (replace(score, metric=f"{score.metric}{AS_BEFORE}") for score in edited)
    return replace(result, scores=(*kept, *lent)) if edited else result


def has_old_checks(run: Run) -> bool:
    """Return whether checks as they were at a merge base scored cases of a run."""
    return any(name.endswith(AS_BEFORE) for name in run.signature)


def leave_out_old_checks(run: Run) -> Run:
    """Return the run as it is accepted into a baseline, with the checks of its own golden files only."""

    def own(items: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(item for item in items if not item.metric.endswith(AS_BEFORE))

    def bare(result: CaseResult) -> CaseResult:
        return replace(
            result,
            scores=own(result.scores),
            failures=own(result.failures),
            checks=own(result.checks),
            rival=result.rival and bare(result.rival),
        )

    return replace(
        run,
        signature={name: value for name, value in run.signature.items() if not name.endswith(AS_BEFORE)},
        results=tuple(map(bare, run.results)),
        suite={path: own(checks) for path, checks in run.suite.items()},
    )
