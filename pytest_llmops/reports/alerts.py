"""A report as alerts of code scanning: each case that fails the build, at its line of the golden file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import printable
from pytest_llmops.records import Outcome
from pytest_llmops.reports.sarif import Alert, write_sarif
from pytest_llmops.reports.sides import RED, Sides, check_name, find_reason

_RUN = "golden-run"


def write_alerts(sides: Sides, *, outcome: Outcome, problems: Iterable[str] = ()) -> str:
    """
    Return the report in SARIF.

    Args:
        outcome: Of the build: one that is not good, for no case and no check, is an alert by itself.
        problems: Sentences about the run as a whole.
    """
    alerts = list(_list_alerts(sides))
    if outcome != "passed" and not alerts:
        text = "; ".join([f"the run is {outcome}", *map(printable, problems)])
        path = next(iter(sides.run.suite), "")
        alerts.append(Alert(rule=_RUN, text=text, path=path, level="error" if outcome in RED else "warning"))
    return write_sarif("llmops", dict.fromkeys(alert.rule for alert in alerts), alerts)


def _list_alerts(sides: Sides) -> Iterator[Alert]:
    cases = sides.sorted
    results = {result.case: result for result in sides.run.results}
    listed = set()
    for case, findings in cases.worse.items():
        golden = sides.cases.get(case)
        source = golden.source if golden else None
        for verdict, *_ in findings:
            listed.add(id(verdict))
            reason = find_reason(results[case], verdict) if case in results else verdict.reason
            yield Alert(
                rule=verdict.metric or verdict.outcome,
                text=printable(f"{verdict.outcome}: {check_name(verdict)}: {reason}"),
                path=source.path if source else file_of(case),
                region={"startLine": source.line} if source else {},
                pointer=case,
            )
    for verdict in sides.suite:
        if verdict.outcome in RED and not verdict.excused and id(verdict) not in listed:
            file = next((file for file in sides.run.suite if verdict.check.startswith(file)), "")
            text = "; ".join(filter(None, (f"{verdict.outcome}: {verdict.check}", verdict.reason)))
            yield Alert(
                rule=verdict.metric or verdict.outcome,
                text=printable(text),
                path=file or next(iter(sides.run.suite), ""),
                pointer=verdict.check,
            )
