"""What a change made easier to pass of a golden file, its cases and their checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath

from pytest_llmops.bounds import is_minimum
from pytest_llmops.golden.identity import case_id, input_hash
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import GAIN, Case, Check, Golden
from pytest_llmops.registry import find_traits
from pytest_llmops.revision.loosening.fields import looser_fields
from pytest_llmops.revision.loosening.listing import show_change, show_check, show_field, show_options
from pytest_llmops.revision.loosening.record import Loosening
from pytest_llmops.revision.loosening.strictness import has_same_options, is_as_strict
from pytest_llmops.revision.loosening.suites import compare_suite_checks

_OF_FILES = {
    "path", "cases", "suite", "app", "rival", "encoder", "judge", "prompts", "data", "sha256",
}  # fmt: skip
_OF_CASES = {"id", "input", "attached", "reference", "relevant", "checks", "tags", "repeats", "source"}


def compare_files(
    old: Sequence[Golden],
    new: Sequence[Golden],
    *,
    repeats: tuple[object, object],
    selection: str,
) -> Iterator[Loosening]:
    """
    What is looser in each of the old files.

    Args:
        repeats: Of a case that does not say itself how often it is run, then and now.
        selection: By which words of tags this run chooses its cases.
    """
    files = {golden.path: golden for golden in new}
    for was in old:
        now = files.get(was.path)
        if now is None:
            cases = counted(len(was.cases), "case")
            yield Loosening(place=was.path, what="the golden file was removed", before=cases)
            continue
        yield from _compare_heads(was, now)
        for check in was.suite:
            yield from compare_suite_checks(check, was, now)
        cases_now = {case.id: case for case in now.cases}
        for case in was.cases:
            if case.id in cases_now:
                yield from _compare_cases(case, cases_now[case.id], was, repeats, selection)
            else:
                yield Loosening(place=was.path, case=case_id(was, case), what="the case was removed")


def is_fewer(now: object, was: object) -> bool:
    """
    Whether fewer repeats are sure; `auto` goes on while a verdict is open, which no number does. None, the
    default, is `auto` wherever the baseline varies.
    """
    now, was = now or "auto", was or "auto"
    if "auto" in {now, was}:
        return now != "auto"
    return isinstance(now, int) and isinstance(was, int) and now < was


def _compare_heads(was: Golden, now: Golden) -> Iterator[Loosening]:
    """The keys of the file itself."""
    named = (
        ("app", was.app, now.app),
        *([("rival", was.rival, now.rival)] if _rests_on_rival(was) else []),
        ("encoder", was.encoder, now.encoder),
        ("judge", was.judge.get("model"), now.judge.get("model")),
    )
    for name, before, after in named:
        if before != after:
            what = f"the golden file names another {name}"
            yield Loosening(place=was.path, what=what, **show_change(name, before, after))
    if was.judge != now.judge and was.judge.get("model") == now.judge.get("model"):
        what = f"the golden file asks its judge by other options: {show_options(now.judge, was.judge)}"
        yield Loosening(place=was.path, what=what)
    stamps = [("prompts", was.prompts, now.prompts), ("data", was.data, now.data)]
    for name, paths, kept in stamps:
        for path in _uncovered(paths, kept):
            what = f"{name} no longer name {printable(path)}, so a change of it is not seen"
            yield Loosening(place=was.path, what=what)
    for changed in looser_fields(was, now, _OF_FILES):
        what = f"the golden file's {changed.name} changed"
        yield Loosening(place=was.path, what=what, **show_field(changed))


def _rests_on_rival(golden: Golden) -> bool:
    """Whether another rival, or a first one in the reference's place, may make it easier to pass."""
    metrics = {check.metric for case in golden.cases for check in case.checks}
    metrics |= {check.metric for check in golden.suite}
    return any(find_traits(metric).compares for metric in metrics) or any(
        check.statistic == GAIN for check in golden.suite
    )


def _uncovered(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """Paths that are no longer named, nor lie below one that is."""
    kept = [PurePosixPath(path) for path in new]
    return [path for path in old if not any(PurePosixPath(path).is_relative_to(each) for each in kept)]


def _compare_cases(
    was: Case, now: Case, golden: Golden, repeats: tuple[object, object], selection: str
) -> Iterator[Loosening]:
    loosened = partial(
        Loosening,
        place=f"{golden.path}:{now.source.line}" if now.source else golden.path,
        case=case_id(golden, now),
    )
    if input_hash(was) != input_hash(now):
        names = ("input", "reference", "relevant")
        changed = [name for name in names if getattr(was, name) != getattr(now, name)]
        if [each.sha256 for each in was.attached] != [each.sha256 for each in now.attached]:
            changed.append("a file of its input")
        yield loosened(what=f"no longer asks the same: {' and '.join(changed)} changed")
    before, after = (
        default if case.repeats is None else case.repeats
        for case, default in zip((was, now), repeats, strict=True)
    )
    if (was.repeats, now.repeats) != (None, None) and is_fewer(after, before):
        yield loosened(
            what="is asked less often", before=f"repeats {before or 'auto'}", after=f"repeats {after}"
        )
    for tag in sorted({*was.tags} ^ {*now.tags}):
        if _selects_by(selection, tag):
            verb = "no longer has" if tag in was.tags else "now has"
            yield loosened(what=f"{verb} the tag {printable(tag)}, by which this run chooses its cases")
    for field in looser_fields(was, now, _OF_CASES):
        yield loosened(what=f"{field.name} changed", **show_field(field))
    for check in was.checks:
        if check.record_only:
            continue
        alike = [each for each in now.checks if each.metric == check.metric]
        if not any(is_as_strict(each, check) for each in alike):
            yield loosened(
                what=_what_is_laxer(check, alike),
                before=show_check(check),
                after=" and ".join(show_check(each) for each in alike),
            )


def _selects_by(selection: str, tag: str) -> bool:
    """Whether an expression of `-m` or `-k` speaks of a tag; `-k` takes a part of it too."""
    words = selection.casefold().replace("(", " ").replace(")", " ").split()
    return any(word in tag.casefold() for word in words if word not in {"and", "or", "not"})


def _what_is_laxer(check: Check, alike: Sequence[Check]) -> str:
    """
    What became of a check.

    Args:
        alike: What is asked of its metric now.
    """
    name = printable(check.metric)
    if not alike:
        return f"no longer checks {name}"
    same_side = [each for each in alike if is_minimum(each) == is_minimum(check)]
    if not same_side:
        return f"no longer asks for {show_check(check)}"
    if not has_same_options(check.metric, same_side[0].options, check.options):
        return f"checks {name} by other options: {show_options(same_side[0].options, check.options)}"
    if same_side[0].record_only:
        return f"only records {name}"
    return f"asks for less of {name}"
