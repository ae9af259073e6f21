"""The reports of pytest and `llmops run`: a case that is not good, the suite's table, every count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pytest_llmops.bounds import format_bound, invert, parse_bound
from pytest_llmops.gates.outcomes import WORST_FIRST, status
from pytest_llmops.printable import counted, printable
from pytest_llmops.recorder.call import count_calls
from pytest_llmops.records import STATUSES, Case, CaseResult, Run, Status, Usage, Verdict
from pytest_llmops.reports.document import Document, Notes, Table, write_terminal
from pytest_llmops.reports.turns import find_turn
from pytest_llmops.runner.app.tracebacks import shorten

TracebackStyle = Literal["long", "short", "no"]

_AS_IN_PYTEST = ("xfailed", "xpassed")
_SUMMARY = 200
_TEXT = 400
_REASON = 300
_ERROR = 1_200  # with the remedy at its end
_ANSWERS = 3
_TURNS = 6
_PLACES = 10
_NAMED = 5


def render_case(
    case: Case, result: CaseResult, verdicts: Sequence[Verdict], *, traceback: TracebackStyle = "long"
) -> str:
    """
    Render a case that is not good: its place, input and answers, a line for each verdict, and the traceback
    of an app that raised.

    Passed checks are left out, unless all are. Every text is escaped and cut.
    """
    source = f"{case.source.path}:{case.source.line}: " if case.source else ""
    lines = [f"{printable(source)}{printable(case.id)}"]
    if result.turns:
        lines += _turns(result, verdicts)
    else:
        lines += [f"  input      {printable(case.input, _TEXT)}", *_answers(result)]
    if case.reference is not None:
        lines.append(f"  reference  {printable(case.reference, _TEXT)}")
    shown = [verdict for verdict in verdicts if verdict.outcome != "passed"] or verdicts
    for verdict in _merged(shown):
        lines += render_verdict(verdict)
    if (traced := find_traceback(result)) and traceback != "no":
        lines += ["", traced if traceback == "long" else shorten(traced)]
    return "\n".join(lines)


def find_traceback(result: CaseResult) -> str:
    """Return the traceback of the app's first exception; empty without one."""
    return next((failure.traceback for failure in result.failures if failure.traceback), "")


def summarize(verdicts: Sequence[Verdict]) -> str:
    """Summarize verdicts that are not good on one short line: `keywords 0 < 1: missing 'five years'`."""
    shown = list(_merged([verdict for verdict in verdicts if verdict.outcome != "passed"] or verdicts))
    if not shown:
        return ""
    first = min(shown, key=lambda verdict: (verdict.excused, WORST_FIRST.index(verdict.outcome)))
    numbers = _against_bound(first)
    if not numbers:
        head = f"{first.outcome} {printable(first.check)}" if first.outcome != "error" else ""
        numbers = ": ".join(filter(None, (head, ", ".join(_numbers(first)))))
    reason = printable(first.reason or first.advice, _SUMMARY)
    if first.outcome != "error":
        reason = reason.replace(": '", " '")  # after a colon already
    more = f" (and {len(shown) - 1} more)" if len(shown) > 1 else ""
    return ": ".join(filter(None, (numbers, reason))) + more


def _against_bound(verdict: Verdict) -> str:
    """Return `keywords 0 < 1` for a check that misses its bound; empty for another."""
    name, *written = verdict.check.rsplit(" ", 2)
    bound = parse_bound(" ".join(written))
    if verdict.outcome != "failed" or verdict.observed is None or not bound:
        return ""
    return f"{printable(name)} {_number(verdict.observed)} {format_bound(invert(bound))}"


def _merged(verdicts: Sequence[Verdict]) -> Iterable[Verdict]:
    """Merge errors with the same reason, so that a broken app is reported once."""
    merged: dict[object, Verdict] = {}
    for position, verdict in enumerate(verdicts):
        key = verdict.reason if verdict.outcome == "error" else position
        first = merged.get(key)
        merged[key] = replace(first, check=f"{first.check}, {verdict.check}") if first else verdict
    return merged.values()


def render_suite(verdicts: Sequence[Verdict]) -> str:
    """Render suite checks: the numbers and reason of each."""
    return "\n".join(line for verdict in verdicts for line in render_verdict(verdict))


