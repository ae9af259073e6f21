"""An app compared with its rival: a table for each golden file with a rival, for terminals or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.absolute import Gain, measure_gain
from pytest_llmops.gates.suite_channel.paired_scores import results_of
from pytest_llmops.printable import counted, name_some, printable
from pytest_llmops.records import CaseResult, Run
from pytest_llmops.reports.comparison import escape, markdown_table
from pytest_llmops.reports.terminal import align
from pytest_llmops.statistics.intervals import LEVEL
from pytest_llmops.statistics.summaries import calculate

_NAMED = 5
_ERROR = 300
_INTERVAL = f"{LEVEL:.0%} interval"
_HEAD = (
    "metric", "cases", "rival", "app", "difference", _INTERVAL, "win rate", _INTERVAL, "wins, ties, losses",
)  # fmt: skip


def render_rivals(run: Run) -> list[str]:
    """
    For each golden file with a rival an empty line, a title and a row a metric; empty where none has any.

    A difference is what the app has above its rival, whichever side is good. Below the table stands in how
    many cases the rival could not be compared, and why in the first one.
    """
    lines: list[str] = []
    for table in _tables(run):
        lines += ["", printable(table.title), *align([_HEAD, *map(_row, table.gains)])]
        lines += [printable(note, _ERROR) for note in table.notes]
    return lines


def rivals_markdown(run: Run) -> list[str]:
    """The same for a README or a comment on a pull request; no text of a rival does anything in it."""
    lines: list[str] = []
    for table in _tables(run):
        rows = markdown_table([_HEAD, *map(_row, table.gains)])
        lines += [f"**{escape(table.title)}**", "", *rows, ""]
        lines += [f"- {escape(printable(note, _ERROR))}" for note in table.notes]
        lines += [""] if table.notes else []
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    title: str
    gains: Sequence[Gain]
    notes: Sequence[str]


def _tables(run: Run) -> Iterator[_Table]:
    for name, rival in sorted(run.signature.items()):
        kind, _, path = name.partition(":")
        if kind != "rival":
            continue
        results = results_of(path, run.results)
        gains, unknown = _measure(run, path, results)
        yield _Table(
            title=f"{path}: {run.signature.get(f'app:{path}', 'the app')} beside its rival {rival}",
            gains=gains,
            notes=[*_describe_broken(rival, gains), *unknown],
        )


def _measure(run: Run, path: str, results: Sequence[CaseResult]) -> tuple[list[Gain], list[str]]:
    """The gain by each metric that scored the app, and why some metrics have none."""
    options = {check.metric: check.options for result in results for check in result.checks}
    options |= {check.metric: check.options for check in run.suite.get(path, ())}
    gains, unknown = [], []
    for metric in dict.fromkeys(score.metric for result in results for score in result.scores):
        try:
            gains.append(measure_gain(metric, results, options=options.get(metric)))
        except LLMOpsError as error:
            unknown.append(f"{metric}: {error}")
    return gains, unknown


def _describe_broken(rival: str, gains: Sequence[Gain]) -> list[str]:
    """A sentence for each set of cases in which the rival broke, with the metrics that miss it there."""
    metrics: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for gain in gains:
        if gain.broken:
            key = (tuple(gain.broken), next(iter(gain.broken.values())))
            metrics.setdefault(key, []).append(gain.metric)
    return [
        f"{rival} has no {', '.join(missed)} in {counted(len(cases), 'case')} "
        f"({name_some(cases, _NAMED)}): {why}"
        for (cases, why), missed in metrics.items()
    ]


def _row(gain: Gain) -> list[str]:
    """The cells of a metric; escaped for a terminal."""
    cases_run = gain.cases + len(gain.broken)
    name = printable(gain.metric) + ("" if gain.scale.higher_is_better else " (less is better)")
    cases = f"{gain.cases}" if gain.cases == cases_run else f"{gain.cases} of {cases_run}"
    if not gain.cases:
        return [name, cases, *[""] * (len(_HEAD) - 2)]
    rate, low, high = gain.win_rate
    return [
        name,
        cases,
        *(f"{calculate('mean', list(side.values())):.4g}" for side in (gain.rival, gain.app)),
        f"{gain.difference:+.3g}",
        f"{gain.low:+.3g} … {gain.high:+.3g}" if gain.cases > 1 else "",  # one case says nothing of others
        f"{rate:.0%}",
        f"{low:.0%} … {high:.0%}",
        f"{gain.wins}, {gain.ties}, {gain.losses}",
    ]
