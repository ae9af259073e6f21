"""
The gate of a change compared with the one that it began from: everything that became easier to pass.

Settings, golden files, cases and checks are compared key by key. A key that differs is listed, unless
`_STRICTER` has a rule by which its new value asks for no less. A key that is new to this package has no rule,
so it is watched from the day it is a field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pytest_llmops.bounds import bound_of, describe_check, format_bound, format_number, is_bound_as_strict
from pytest_llmops.detect.mask import mask
from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.case_results import answer_digests, signatures, values_by_metric
from pytest_llmops.gates.comparison import compare
from pytest_llmops.gates.paired_runs import Chance, Scales, find_scale, have_same_input
from pytest_llmops.gates.suite_channel.verdicts import decided_metrics
from pytest_llmops.golden.identity import case_id, file_of, input_hash
from pytest_llmops.golden.reviews import Review, extends
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import GAIN, Bound, Case, CaseResult, Check, Golden, Run, SuiteCheck, XFail
from pytest_llmops.registry import create_metric, find_traits
from pytest_llmops.settings import REVISION, Settings
from pytest_llmops.statistics.summaries import calculate

_PROJECT = "pyproject.toml"
_LONGEST = 60
_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFiles:
    """
    The files that decide on a run, on one side of a change.

    Attributes:
        goldens: Every golden file, whatever was selected to run.
        baseline: None where nothing was accepted yet.
        settings: Those of the project's files, without flags.
        settings_file: The file besides `pyproject.toml` that has settings; empty for none.
        addopts: The flags that pytest's own settings give to every run, such as `-k`.
        addopts_file: The file that has them; empty for none.
    """

    goldens: Sequence[Golden] = ()
    baseline: Run | None = None
    reviews: tuple[Review, ...] = ()
    settings: Settings = field(default_factory=Settings)
    settings_file: str = ""
    addopts: Sequence[str] = ()
    addopts_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """
    One thing that a change made easier to pass.

    Attributes:
        place: `golden/support.yaml:19` where it still is, else the file.
        case: The item's id; None for a key of no case.
        what: For people, on one line and printable. It holds no input, reference or option of a case.
        before: The check, number or word of the merge base; empty where `what` is enough.
        after: Its counterpart in the change.
        digest: Of what is there now, where `after` does not show all of it: an approval is of this content.
        metric: The metric whose options changed, where nothing else did: if the old check is run too, nothing
            is loosened. Of a file with code of metrics, their names.
    """

    place: str
    case: str | None = None
    what: str
    before: str = ""
    after: str = ""
    digest: str = ""
    metric: str = ""

    @property
    def text(self) -> str:
        """The item on one line, as it is printed, and as an approval names it."""
        path, _, name = (self.case or "").rpartition("::")
        case = name if path in {self.place, self.place.rpartition(":")[0]} else self.case
        where = ": ".join(printable(part) for part in (self.place, case) if part)
        before = f"before: {self.before}" if self.before else ""
        after = f"now: {self.after}" if self.after else ""
        digest = f"sha256 {self.digest}" if self.digest else ""
        values = ", ".join(printable(part) for part in (before, after, digest) if part)
        return f"{where}: {printable(self.what)}{f' ({values})' if values else ''}"


def digest_of(content: object) -> str:
    """Return 16 hex digits of the SHA-256 of bytes, or of how Python shows another value."""
    return sha256(content if isinstance(content, bytes) else repr(content).encode()).hexdigest()[:_DIGITS]


def list_loosened(
    old: GateFiles, new: GateFiles, run: Settings, *, selection: str = "", further: Iterable[Loosening] = ()
) -> tuple[Loosening, ...]:
    """
    Return all that a change loosened, by file, line and case.

    Args:
        run: The settings of the run. Its flags hold for both sides.
        selection: The expression of tags by which the run chooses its cases.
        further: Those of other files, to be sorted in.
    """
    items = [*_compare_goldens(old, new, run, selection), *list_rewritten(old, new, run.accepted), *further]
    place = new.settings_file or old.settings_file or _PROJECT
    items += _list_keys(Loosening(place=place, what="the setting "), old.settings, new.settings, show=True)
    if old.addopts != new.addopts:
        what = "pytest's addopts changed, which may leave cases out"
        place = new.addopts_file or _PROJECT
        items.append(Loosening(place=place, what=what, digest=digest_of(new.addopts)))
    if not extends(old.reviews, new.reviews):
        what = "the log of reviews is not the old one, continued"
        items.append(Loosening(place=run.reviews, what=what, digest=digest_of(new.reviews)))
    return tuple(sorted(dict.fromkeys(items), key=_order))  # both sides of a check change together


def _order(item: Loosening) -> tuple[str, int, str, str]:
    path, _, line = item.place.rpartition(":")
    place = (path, int(line)) if line.isdecimal() else (item.place, 0)
    return (*place, item.case or "", item.what)


# Keys, and when their new value is known to be stricter.

UNWATCHED: Mapping[type, frozenset[str]] = {
    Settings: frozenset(
        {
            "root",
            "flagged",
            "golden",
            "out",
            "concurrency",
            "export",
            "metrics",
            "prices",
            "runs_on",
        }
    ),
    Golden: frozenset({"path", "cases", "suite", "sha256", "runs_on", "table"}),
    Case: frozenset({"id", "checks", "source", "description", "metadata"}),
    Check: frozenset({"metric", "comparison", "threshold"}),
    SuiteCheck: frozenset({"metric", "statistic", "comparison", "threshold"}),
}
"""Fields that decide nothing, or that are compared otherwise: golden files that the setting no longer names
are removed ones, metrics are compared by their code, prices of the merge base count, and `comparison` and
`threshold` are one key, `bound`."""


class Key(NamedTuple):
    """One key of a record with both of its values."""

    name: str
    before: Any
    after: Any


def list_looser_keys(old: Any, new: Any) -> list[Key]:
    """Return the keys of two records of one class that differ and are not known to be stricter."""
    before, after = _keys(old), _keys(new)
    keys = (Key(name, value, after[name]) for name, value in before.items() if _differ(value, after[name]))
    return [key for key in keys if not _is_as_strict(key, old)]


def _differ(before: Any, after: Any) -> bool:
    """To Python 1 and True are equal, and to JSON they are not."""
    return bool(before != after) or (isinstance(before, Mapping) and repr(before) != repr(after))


def _keys(record: Any) -> dict[str, Any]:
    unwatched = UNWATCHED.get(type(record), ())
    keys = {field.name: getattr(record, field.name) for field in fields(record) if field.compare}
    keys = {name: value for name, value in keys.items() if name not in unwatched}
    if isinstance(record, Check | SuiteCheck):
        keys["bound"] = bound_of(record)
    if isinstance(record, Case):
        keys["input"] = json.dumps(record.input, sort_keys=True)  # to Python 1 and True are equal
    return keys


def _is_as_strict(key: Key, old: Any) -> bool:
    if key.name == "options":
        return _has_same_options(old.metric, key.after, key.before)
    if key.name == "max_drop" and isinstance(old, SuiteCheck) and key.before is None and not _is_bounded(old):
        return True  # without it a mean of seconds or dollars is not watched at all
    rule = _STRICTER.get(key.name)
    return rule is not None and rule(key.before, key.after)


def _has_same_options(metric: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Options mean the same where one side writes out a default."""
    try:
        one, other = create_metric(metric, new), create_metric(metric, old)
    except LLMOpsError:  # an unknown metric, or an option that it refuses
        return False
    return one == other and repr(one) == repr(other)  # 1 equals True, and some options are not shown


