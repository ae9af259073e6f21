"""
A comparison as a comment on a pull request: what broke, since when, in which cases, and how to see it.

Which cases are worse is what the comparison says of them. All that an app, a model or a file wrote is shown
as text; see `document`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pytest_llmops.printable import counted
from pytest_llmops.records import CaseResult, Comparison, Verdict
from pytest_llmops.reports.comparison import list_differences
from pytest_llmops.reports.document import Block, Document, Fold, Notes, write_markdown
from pytest_llmops.reports.sides import (
    CUT_SHORT,
    RED,
    SUCCESS,
    CaseVerdict,
    Sides,
    SortedCases,
    check_name,
    describe_baseline,
    rerun_command,
    worst_outcome,
)
from pytest_llmops.reports.terminal import render_usage, table_of, verdict_notes
from pytest_llmops.reports.turns import describe_turn, find_turn

Format = Literal["github", "gitlab"]

MARKER = "<!-- pytest-llmops -->"
"""The first line, by which a later comment finds the one that it replaces."""

LONGEST: dict[Format, int] = {"github": 65_536, "gitlab": 1_000_000}  # characters of a comment
_FOLDED = (20, 10, 5, 2, 1, 0)  # cases that are shown with their texts, the first number that fits
_NAMED = 20
_ROWS = 100  # of the table of checks
_RUN_AGAIN = 5  # cases, by the command that is shown
_ANSWERS = 3  # of a case's repeats
_WIDEST = 2_000  # characters of a text
_SHORT = 12  # characters of a commit


def write_comment(sides: Sides, *, job: str | None = None, link: str = "", style: Format = "github") -> str:
    """
    Return the comment in Markdown, as many cases of it in full as there is room for.

    Args:
        job: How the job ended that ran the golden set, in the word of the CI: anything but `success` is not
            green here, whatever the answers are.
        link: To the report or the log of the run, a URL of http without spaces and angle brackets.
    """
    outcome = _find_outcome(sides.comparison, job)
    cases = sides.sorted
    for most in _FOLDED:
        blocks = [
            *_describe(sides, cases, job, most),
            *_list_cases(sides, cases, most),
            *_close(sides, cases),
        ]
        text = _write(Document(blocks=blocks, outcome=outcome), link)
        if len(text) <= LONGEST[style]:
            return text
    blocks = [Notes(items=["there is too much for a comment: see the log", *_describe_job(job)])]
    return _write(Document(blocks=blocks, outcome=outcome), link)


def write_error(why: str, *, job: str | None = None, link: str = "") -> str:
    """Return the comment where nothing could be compared."""
    blocks = [Notes(items=[why, *_describe_job(job)])]
    return _write(Document(blocks=blocks, outcome="error: nothing could be compared"), link)


def list_worse(sides: Sides) -> list[tuple[str, str]]:
    """List the cases that fail the build, each with a line about it, the worst first."""
    cases = sides.sorted
    return [(case, _line(case, cases.worse[case])) for case in _worst_first(cases.worse)]


def _find_outcome(comparison: Comparison, job: str | None) -> str:
    """Return the worse of both outcomes, in words."""
    if comparison.outcome not in RED and job not in {None, SUCCESS}:
        return f"failed: {_end_of(job)}; the comparison by itself is {comparison.outcome}"
    return comparison.outcome


def _describe(sides: Sides, cases: SortedCases, job: str | None, most: int) -> Iterable[Block]:
    """Yield what became of the cases in numbers, the checks, and what changed, at most so many files."""
    base = f"compared with {describe_baseline(sides)}"
    if not sides.named:
        base = "there is no baseline: only thresholds decide"
    if revision := sides.run.environment.get("revision"):
        edited = " with changes that are not committed" if revision.endswith("+") else ""
        base = f"commit {revision[:_SHORT]}{edited}{' ' if sides.named else ': '}{base}"
    is_red = job is not None and sides.comparison.outcome in RED  # whatever the job says
    notes = [CUT_SHORT] if sides.is_unfinished else []
    if not notes and (part := sides.run.signature.get("partial")):
        notes = [f"a selection: {part} of these golden files were run"]
    yield Notes(items=[*notes, _count(sides, cases), base, *(() if is_red else _describe_job(job))])
    verdicts = sorted([*sides.suite, *_merge_cases(sides)], key=lambda verdict: verdict.outcome == "passed")
    if verdicts:
        yield table_of(verdicts[:_ROWS])
    if len(verdicts) > _ROWS:
        yield Notes(items=[f"{counted(len(verdicts) - _ROWS, 'further check')}: see the log"])
    yield from list_differences(sides.comparison)
    for file in sides.since.files[:most]:
        commits = counted(file.commits, "commit") if file.commits else ""
        commits = " and ".join(filter(None, [commits, "not committed" if file.is_edited else ""]))
        texts = [("newest", "\n".join(file.newest)), ("change", _cut(file.difference))]
        yield Fold(line=f"{file.path}: {commits}", texts=[(label, text) for label, text in texts if text])


def _merge_cases(sides: Sides) -> Iterable[Verdict]:
    """Yield one verdict for all cases that miss a check in the same way, for the table."""
    missed = Counter(
        (verdict.check, verdict.outcome)
        for verdict in sides.comparison.verdicts
        if verdict.case is not None and verdict.outcome != "passed" and not verdict.excused
    )
    for (check, outcome), cases in missed.items():
        yield Verdict(check=f"{check}: {counted(cases, 'case')}", outcome=outcome, cases=cases)


def _count(sides: Sides, cases: SortedCases) -> str:
    statuses = cases.statuses(sides.run)
    broken = sum(worst_outcome(found) == "error" for found in cases.worse.values())
    fresh = sum(
        worst_outcome(found) != "error" and all(finding.before is None for finding in found)
        for found in cases.worse.values()
    )
    counts = (
        (broken, "broken"),
        (len(cases.worse) - broken - fresh, "worse than in the baseline"),
        (fresh, "failing by checks that the baseline has no score of"),
        (len(cases.unclear), "undecided"),
        (len(cases.low), "below a threshold and no worse than in the baseline"),
        (len(cases.fixed), "fixed"),
        (sum(found == "xfailed" for found in statuses.values()), "expected to fail"),
        (sum(found == "xpassed" for found in statuses.values()), "passing although expected to fail"),
        (len(sides.comparison.skipped), "skipped"),
        (len(sides.comparison.missing), "missing, which leaves the others undecided at best"),
    )
    named = [f"{number:,} {what}" for number, what in counts if number]
    return f"{counted(len(sides.run.results), 'case')}: {', '.join(named) or 'nothing to say of single ones'}"


def _describe_job(job: str | None) -> list[str]:
    if job is None:
        return ["this says nothing of loosened checks and of whatever else makes a run red: see its log"]
    if job == SUCCESS:
        return []
    return [f"{_end_of(job)}: its log says why, such as a loosened check or an app that broke"]


def _end_of(job: str | None) -> str:
    return f"the job ended by {job}" if job else "nobody knows how the job ended"


def _list_cases(sides: Sides, cases: SortedCases, most: int) -> Iterable[Block]:
    """Yield each case that is worse, with its texts, and the ids of others."""
    now = {result.case: result for result in sides.run.results}
    before = {result.case: result for result in sides.base.results}
    red = {**cases.worse, **cases.dropped}
    worst_first = _worst_first(red)
    for case in worst_first[:most]:
        new, old = now.get(case), before.get(case)
        if new is not None and old is not None and old.input_hash != new.input_hash:
            old = None
        texts = [*_list_texts(old, new), *_list_reasons(red[case], new)]
        yield Fold(line=_line(case, red[case]), texts=[(label, _cut(text)) for label, text in texts])
    lists = (
        ("worse", [_line(case, red[case]) for case in worst_first[most:]]),
        ("undecided", [_line(case, found) for case, found in cases.unclear.items()]),
        ("below a threshold, and no worse than in the baseline", cases.low),
        ("fixed", cases.fixed),
    )
    yield from (Notes(title=title, items=items, most=_NAMED) for title, items in lists if items)


def _worst_first(cases: Mapping[str, Sequence[CaseVerdict]]) -> list[str]:
    return sorted(cases, key=lambda case: RED.index(worst_outcome(cases[case])))


def _line(case: str, findings: Sequence[CaseVerdict]) -> str:
    checks = dict.fromkeys(check_name(finding.verdict) for finding in findings)
    return f"{worst_outcome(findings)}: {case}: {', '.join(checks)}"


def _list_texts(before: CaseResult | None, now: CaseResult | None) -> Iterable[tuple[str, str]]:
    if now is not None and now.input is not None:
        yield "input", now.input if isinstance(now.input, str) else str(now.input)
    for label, result in (("before", before), ("now", now)):
        texts = list(dict.fromkeys(output.text for output in result.outputs)) if result else []
        yield from ((label, text) for text in texts[:_ANSWERS])
        if len(texts) > _ANSWERS:
            yield "", f"and {counted(len(texts) - _ANSWERS, 'other answer')}"


def _list_reasons(findings: Sequence[CaseVerdict], now: CaseResult | None) -> Iterable[tuple[str, str]]:
    """Yield for each check the values then and now, and what the metric says."""
    for verdict, *values in findings:
        moved = " → ".join(f"{value:.4g}" for value in values if value is not None)
        reasons = []
        if now is not None:
            reasons += [score.reason for score in now.scores if score.metric == verdict.metric]
            reasons += [fault.error for fault in now.failures if fault.metric in {None, "", verdict.metric}]
        if now is not None and (turn := find_turn(now, verdict.metric)):
            yield f"turn {turn.turn}", describe_turn(turn)
        parts = filter(None, (moved, *list(dict.fromkeys(filter(None, reasons)))[:_ANSWERS]))
        yield verdict.outcome, f"{check_name(verdict)}: {'; '.join(parts)}"


def _cut(text: str) -> str:
    if len(text) <= _WIDEST:
        return text
    return f"{text[:_WIDEST]}… ({counted(len(text) - _WIDEST, 'more character')})"


def _close(sides: Sides, cases: SortedCases) -> Iterable[Block]:
    """Yield the reasons of the checks, the cost, and the command that shows the cases."""
    missed = [verdict for verdict in sides.suite if verdict.outcome != "passed"]
    if missed:
        reasons = ["; ".join(filter(None, (*verdict_notes(one).items, one.advice))) for one in missed]
        yield Notes(items=reasons, most=_NAMED)
    yield Notes(items=[render_usage(sides.run.usage)])
    red = (*cases.worse, *cases.dropped)
    if command := rerun_command(red[:_RUN_AGAIN]):
        texts = [("$", command), *([("", sides.setting)] if sides.setting else [])]
        yield Fold(line="to see it yourself", texts=texts)


def _write(document: Document, link: str) -> str:
    more = ["", f"[more of this run](<{link}>)"] if link else []
    return "\n".join([MARKER, *write_markdown(document), *more, ""])