def render_verdict(verdict: Verdict) -> list[str]:
    """Render a verdict: outcome, check, numbers and reason; evidence and advice below."""
    numbers = ", ".join(_numbers(verdict))
    head = f"  {status(verdict):<10} {printable(verdict.check)}"
    head += f": {numbers}" if numbers else ""
    limit = _ERROR if verdict.outcome == "error" else _REASON
    head += f"; {printable(verdict.reason, limit)}" if verdict.reason else ""
    lines = [head]
    places = [place for place in verdict.evidence if not _repeats(place, verdict.reason)]
    lines += [f"             {_evidence(place)}" for place in places[:_PLACES]]
    if len(places) > _PLACES:
        lines.append(f"             and {len(places) - _PLACES} more")
    if verdict.advice:
        lines.append(f"             {printable(verdict.advice, _REASON)}")
    if verdict.xfail:
        lines.append(f"             expected to fail: {printable(verdict.xfail, _REASON)}")
    return lines


def render_summary(
    run: Run,
    counts: Mapping[Status, int] | None,
    problems: Sequence[str] = (),
    *,
    suite: Sequence[Verdict] = (),
    wall_s: float | None = None,
) -> list[str]:
    """
    Render the closing lines of a run.

    Args:
        counts: Of the statuses of cases and suite checks; None where others show them.
        problems: Sentences about files that could not be read or written, and the like.
        suite: The suite's verdicts, for the table.
        wall_s: From the start of the run to its end, in seconds.
    """
    lines = render_table(suite)
    lines += [] if counts is None else [render_counts(counts)]
    lines.append(render_usage(run.usage, wall_s))
    lines += [printable(problem, _TEXT) for problem in problems]
    return lines


def render_counts(counts: Mapping[Status, int]) -> str:
    """
    `41 passed, 3 failed, 0 regressed, 1 undecided, 1 error, 2 known`: every count, zeros included.

    Those of cases that a golden file expects to fail are there where it does.
    """
    return ", ".join(
        f"{counts.get(name, 0)} {name}" for name in STATUSES if counts.get(name) or name not in _AS_IN_PYTEST
    )


def render_usage(usage: Usage, wall_s: float | None = None) -> str:
    """Render model calls by outcome, tokens, cost and time, or that these are unknown."""
    took = () if wall_s is None else (f"{wall_s:.1f} s",)
    if not usage.calls:
        return ", ".join(("no model call seen", *took))
    tokens = "tokens unknown"
    if usage.prompt_tokens is not None and usage.completion_tokens is not None:
        tokens = f"{usage.prompt_tokens:,} prompt and {usage.completion_tokens:,} completion tokens"
    cost = "cost unknown" if usage.cost_usd is None else f"${usage.cost_usd:,.4f}"
    calls = count_calls(usage.calls - usage.replayed - usage.failed, usage.replayed, usage.failed)
    return ", ".join((calls, tokens, cost, *took))


def render_table(verdicts: Sequence[Verdict]) -> list[str]:
    """The lines of the suite's table; none for no verdict."""
    return write_terminal(Document(blocks=[table_of(verdicts)])) if verdicts else []


def table_of(verdicts: Sequence[Verdict]) -> Table:
    """A row a check: observed, baseline, difference with its interval, p, outcome."""
    compared = any(verdict.baseline is not None for verdict in verdicts)
    of_baseline = ("baseline", "difference", "interval", "p") if compared else ()
    corrected = any(verdict.corrected for verdict in verdicts)
    by_labels = ("by labels",) if corrected else ()
    return Table(
        head=("check", "observed", *by_labels, *of_baseline, "outcome"),
        rows=[_row(verdict, compared=compared, corrected=corrected) for verdict in verdicts],
    )


def verdict_notes(verdict: Verdict) -> Notes:
    """One verdict as a note, its evidence and advice as details."""
    line, *details = render_verdict(verdict)
    return Notes(items=[line.strip()], details=[detail[2:] for detail in details])


def count_named(cases: Sequence[str], what: str) -> str:
    """`6 vary: a, b, c, d, e, and 1 more`, escaped; only the count for none."""
    names = [printable(case) for case in cases[:_NAMED]]
    more = [f"and {len(cases) - _NAMED} more"] if len(cases) > _NAMED else []
    return f"{len(cases)} {what}{': ' if names else ''}{', '.join([*names, *more])}"