def _is_bounded(check: SuiteCheck) -> bool:
    try:
        return find_scale(check.metric, check.options).bounded
    except LLMOpsError:
        return True


def _ranked(*order: str) -> Callable[[Any, Any], bool]:
    """The rule of words, from the laxest to the strictest. Other values are laxer than the last."""
    return lambda before, after: (
        after == order[-1]
        or (before in order and after in order and order.index(after) > order.index(before))
    )


def _is_larger(before: Any, after: Any) -> bool:
    return isinstance(before, int | float) and isinstance(after, int | float) and after > before


def _keeps_all(before: Iterable[str], after: Iterable[str]) -> bool:
    return set(before) <= set(after)


def _covers_all(before: Iterable[str], after: Iterable[str]) -> bool:
    """Each path is still named, or is below one that is."""
    return all(any(PurePosixPath(path).is_relative_to(kept) for kept in after) for path in before)


def _is_repeated_as_often(before: Any, after: Any) -> bool:
    """`auto` goes on while a verdict is open, which no number does; None is `auto` where answers vary."""
    before, after = before or "auto", after or "auto"
    return bool(after == "auto" or (before != "auto" and after >= before))


_AMOUNT = re.compile(r"\s*([0-9.]+)\s*(calls?|usd|)\s*\Z", re.IGNORECASE)


