"""An app compared with its rival: a table for each golden file with a rival."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_llmops.errors import LLMOpsError
from pytest_llmops.gates.absolute import Gain, measure_gain
from pytest_llmops.gates.suite_channel.paired_scores import results_of
from pytest_llmops.printable import counted, name_some
from pytest_llmops.records import CaseResult, Run
from pytest_llmops.reports.document import Document, Notes, Table
from pytest_llmops.statistics.intervals import LEVEL
from pytest_llmops.statistics.summaries import calculate

_NAMED = 5
_INTERVAL = f"{LEVEL:.0%} interval"
_HEAD = (
    "metric", "cases", "rival", "app", "difference", _INTERVAL, "win rate", _INTERVAL, "wins, ties, losses",
)  # fmt: skip


def rivals_document(run: Run) -> Document:
    """
    For each golden file with a rival, a table with a row a metric; empty where none has any.

    A difference is the app's score minus its rival's, whichever side is good. Notes below a table give the
    number of cases in which the rival could not be compared, and the reason in the first one.
    """
    blocks: list[Table | Notes] = []
    for name, rival in sorted(run.signature.items()):
        kind, _, path = name.partition(":")
        if kind != "rival":
            continue
        results = results_of(path, run.results)
        gains, unknown = _measure(run, path, results)
        title = f"{path}: {run.signature.get(f'app:{path}', 'the app')} against its rival {rival}"
        blocks.append(Table(title=title, head=_HEAD, rows=[_row(gain) for gain in gains]))
        blocks.append(Notes(items=[*_describe_broken(rival, gains), *unknown]))
    return Document(blocks=blocks)


def _measure(run: Run, path: str, results: Sequence[CaseResult]) -> tuple[list[Gain], list[str]]:
    """Return the gain by each metric that scored the app, and reasons for metrics without one."""
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
    cases_run = gain.cases + len(gain.broken)
    name = gain.metric + ("" if gain.scale.higher_is_better else " (less is better)")
    cases = f"{gain.cases}" if gain.cases == cases_run else f"{gain.cases} of {cases_run}"
    if not gain.cases:
        return [name, cases, *[""] * (len(_HEAD) - 2)]
    rate, low, high = gain.win_rate
    return [
        name,
        cases,
        *(f"{calculate('mean', list(side.values())):.4g}" for side in (gain.rival, gain.app)),
        f"{gain.difference:+.3g}",
        f"{gain.low:+.3g} … {gain.high:+.3g}" if gain.cases > 1 else "",  # one case has no spread
        f"{rate:.0%}",
        f"{low:.0%} … {high:.0%}",
        f"{gain.wins}, {gain.ties}, {gain.losses}",
    ]