def _row(verdict: Verdict, *, compared: bool, corrected: bool) -> tuple[str, ...]:
    cells = [verdict.check, _number(verdict.observed)]
    if corrected:
        mean, low, high = verdict.corrected or (None, 0.0, 0.0)
        cells.append("" if mean is None else f"{mean:.4g} ({low:.3g} … {high:.3g})")
    if compared:
        low_high = (
            "" if verdict.interval is None else f"{verdict.interval[0]:+.3g} … {verdict.interval[1]:+.3g}"
        )
        difference = "" if verdict.difference is None else f"{verdict.difference:+.3g}"
        p_value = verdict.p_adjusted if verdict.p_adjusted is not None else verdict.p_value
        cells += [
            _number(verdict.baseline),
            difference,
            low_high,
            "" if p_value is None or p_value >= 1 else f"{p_value:.3g}",  # 1 is no evidence
        ]
    return (*cells, status(verdict))


def _turns(result: CaseResult, verdicts: Sequence[Verdict]) -> Iterable[str]:
    """
    Yield the turns of a repeat: of the one that a missed check of a turn is about, else of the first.

    Of a long one these are the turns with missed checks, and the last.
    """
    missed = [verdict.metric for verdict in verdicts if verdict.outcome != "passed"]
    worst = list(filter(None, (find_turn(result, metric) for metric in missed)))
    broken = {failure.repeat for failure in result.failures if not failure.metric}
    repeat = worst[0].repeat if worst else min(broken, default=result.turns[0].repeat)
    turns = [turn for turn in result.turns if turn.repeat == repeat]
    if len(turns) > _TURNS:
        numbers = {turn.turn for turn in worst} | {turns[-1].turn}
        yield f"  {counted(len(turns), 'turn')}, of which {counted(len(numbers), 'turn')} here"
        turns = [turn for turn in turns if turn.turn in numbers]
    for turn in turns:
        yield f"  {f'turn {turn.turn}':<10} user: {printable(turn.user, _TEXT)}"
        yield f"             answer: {printable(turn.text, _TEXT)}"
    for output in result.outputs:
        if output.user and output.repeat == repeat:
            yield f"  {'ended':<10} {output.user.ended} (user: {printable(output.user.model)})"


def _answers(result: CaseResult) -> Iterable[str]:
    texts = list(dict.fromkeys(output.text for output in result.outputs))
    for text in texts[:_ANSWERS]:
        yield f"  answer     {printable(text, _TEXT)}"
    if len(texts) > _ANSWERS:
        yield f"             and {counted(len(texts) - _ANSWERS, 'other answer')}"


def _numbers(verdict: Verdict) -> list[str]:
    return list(filter(None, (_number(verdict.observed), _against_baseline(verdict))))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _against_baseline(verdict: Verdict) -> str:
    if verdict.baseline is None:
        return ""
    text = f"baseline {_number(verdict.baseline)}"
    if verdict.difference is not None:
        text += f", difference {verdict.difference:+.3g}"
    if verdict.interval is not None:
        text += f" ({verdict.interval[0]:+.3g} … {verdict.interval[1]:+.3g})"
    return text


def _repeats(evidence: Any, reason: str) -> bool:
    """Return whether the reason quotes each text of the evidence, which then is lists of texts."""
    if not isinstance(evidence, Mapping) or not evidence:
        return False
    return all(
        isinstance(texts, list | tuple)
        and all(isinstance(text, str) and printable(repr(text)) in printable(reason) for text in texts)
        for texts in evidence.values()
    )


def _evidence(evidence: Any) -> str:
    """`place: span lookup /result, kind: EMAIL_ADDRESS, mask: m***@***`; other values as JSON."""
    if isinstance(evidence, Mapping) and evidence:
        shown = dict(evidence)
        if isinstance(places := shown.get("evidence"), list):  # of one repeat, with its reason
            reason = str(shown.get("reason", ""))
            shown["evidence"] = [place for place in places if not _repeats(place, reason)]
        shown = {key: value for key, value in shown.items() if value not in ([], (), {}, None)} or shown
        return ", ".join(
            f"{printable(str(key), 40)}: {printable(value, 120)}" for key, value in shown.items()
        )
    return printable(evidence, 200)