def _is_budget_as_large(before: Any, after: Any) -> bool:
    """As much can be decided. Amounts of different units cannot be compared."""
    if after is None:
        return True
    old, new = _AMOUNT.match(str(before)), _AMOUNT.match(str(after))
    if old is None or new is None:
        return False
    units = {match[2].casefold().rstrip("s").replace("usd", "") for match in (old, new)}
    return len(units) == 1 and float(new[1]) >= float(old[1])


def _is_higher_bound(before: Any, after: Any) -> bool:
    return isinstance(before, Bound) and isinstance(after, Bound) and is_bound_as_strict(after, before)


def _is_excused_as_little(before: Any, after: Any) -> bool:
    """Not expected to fail, or if so then strictly where it was before; without `strict` pytest decides."""
    order = (False, None, True)
    return after is None or (before is not None and order.index(after.strict) >= order.index(before.strict))


_STRICTER: Mapping[str, Callable[[Any, Any], bool]] = {
    # of checks
    "bound": lambda before, after: before is None or _is_higher_bound(before, after),
    "max_drop": lambda before, after: after == 0 or _is_larger(after, before),
    "min_kappa": lambda before, after: (after or 0) >= (before or 0),
    "pass_rate": _is_higher_bound,
    "record_only": lambda _, after: not after,
    "watch": lambda _, after: after,
    # of cases and golden files
    "allowed_hosts": lambda before, after: {*after} <= {*before},
    "also_record": lambda before, after: {*after} <= {*before},  # what is replayed is not asked any more
    "anchors": lambda before, _: not before,
    "data": _covers_all,
    "live": lambda _, after: after is True,
    "measures": lambda before, after: all(
        _is_higher_bound(bound, after.get(name, {}).get(part))
        for name, parts in before.items()
        for part, bound in parts.items()
    ),
    "model_errors": _ranked("allow", "warn", "fail"),
    "never_record": _keeps_all,
    "passages": lambda _, after: after in {None, "scan"},
    "prompts": _covers_all,
    "repeats": _is_repeated_as_often,
    "require_spans": _is_larger,
    "skip": lambda before, _: bool(before),
    "xfail": _is_excused_as_little,
    # of settings
    "approvals": lambda before, after: {*after} <= {*before},
    "baseline": lambda before, _: not str(before or "").startswith(REVISION),
    "budget": _is_budget_as_large,
    "collect": lambda _, after: after is True,
    "known_failures": _ranked("pass", "warn", "fail"),
    "ignored_parts": lambda before, after: {*after} <= {*before},
    "judge": lambda before, _: not before,  # where nobody judged, no judge is laxer
    "langsmith_forward": _ranked("forward", "masked", "refuse"),
    "max_repeats": _is_repeated_as_often,
    "proxy": lambda _, after: after is True,
    "receive": _keeps_all,
    "record": lambda _, after: after == "all",
    "timeout_s": lambda before, after: after <= before,
    "undecided": _ranked("pass", "warn", "fail"),
}
"""By key the rule by which a new value asks for as much as the old one, given that they differ."""


