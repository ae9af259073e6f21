"""A report as JUnit XML, as CIs read it: a test for each case, and one for each check over all cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from pytest_llmops.gates.outcomes import status
from pytest_llmops.golden.identity import file_of
from pytest_llmops.printable import printable, printable_lines
from pytest_llmops.records import CaseResult, Outcome, Status
from pytest_llmops.reports.sides import Sides, SortedCases, check_name, find_reason
from pytest_llmops.reports.turns import describe_turn, find_turn

_PARTS = {"error": "errors", "failure": "failures", "skipped": "skipped"}
"""Parts of a test that did not pass, with the attribute that counts them."""

_PART_OF: dict[Status, str] = {
    "error": "error",
    "regressed": "failure",
    "failed": "failure",
    "undecided": "skipped",
    "known": "skipped",
    "xfailed": "skipped",
}


def write_junit(sides: Sides, *, outcome: Outcome, problems: Iterable[str] = ()) -> str:
    """
    Return the report; what is undecided or known is skipped, with the reason.

    Args:
        outcome: Of the build: one that is red for no case and no check is a test that fails.
        problems: Sentences about the run as a whole.
    """
    cases = sides.sorted
    statuses = cases.statuses(sides.run)
    suites: defaultdict[str, list[ET.Element]] = defaultdict(list)
    for result in sides.run.results:
        file = file_of(result.case)
        test = _make_case(result, statuses[result.case], cases)
        if (golden := sides.cases.get(result.case)) and golden.source:
            test.set("file", printable(golden.source.path))
            test.set("line", str(golden.source.line))
        suites[file].append(test)
    for case, reason in sides.comparison.skipped.items():
        test = _make_test(file_of(case), case.partition("::")[2], "passed", [])
        ET.SubElement(test, "skipped", message=printable(reason))
        suites[file_of(case)].append(test)
    for verdict in sides.suite:
        reasons = [*filter(None, (verdict.reason, verdict.advice))]
        suites["suite"].append(_make_test("suite", check_name(verdict), status(verdict), reasons))
    if outcome not in {"passed", *statuses.values(), *map(status, sides.suite)}:
        suites["run"].append(_make_test("run", "outcome", outcome, [*problems]))
    top = ET.Element("testsuites", name="pytest-llmops")
    for name, tests in suites.items():
        suite = ET.SubElement(top, "testsuite", name=printable(name), tests=str(len(tests)))
        suite.extend(tests)
        for part, attribute in _PARTS.items():
            suite.set(attribute, str(len(suite.findall(f"*/{part}"))))
    ET.indent(top)
    return ET.tostring(top, encoding="unicode", xml_declaration=True) + "\n"


def _make_case(result: CaseResult, found: Status, cases: SortedCases) -> ET.Element:
    findings = cases.findings(result.case)
    reasons = [f"{check_name(verdict)}: {find_reason(result, verdict)}" for verdict, *_ in findings]
    turns = dict.fromkeys(verdict.metric for verdict, *_ in findings)
    reasons += [
        f"turn {turn.turn}\n{describe_turn(turn)}" for metric in turns if (turn := find_turn(result, metric))
    ]
    test = _make_test(file_of(result.case), result.case.partition("::")[2], found, reasons)
    test.set("time", f"{sum(output.latency_s for output in result.outputs):.3f}")
    return test


def _make_test(file: str, name: str, found: Status, reasons: Sequence[str]) -> ET.Element:
    test = ET.Element("testcase", classname=printable(file), name=printable(name))
    if part := _PART_OF.get(found):
        message = printable(f"{found}: {reasons[0]}" if reasons else found)
        lines = (line for reason in dict.fromkeys(reasons) for line in printable_lines(reason))
        ET.SubElement(test, part, message=message).text = "\n".join(lines)
    return test
