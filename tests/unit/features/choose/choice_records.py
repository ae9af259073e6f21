"""Short ways to write candidates and what they are compared by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_llmops.features.choose.runs import Candidate, Entry, Field
from pytest_llmops.gates.paired_runs import Scale
from pytest_llmops.records import CaseResult, Check, Run, SuiteCheck

SHARE = Scale(higher_is_better=True, bounded=True, range=(0.0, 1.0))
SECONDS = Scale(higher_is_better=False, bounded=False)
CHECK = Check(metric="exact_match", comparison=">=", threshold=1.0)


def ids(count: int) -> list[str]:
    return [f"golden/shop.yaml::c{at:04}" for at in range(count)]


def entry(
    name: str, *, errors: Mapping[str, Sequence[int]] | None = None, **values: Sequence[float]
) -> Entry:
    """A candidate with a score a case, by metric; `errors` are the places of cases without one."""
    missed = {
        metric: {ids(at + 1)[-1]: "it broke" for at in places} for metric, places in (errors or {}).items()
    }
    return Entry(
        name=name,
        values={
            metric: {
                case: (value,)
                for case, value in zip(ids(len(found)), found, strict=True)
                if case not in missed.get(metric, ())
            }
            for metric, found in values.items()
        },
        errors=missed,
    )


def field(*entries: Entry, groups: Mapping[str, str] | None = None, **scales: Scale) -> Field:
    cases = sorted({case for each in entries for found in each.values.values() for case in found})
    errored = {case for each in entries for case in each.errored}
    return Field(
        entries=entries,
        cases=tuple(sorted({*cases, *errored})),
        scales=scales or {"m": SHARE},
        groups=groups or {},
    )


def table(ahead: int, behind: int, both: int = 0, neither: int = 0) -> tuple[list[float], list[float]]:
    """Pass-or-miss scores of two candidates with so many cases that one alone, both or neither passes."""
    pairs = [(1.0, 0.0)] * ahead + [(0.0, 1.0)] * behind + [(1.0, 1.0)] * both + [(0.0, 0.0)] * neither
    return [one for one, _ in pairs], [other for _, other in pairs]


def candidate(
    name: str, results: Sequence[CaseResult], *suite: SuiteCheck, broken: str = "", **signature: str
) -> Candidate:
    run = Run(signature=signature, results=tuple(results), suite={"golden/shop.yaml": suite} if suite else {})
    return Candidate(name=name, run=run, broken=broken)