# How a difference is shown.

_WORDS = {"anchors", "app", "rival", "encoder", "judge", "model_errors", "passages"}
_LISTS = {"tags", "prompts", "data"}
_NUMBERS = bool | int | float | Bound | None
_NAMES = {"attached": "a file of its input", "tags": "tags that this run selects by"}
_EXCUSES = {"skip": "is skipped", "xfail": "is expected to fail"}


def _list_keys(about: Loosening, old: Any, new: Any, *, show: bool = False) -> Iterator[Loosening]:
    """
    Yield a sentence for each key that is looser.

    Args:
        about: The place, and in `what` the beginning of the sentence.
        show: Show values of any kind. Else words and numbers only: other values may be anybody's data.
    """
    for key in list_looser_keys(old, new):
        what = f"{about.what}{_NAMES.get(key.name, key.name)} changed"
        values = (key.before, key.after)
        if key.name in _EXCUSES:
            yield replace(about, what=f"{about.what}{_EXCUSES[key.name]}", after=_show_excuse(key.after))
            continue
        if key.name in _LISTS or any(isinstance(value, Mapping) for value in values):
            what = f"{what}: {_name_differing(*values)}"
        item = replace(about, what=what, metric=old.metric if key.name == "options" else "")
        numbers = all(isinstance(value, _NUMBERS) or value == "auto" for value in values)
        if show or key.name in _WORDS or numbers:
            item = replace(item, before=_show(key.name, key.before), after=_show(key.name, key.after))
        is_whole = not isinstance(key.after, Mapping) and len(str(key.after)) < _LONGEST
        if not (is_whole and (item.before or item.after)):
            item = replace(item, digest=digest_of(key.after))
        yield item


def _show_excuse(excuse: str | XFail) -> str:
    """Show a reason in full, since an approval is of it."""
    if isinstance(excuse, str):
        return mask(excuse)
    strict = "" if excuse.strict is None else f", strict: {str(excuse.strict).lower()}"
    return f"{mask(excuse.reason)}{strict}"


def _name_differing(before: Any, after: Any) -> str:
    """The keys of two mappings whose values differ, or the names that only one of two lists has."""
    old, new = (
        value
        if isinstance(value, Mapping)
        else dict.fromkeys([value] if isinstance(value, str) else value or ())
        for value in (before, after)
    )
    names = [str(name) for name in {**old, **new} if old.get(name, ...) != new.get(name, ...)]
    return printable(", ".join(names))


def _show(name: str, value: Any) -> str:
    if isinstance(value, Bound):
        return format_bound(value, digits=None)
    value = value.get("model") if isinstance(value, Mapping) else value
    value = ", ".join(value) if isinstance(value, tuple) else value
    value = format_number(value) if isinstance(value, float) else value
    return "" if value is None else printable(f"{name} {value}", _LONGEST)


# Golden files.


def _compare_goldens(old: GateFiles, new: GateFiles, run: Settings, selection: str) -> Iterator[Loosening]:
    defaults = (old.settings.repeats, new.settings.repeats)
    if "repeats" in run.flagged:
        defaults = (run.repeats, run.repeats)
    files = {golden.path: golden for golden in new.goldens}
    for before in old.goldens:
        after = files.get(before.path)
        if after is None:
            cases = counted(len(before.cases), "case")
            yield Loosening(place=before.path, what="the golden file was removed", before=cases)
            continue
        head = before if _rests_on_rival(before) else replace(before, rival=after.rival)
        if before.judge != after.judge:  # a file without its own has that of the settings
            head = replace(head, judge=before.judge or old.settings.judge)
        yield from _list_keys(Loosening(place=before.path, what="the golden file's "), head, after)
        yield from _compare_suites(before, after)
        cases_now = {case.id: case for case in after.cases}
        for case in before.cases:
            about = Loosening(place=before.path, case=case_id(before, case), what="")
            if case.id not in cases_now:
                yield replace(about, what="the case was removed")
                continue
            source = cases_now[case.id].source
            about = replace(about, place=f"{source.path}:{source.line}") if source else about
            yield from _compare_cases(about, *_as_run(case, cases_now[case.id], defaults, selection))


