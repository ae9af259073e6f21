"""The stored runs as one table for each group of systems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, median

from benchmarks.variants.systems import GROUPS, METRICS, System
from pytest_llmops.features.choose.runs import Candidate, Field, enter
from pytest_llmops.features.choose.verdict import Choice, choose
from pytest_llmops.reports.files.run_file import load_run

ALPHA = 0.05
NAMES = {"latency_s": "seconds"}


def render() -> str:
    """A section for each group of which the reference's run and another are stored."""
    sections = []
    for title, systems in GROUPS.items():
        stored = [system for system in systems if system.stored.exists()]
        if stored[:1] == [systems[0]] and stored[1:]:
            sections.append(f"## {title}\n\n" + "\n".join(_lines(stored)) + "\n")
    return "\n".join(sections)


def _lines(systems: Sequence[System]) -> Iterator[str]:
    first, *others = systems
    pairs = [_compare(first, other) for other in others]
    metrics = [name for name in METRICS if any(name in field.scales for field, _ in pairs)]
    yield f"`{first.golden}`, {len(pairs[0][0].cases)} cases."
    yield ""
    head = ["system", "errors", *metrics, "seconds, median", "tokens, mean"]
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    yield _row(first, *pairs[0], metrics)
    for system, pair in zip(others, pairs, strict=True):
        yield _row(system, *pair, metrics)
    yield ""
    yield f"Against the {first.title}:"
    yield ""
    for system, (_, choice) in zip(others, pairs, strict=True):
        yield f"- **{system.title}:** {_differences(system, choice)}."


def _compare(first: System, other: System) -> tuple[Field, Choice]:
    candidates = [Candidate(name=each.name, run=load_run(each.stored)) for each in (other, first)]
    scored = [
        {said.metric for result in candidate.run.results for said in (*result.scores, *result.failures)}
        for candidate in candidates
    ]
    field = enter(candidates, [name for name in METRICS if name in scored[0] & scored[1]])
    return field, choose(field, alpha=ALPHA)


def _row(system: System, field: Field, choice: Choice, metrics: Sequence[str]) -> str:
    (standing,) = (each for each in choice.standings if each.entry.name == system.name)
    entry = standing.entry
    cells = [system.title, str(len(entry.errored))]
    cells += [f"{standing.means[name]:.3f}" if name in field.scales else "" for name in metrics]
    for spending, statistic in ((entry.spending.latency_s, median), (entry.spending.tokens, fmean)):
        spent = [value for values in spending.values() for value in values]
        cells.append(f"{statistic(spent):.2f}" if spent else "")
    return f"| {' | '.join(cells)} |"


def _differences(system: System, choice: Choice) -> str:
    """Each metric in which some case differs, with its interval and the cases that are better and worse."""
    said, same = list[str](), list[str]()
    for each in (*choice.contests, *choice.spending):
        name = NAMES.get(each.metric, each.metric)
        turn = 1 if each.first == system.name else -1
        if not each.better + each.worse:
            same.append(name)
            continue
        better, worse = (each.better, each.worse)[::turn]
        low, high = sorted((turn * each.low, turn * each.high))
        sure = each.p_adjusted is not None and each.p_adjusted <= ALPHA
        difference, low, high = (round(value, 3) + 0.0 for value in (turn * each.difference, low, high))
        interval = f"{low:+.3f} to {high:+.3f}; {better} better, {worse} worse{', sure' if sure else ''}"
        said.append(f"{name} {difference:+.3f} ({interval})")
    if same:
        said.append(f"no case differs in {', '.join(same)}")
    return "; ".join(said)
