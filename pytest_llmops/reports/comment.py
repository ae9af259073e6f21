"""
A comparison as a comment on a pull request: what broke, since when, in which cases, and how to see it.

Everything in it but our own words is shown as text; see `document`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.gates.renames import follow_between_runs
from pytest_llmops.printable import counted, printable
from pytest_llmops.records import Case, CaseResult, Comparison, Run, Verdict
from pytest_llmops.reports.document import Block, Document, Fold, Notes, write_markdown
from pytest_llmops.reports.terminal import render_usage, summarize, table_of, verdict_notes

Format = Literal["github", "gitlab"]

MARKER = "<!-- pytest-llmops -->"
"""The first line, by which a later comment finds the one that it replaces."""

LONGEST: dict[Format, int] = {"github": 65_536, "gitlab": 1_000_000}  # characters of a comment
_ENDED_WELL = (None, "success")
_NAMED = 20
_FOLDED = (20, 10, 5, 2, 0)  # cases that are shown with their texts, the first that fits
_RUN_AGAIN = 5  # cases, by the command that is shown
_LINES = 30  # of a text
_WIDEST = 2_000  # characters of a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """
    Cases of a run by what became of them, each with its verdicts by the thresholds alone.

    Attributes:
        broken: Miss a threshold or are an error, and were good in the baseline.
        fresh: The same of cases that the baseline does not have.
        known: Miss a threshold now as they did in the baseline.
        fixed: Ids of those that missed one in the baseline.
    """

    broken: Mapping[str, Sequence[Verdict]]
    fresh: Mapping[str, Sequence[Verdict]]
    known: Mapping[str, Sequence[Verdict]]
    fixed: Sequence[str]


def write_comment(  # noqa: PLR0913 - the parts of a comment
    comparison: Comparison,
    base: Run,
    run: Run,
    *,
    cases: Mapping[str, Case] | None = None,
    job: str | None = None,
    link: str = "",
    style: Format = "github",
) -> str:
    """
    Return the comment in Markdown, as many cases of it in full as there is room for.

    Args:
        base: What the run was compared with; its answers are shown where it has some.
        cases: Of golden files, by item id, for the inputs, which no run file has.
        job: How the job ended that ran the golden set, in the word of the CI: anything but `success` is not
            green here, whatever the answers are.
        link: To the report or the log of the run, a URL of http without spaces and angle brackets.
    """
    base, _ = follow_between_runs(base, run)
    parts = sort_cases(base, run)
    make = partial(_document, comparison, parts, base, run, cases=cases or {}, job=job)
    for most in _FOLDED:
        text = _write(make(most=most), link)
        if len(text) <= LONGEST[style]:
            return text
    return _write(Document(outcome=find_outcome(comparison, job)), link)


def write_lack(why: str, job: str | None = None, link: str = "") -> str:
    """Return the comment where there is no run to compare."""
    blocks = [Notes(items=[why, *_describe_job(job)])]
    return _write(Document(blocks=blocks, outcome="error: there is no run to judge"), link)


def find_outcome(comparison: Comparison, job: str | None) -> str:
    """Return the worse of both outcomes, in words."""
    if comparison.outcome in {"passed", "undecided"} and job not in _ENDED_WELL:
        return f"failed: the job ended by {job}; the answers by themselves are {comparison.outcome}"
    return comparison.outcome


def sort_cases(base: Run, run: Run) -> Cases:
    """Sort the cases of a run by what they were in the baseline."""
    before = {result.case: result for result in base.results}
    broken: dict[str, Sequence[Verdict]] = {}
    fresh: dict[str, Sequence[Verdict]] = {}
    known: dict[str, Sequence[Verdict]] = {}
    fixed: list[str] = []
    for result in run.results:
        verdicts, old = _missed(result, result), before.get(result.case)
        was_missed = old is not None and bool(_missed(result, old))
        if verdicts:
            (known if was_missed else fresh if old is None else broken)[result.case] = verdicts
        elif was_missed:
            fixed.append(result.case)
    return Cases(broken=broken, fresh=fresh, known=known, fixed=fixed)


def _missed(now: CaseResult, result: CaseResult) -> list[Verdict]:
    """List verdicts of a result that did not pass, by the checks that the case has now."""
    verdicts = judge_case(Case(id=now.case, input="", checks=now.checks), result)
    return [verdict for verdict in verdicts if verdict.outcome != "passed"]


def _document(  # noqa: PLR0913 - the parts of a comment
    comparison: Comparison,
    parts: Cases,
    base: Run,
    run: Run,
    *,
    cases: Mapping[str, Case],
    job: str | None,
    most: int,
) -> Document:
    blocks: list[Block] = [Notes(items=[_count(parts, comparison, run), *_describe_job(job)])]
    if comparison.verdicts:
        blocks.append(table_of(comparison.verdicts))
    causes = (*comparison.differs, *comparison.not_stamped)
    if causes:
        blocks.append(Notes(title="changed since the baseline", items=causes, most=_NAMED))
    before = {result.case: result for result in base.results}
    now = {result.case: result for result in run.results}
    for title, failing, full in (
        ("fails now, and held in the baseline", parts.broken, most),
        ("new, and fails", parts.fresh, most),
        ("failed in the baseline too", parts.known, 0),
    ):
        shown = list(failing.items())[:full]
        blocks += [
            _fold(f"{title}: {_line(case, verdicts)}", cases.get(case), before.get(case), now[case], verdicts)
            for case, verdicts in shown
        ]
        if others := [_line(case, verdicts) for case, verdicts in list(failing.items())[len(shown) :]]:
            blocks.append(Notes(title=title, items=others, most=_NAMED))
    lists = (
        ("fixed", parts.fixed),
        ("missing, of the baseline's cases", comparison.missing),
        ("new cases", comparison.new),
    )
    blocks += [Notes(title=title, items=items, most=_NAMED) for title, items in lists if items]
    missed = [verdict for verdict in comparison.verdicts if verdict.outcome != "passed"]
    blocks += map(verdict_notes, missed[:_NAMED])
    if comparison.since_release:
        blocks.append(Notes(items=[comparison.since_release]))
    blocks.append(Notes(items=[render_usage(run.usage)]))
    if red := [*parts.broken, *parts.fresh]:
        command = f"pytest --llm-golden {shlex.join(red[:_RUN_AGAIN])}"
        blocks.append(Fold(line="to see it yourself", texts=[("$", command)]))
    return Document(blocks=blocks, outcome=find_outcome(comparison, job))


def _count(parts: Cases, comparison: Comparison, run: Run) -> str:
    counts = (
        (len(parts.broken), "fail now and held in the baseline"),
        (len(parts.fresh), "new and failing"),
        (len(parts.known), "failed in the baseline too"),
        (len(parts.fixed), "fixed"),
        (len(comparison.missing), "missing"),
    )
    named = [f"{number} {what}" for number, what in counts if number]
    return f"{counted(len(run.results), 'case')}: {', '.join(named) or 'all hold'}"


def _describe_job(job: str | None) -> list[str]:
    if job in _ENDED_WELL:
        return []
    return [f"the job ended by {job}: its log says why, such as a loosened check or an app that broke"]


def _line(case: str, verdicts: Sequence[Verdict]) -> str:
    return f"{case}: {summarize(verdicts)}"


def _fold(
    line: str, case: Case | None, before: CaseResult | None, now: CaseResult, verdicts: Sequence[Verdict]
) -> Fold:
    texts: list[tuple[str, str]] = []
    if case is not None:
        texts.append(("input", case.input if isinstance(case.input, str) else printable(case.input, _WIDEST)))
    texts += [("before", text) for text in _answers(before)]
    texts += [("now", text) for text in _answers(now)]
    texts += [(verdict.outcome, f"{verdict.check}: {verdict.reason}") for verdict in verdicts]
    return Fold(line=line, texts=[(label, _cut(text)) for label, text in texts])


def _answers(result: CaseResult | None) -> Iterable[str]:
    """Return the different answers of the repeats; none of a baseline, which keeps their digests alone."""
    return dict.fromkeys(output.text for output in result.outputs) if result else ()


def _cut(text: str) -> str:
    lines = text[:_WIDEST].split("\n")
    cut = "\n".join(lines[:_LINES])
    left = len(text) - len(cut)
    return f"{cut}… ({counted(left, 'more character')})" if left else cut


def _write(document: Document, link: str) -> str:
    more = ["", f"[more of this run](<{link}>)"] if link else []
    return "\n".join([MARKER, *write_markdown(document), *more, ""])