def _rests_on_rival(golden: Golden) -> bool:
    """Another rival, or a first one in the place of the reference, may make it easier to pass."""
    metrics = {check.metric for case in golden.cases for check in case.checks}
    metrics |= {check.metric for check in golden.suite}
    return any(find_traits(metric).compares for metric in metrics) or any(
        check.statistic == GAIN for check in golden.suite
    )


def _as_run(before: Case, after: Case, defaults: Sequence[Any], selection: str) -> list[Case]:
    """
    Both sides of a case with its repeats, and of its tags those by which this run may choose it.

    Args:
        defaults: Repeats of a case that has none of its own, before and after. If neither side has its own,
            the setting is listed and not the case.
    """
    words = {*selection.casefold().replace("(", " ").replace(")", " ").split()} - {"and", "or", "not"}
    own = before.repeats or after.repeats
    return [
        replace(
            case,
            repeats=case.repeats or (own and (default or "auto")),
            tags=tuple(sorted(tag for tag in {*case.tags} if any(word in tag.casefold() for word in words))),
        )
        for case, default in zip((before, after), defaults, strict=True)
    ]


def _compare_cases(about: Loosening, before: Case, after: Case) -> Iterator[Loosening]:
    yield from _list_keys(about, before, after)
    for check in before.checks:
        if check.record_only:
            continue
        name = printable(check.metric)
        same = [other for other in after.checks if other.metric == check.metric]
        if same:
            closest = min(same, key=partial(_distance, check))
            yield from _list_keys(replace(about, what=f"{name}: "), check, closest)
        else:
            shown = printable(describe_check(check))
            yield replace(about, what=f"no longer checks {name}", before=shown)


def _distance(old: Check, new: Check) -> tuple[bool, int]:
    """The number of looser keys. A check of the other side, `max` for `min`, is further than any other."""
    looser = [key.name for key in list_looser_keys(old, new)]
    return "bound" in looser, len(looser)


def _compare_suites(old: Golden, new: Golden) -> Iterator[Loosening]:
    checks = {(check.metric, check.statistic): check for check in new.suite}
    decided = decided_metrics(new.suite)
    for check in (check for check in old.suite if not check.record_only):
        name = printable(f"{check.metric} {check.statistic}")
        if after := checks.get((check.metric, check.statistic)):
            yield from _list_keys(Loosening(place=old.path, what=f"the suite's {name}: "), check, after)
        elif not check.is_bare or (check.watch and check.metric in decided):
            # A mean that merely must not drop is watched without an entry as well.
            what, shown = f"the suite is no longer judged by {name}", printable(describe_check(check))
            yield Loosening(place=old.path, what=what, before=shown)


# The baseline: there is no drop from a score that is low already.


def list_rewritten(old: GateFiles, new: GateFiles, place: str) -> Iterator[Loosening]:
    """
    Yield the scores of the old baseline that the new one lacks, or made otherwise, or that got worse.

    Whether they are worse is decided as for a run: by the gate, with the new baseline in place of the run.
    Cases and checks that left the golden files are skipped, for they are listed there. So are edited
    questions, whose old answers serve no more.

    Args:
        place: The file of the baseline.
    """
    if old.baseline is None or old.baseline == new.baseline:
        return
    if new.baseline is None:
        yield Loosening(place=place, what="the baseline was removed")
        return
    known = {golden.path for golden in (*old.goldens, *new.goldens)}
    questions = {case_id(golden, case): (golden, case) for golden in new.goldens for case in golden.cases}
    results = {result.case: result for result in new.baseline.results}
    is_steady = not Chance(old.baseline.results).app_varies
    sides: list[tuple[CaseResult, CaseResult]] = []
    for before in old.baseline.results:
        metrics, checks = None, before.checks
        if before.case in questions:
            golden, case = questions[before.case]
            checks = case.checks
            metrics = {check.metric for check in case.checks} | {check.metric for check in golden.suite}
            if before.input_hash not in {"", input_hash(case)}:
                continue
        elif file_of(before.case) in known:
            continue
        about = Loosening(place=place, case=before.case, what="the case was taken out of the baseline")
        after = results.get(before.case)
        if after is None:
            yield about
        elif not have_same_input(before, after):
            yield replace(about, what="the baseline holds the answer to another question")
        else:
            yield from _compare_results(about, before, after, metrics, is_steady=is_steady)
            both = (_restrict(result, metrics, checks) for result in (before, after))
            sides.append((next(both), next(both)))
    suite = {golden.path: golden.suite for golden in new.goldens}
    yield from _list_worse(sides, suite, Loosening(place=place, what=""))


