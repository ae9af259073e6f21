"""
What a change loosens of its own gate: golden files, baseline and settings, beside those it began with.

Only what makes it easier to pass is listed. What became stricter, what is new and what moved is not; an
edit that could be either, such as another rubric, is taken for looser.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.merge_base.rewriting import list_rewritten
from pytest_llmops.gates.merge_base.strictness import (
    SIDES,
    has_same_options,
    is_as_strict,
    is_bound_as_strict,
)
from pytest_llmops.gates.pairing import find_scale
from pytest_llmops.golden.identity import input_hash
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import GAIN, Bound, Case, Check, Golden, Run, SuiteCheck
from pytest_llmops.settings import Settings

SETTINGS = ("app", "undecided", "known_failures", "repeats", "max_repeats", "prices")
"""Those of `Settings` that can make it easier to pass."""

_WEIGHT: Mapping[object, int] = {"pass": 0, "warn": 1, "fail": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """
    One thing that a change made easier to pass.

    Attributes:
        place: `golden/support.yaml:19` where it still stands, else the file alone.
        case: The item's id; None for what is not about one case.
        what: For people, on one line and printable. No input, reference or option of a case is in it.
        before: The check, number or word that was; empty where `what` says it all.
        after: The one that is.
    """

    place: str
    case: str | None = None
    what: str
    before: str = ""
    after: str = ""


def list_loosened(  # noqa: PLR0913 - a gate is made of that many things
    old: Sequence[Golden],
    new: Sequence[Golden],
    *,
    old_baseline: Run | None = None,
    new_baseline: Run | None = None,
    old_settings: Mapping[str, object] | None = None,
    new_settings: Mapping[str, object] | None = None,
    reviews_rewritten: bool = False,
    lock_loosened: Sequence[str] = (),
    files_changed: Sequence[str] = (),
    addopts_changed: bool = False,
    baseline_path: str = "golden/baseline.json",
    settings_path: str = "pyproject.toml",
    reviews_path: str = "golden/reviews.jsonl",
    lock_path: str = "prompts.lock",
    pytest_path: str = "pytest.ini",
) -> tuple[Loosening, ...]:
    """
    All that a change loosened, by file, line and case.

    Args:
        old: Every golden file where the change began.
        new: Every golden file now, whatever was selected to run.
        old_settings: Those of `SETTINGS`; what is not there has its default.
        reviews_rewritten: The log of reviews is not the old one with more at its end.
        lock_loosened: What the check of the prompt lock found, in sentences.
        files_changed: Rubrics, schemas and other files that checks name in their options.
        addopts_changed: pytest's own settings give other flags to every run; `-k` is among them.
    """
    before, after = _settings(old_settings), _settings(new_settings)
    found = [
        *_compare_files(old, new, repeats=(before["repeats"], after["repeats"])),
        *_compare_settings(before, after, settings_path),
        *(Loosening(place=lock_path, what=printable(sentence)) for sentence in lock_loosened),
        *(
            Loosening(place=path, what="checks rest on this file, and it is not what it was")
            for path in files_changed
        ),
    ]
    if addopts_changed:
        found.append(Loosening(place=pytest_path, what="pytest's addopts changed, which may leave cases out"))
    if reviews_rewritten:
        found.append(Loosening(place=reviews_path, what="the log of reviews is not the old one, continued"))
    if old_baseline is not None and new_baseline is None:
        found.append(Loosening(place=baseline_path, what="the baseline was removed"))
    elif old_baseline is not None and new_baseline is not None:
        found += [
            Loosening(place=baseline_path, **each._asdict())
            for each in list_rewritten(old_baseline, new_baseline, old, new)
        ]
    return tuple(sorted(found, key=_order))


def _order(item: Loosening) -> tuple[str, int, str, str]:
    path, _, line = item.place.rpartition(":")
    place = (path, int(line)) if line.isdecimal() else (item.place, 0)
    return (*place, item.case or "", item.what)


def _settings(written: Mapping[str, object] | None) -> dict[str, object]:
    default = Settings()
    return {name: (written or {}).get(name, getattr(default, name)) for name in SETTINGS}


def _compare_settings(
    before: Mapping[str, object], after: Mapping[str, object], path: str
) -> Iterator[Loosening]:
    for name, was in before.items():
        now = after[name]
        told = partial(Loosening, place=path)
        if name == "app":
            if now != was:
                yield told(what="the setting app names another app", **_told_change(name, was, now))
        elif name == "prices":
            if models := _differing(was, now):
                yield told(what=f"the setting prices changed: {printable(models)}")
        elif _are_fewer(now, was) if name in {"repeats", "max_repeats"} else _WEIGHT[now] < _WEIGHT[was]:
            yield told(what=f"the setting {name} asks for less", **_told_change(name, was, now))


def _told_change(name: str, was: object, now: object) -> dict[str, str]:
    """What was and what is, nothing for a None."""
    return {
        moment: "" if value is None else printable(f"{name} {value}")
        for moment, value in (("before", was), ("after", now))
    }


def _differing(was: object, now: object) -> str:
    """The keys whose values differ between two mappings."""
    before, after = (value if isinstance(value, Mapping) else {} for value in (was, now))
    return ", ".join(
        str(key) for key in {**before, **after} if key not in before or before[key] != after.get(key)
    )


def _are_fewer(now: object, was: object) -> bool:
    """Whether fewer repeats are sure; `auto` asks on while a verdict is open, which no number does."""
    if "auto" in {now, was}:
        return now != "auto"
    return isinstance(now, int) and isinstance(was, int) and now < was


def _compare_files(
    old: Sequence[Golden], new: Sequence[Golden], *, repeats: tuple[object, object]
) -> Iterator[Loosening]:
    files = {golden.path: golden for golden in new}
    for was in old:
        now = files.get(was.path)
        if now is None:
            cases = counted(len(was.cases), "case")
            yield Loosening(place=was.path, what="the golden file was removed", before=cases)
            continue
        named = (
            ("app", was.app, now.app),
            *([("rival", was.rival, now.rival)] if _rests_on_rival(was) else []),
            ("encoder", was.encoder, now.encoder),
            ("judge", was.judge.get("model"), now.judge.get("model")),
        )
        for name, before, after in named:
            if before != after:
                what = f"the golden file names another {name}"
                yield Loosening(place=was.path, what=what, **_told_change(name, before, after))
        stamps = [("prompts", was.prompts, now.prompts), ("data", was.data, now.data)]
        for name, paths, kept in stamps:
            for path in _uncovered(paths, kept):
                what = f"{name} no longer name {printable(path)}, so a change of it is not seen"
                yield Loosening(place=was.path, what=what)
        for check in was.suite:
            yield from _compare_suite_checks(check, was, now)
        cases_now = {case.id: case for case in now.cases}
        for case in was.cases:
            if case.id in cases_now:
                yield from _compare_cases(case, cases_now[case.id], was.path, repeats)
            else:
                yield Loosening(place=was.path, case=_item(was.path, case), what="the case was removed")


def _rests_on_rival(golden: Golden) -> bool:
    """Whether another rival, or a first one in the reference's place, may make it easier to pass."""
    metrics = {check.metric for case in golden.cases for check in case.checks}
    metrics |= {check.metric for check in golden.suite}
    return "pairwise" in metrics or any(check.statistic == GAIN for check in golden.suite)


def _item(path: str, case: Case) -> str:
    return f"{path}::{case.id}"


def _uncovered(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Paths that are no longer named, nor lie below one that is."""
    kept = [PurePosixPath(path) for path in new]
    return [path for path in old if not any(PurePosixPath(path).is_relative_to(each) for each in kept)]


def _compare_cases(was: Case, now: Case, path: str, repeats: tuple[object, object]) -> Iterator[Loosening]:
    loosened = partial(
        Loosening, place=f"{path}:{now.source.line}" if now.source else path, case=_item(path, now)
    )
    if input_hash(was) != input_hash(now):
        asked = ("input", "reference", "relevant")
        changed = [name for name in asked if getattr(was, name) != getattr(now, name)]
        yield loosened(what=f"no longer asks the same: {' and '.join(changed)} changed")
    before, after = (
        default if case.repeats is None else case.repeats
        for case, default in zip((was, now), repeats, strict=True)
    )
    if (was.repeats, now.repeats) != (None, None) and _are_fewer(after, before):
        yield loosened(what="is asked less often", before=f"repeats {before}", after=f"repeats {after}")
    for check in was.checks:
        alike = [each for each in now.checks if each.metric == check.metric]
        if not any(is_as_strict(each, check) for each in alike):
            yield loosened(
                what=_what_is_laxer(check, alike),
                before=_told(check),
                after=" and ".join(_told(each) for each in alike),
            )


def _what_is_laxer(check: Check, alike: Sequence[Check]) -> str:
    """
    What became of a check.

    Args:
        alike: What is asked of its metric now.
    """
    name = printable(check.metric)
    if not alike:
        return f"no longer checks {name}"
    same_side = [each for each in alike if SIDES[each.comparison] == SIDES[check.comparison]]
    if not same_side:
        return f"no longer asks for {_told(check)}"
    if not has_same_options(check.metric, same_side[0].options, check.options):
        return f"checks {name} by other options: {_changed(same_side[0].options, check.options)}"
    return f"asks for less of {name}"


def _compare_suite_checks(was: SuiteCheck, old: Golden, new: Golden) -> Iterator[Loosening]:
    name = printable(f"{was.metric} {was.statistic}")
    loosened = partial(Loosening, place=old.path)
    alike = [each for each in new.suite if each.metric == was.metric]
    now = next((each for each in alike if each.statistic == was.statistic), None)
    if now is None:
        had = {each.statistic for each in old.suite if each.metric == was.metric}
        instead = [each for each in alike if each.statistic not in had]
        what = f"the suite is no longer judged by {name}"
        yield loosened(what=what, before=_told(was), after=" and ".join(_told(each) for each in instead))
        return
    if not has_same_options(was.metric, now.options, was.options):
        what = f"the suite is judged by {name} with other options: {_changed(now.options, was.options)}"
        yield loosened(what=what)
    elif (bound := _bound(was)) and not ((kept := _bound(now)) and is_bound_as_strict(kept, bound)):
        what = f"the suite's bound on {name} is laxer"
        yield loosened(what=what, before=_told(was), after=_told(now))
    if _tolerates_more(now, was):
        what = f"the suite tolerates a larger drop of {name}"
        yield loosened(what=what, before=_told_drop(was), after=_told_drop(now))


def _bound(check: SuiteCheck) -> Bound | None:
    if check.comparison is None or check.threshold is None:
        return None
    return Bound(comparison=check.comparison, threshold=check.threshold)


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


def _changed(now: Mapping[str, object], was: Mapping[str, object]) -> str:
    """The names of the options that differ: their values may be anybody's data."""
    names = [name for name in {**was, **now} if name not in was or name not in now or was[name] != now[name]]
    return printable(", ".join(names))


def _told(check: Check | SuiteCheck) -> str:
    statistic = f" {check.statistic}" if isinstance(check, SuiteCheck) else ""
    bound = "" if check.threshold is None else f" {check.comparison} {_number(check.threshold)}"
    trusted = f" min_kappa {check.min_kappa:g}" if isinstance(check, Check) and check.min_kappa else ""
    return printable(f"{check.metric}{statistic}{bound}{trusted}")


def _told_drop(check: SuiteCheck) -> str:
    return "" if check.max_drop is None else f"max_drop {_number(check.max_drop)}"


def _number(number: float) -> str:
    """As short as it can be without being another number."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)