def _restrict(result: CaseResult, metrics: set[str] | None, checks: tuple[Check, ...]) -> CaseResult:
    scores = tuple(score for score in result.scores if metrics is None or score.metric in metrics)
    return replace(result, scores=scores, checks=checks)


def _compare_results(
    about: Loosening,
    before: CaseResult,
    after: CaseResult,
    metrics: set[str] | None,
    *,
    is_steady: bool,
) -> Iterator[Loosening]:
    """
    Yield the scores that cannot be compared, or that show less than before.

    Args:
        metrics: Those that are still checked; None for all.
        is_steady: The app of the old baseline did not vary.
    """
    scores = values_by_metric(after)
    failed = {failure.metric for failure in after.failures} - {failure.metric for failure in before.failures}
    steady = len(set(answer_digests(after))) == 1
    for metric, old in values_by_metric(before).items():
        new = scores.get(metric, [])
        if metrics is not None and metric not in metrics:
            continue
        if not new or failed & {metric, ""}:
            what = "holds no whole score any longer"
        elif sorted(old) == sorted(new):
            continue
        elif signatures(metric, before) != signatures(metric, after):
            what = "was recorded again, and scored in another way"
        elif Scales()[metric] is None:
            what = "was recorded again, and which of its scores are good is unknown"
        elif len(new) < len(old) and not steady:
            what = "was recorded again with fewer repeats"
        else:
            continue
        shown = {"before": _show_scores(old), "after": _show_scores(new), "digest": digest_of(after.scores)}
        yield replace(about, what=f"{printable(metric)} in the baseline {what}", **shown)
    if is_steady and len(set(answer_digests(after))) > 1:
        # A drop from answers that never varied is a fact; from others it must be more than chance explains.
        yield replace(about, what="the answers in the baseline, once all alike, vary")


def _list_worse(
    sides: Sequence[tuple[CaseResult, CaseResult]],
    suite: Mapping[str, Sequence[SuiteCheck]],
    about: Loosening,
) -> Iterator[Loosening]:
    """Yield the verdicts of the gate on the new baseline, as on a run that is compared with the old one."""
    shared = {
        metric
        for before, after in sides
        for metric in values_by_metric(before).keys() & values_by_metric(after).keys()
        if signatures(metric, before) == signatures(metric, after)
    }
    before, after = (
        Run(signature={}, results=tuple(_restrict(pair[at], shared, pair[at].checks) for pair in sides))
        for at in (0, 1)
    )
    if before.results == after.results or not shared:
        return
    for verdict in compare(before, after, suite=suite).verdicts:
        # A bound on the mean may be missed by both; of single cases those are named that are missed now only.
        missed = verdict.outcome == "failed" and verdict.observed is None and not verdict.known
        if verdict.metric in shared and (missed or verdict.outcome in {"regressed", "undecided"}):
            why = f"{verdict.check} in the baseline was recorded again as worse: {verdict.reason}"
            yield replace(about, what=why, digest=digest_of(after.results))


def _show_scores(values: Sequence[float]) -> str:
    repeats = counted(len(values), "repeat")
    return f"{calculate('mean', values):.4g} over {repeats}" if values else ""
