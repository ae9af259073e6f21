"""One tally: pytest's own last line counts golden items by their verdicts, and ordinary tests as ever."""

from __future__ import annotations

import re

import pytest

APP = """
    import time

    def answer(question):
        number = int(question.split()[1])
        return "bad" if number in {bad!r} else "good"
"""
CASES = "".join(
    f"  - {{id: case-{number}, input: question {number}, checks: {{keywords: {{all: [good]}}}}}}\n"
    for number in range(12)
)
HEAD = "version: 1\napp: capitals:answer\nsuite: {keywords: {mean: '>= 0.1', max_drop: 0.2}}\ncases:\n"
NEW = "  - {id: new, input: question 99, checks: {keywords: {all: [better]}}}\n"
PLAIN = """
    import pytest

    def test_good(): pass
    def test_bad(): assert 0
    @pytest.mark.xfail
    def test_expected(): assert 0
    @pytest.mark.skip
    def test_skipped(): pass
    @pytest.fixture
    def broken(): raise ValueError
    def test_broken(broken): pass
"""
PLAIN_COUNTS = {"failed": 1, "passed": 1, "skipped": 1, "xfailed": 1, "errors": 1}
BOTH = ("golden", "test_plain.py", "--llm-baseline", "base.json", "--llm-out", "run.json")


@pytest.fixture
def mixed(project):
    """
    A baseline in which case 0 failed and which has a case that is gone; now case 5 is bad, too.

    One more case is new and fails, and there are ordinary tests of all kinds.
    """
    gone = "  - {id: gone, input: question 50, checks: {keywords: {all: [good]}}}\n"
    project.golden(HEAD + CASES + gone)
    project.app(APP.format(bad=(0,)))
    project.run_here("--llm-repeats", "3", "--llm-out", "base.json")
    project.golden(HEAD + CASES + NEW)
    project.app(APP.format(bad=(0, 5)))
    project.write("test_plain.py", PLAIN)
    return project


def tallies(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if re.search(r"\b\d+ (passed|failed|regressed)\b", line)]


COUNTS = {
    **PLAIN_COUNTS,
    "passed": 1 + 10,
    "failed": 1 + 1,  # the new case
    "regressed": 1,
    "known": 1,
    "undecided": 1 + 1,  # the suite, whose cases changed, and the case that is gone
}


def test_a_golden_run_has_one_tally_by_verdicts_and_counts_ordinary_tests_as_ever(mixed):
    for options in [("-v",), ("-q", "--tb=no", "-n", "2")]:
        result = mixed.run_here(*BOTH, *options)
        assert tallies(result) == [result.outlines[-1]]
        counts = result.parseoutcomes()
        assert {noun: counts.get(noun) for noun in COUNTS} == COUNTS
        assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_session_that_ends_early_knows_the_words_too(mixed):
    """pytest looks for new words only at its last item, or where a plugin brings the first one."""
    result = mixed.run_here(*BOTH, "-x", "-k", "case-4 or case-5 or case-6")
    counts = result.parseoutcomes()
    assert (counts["passed"], counts["regressed"], counts.get("failed")) == (1, 1, None)


def test_the_words_of_items_are_the_words_of_the_tally(mixed):
    result = mixed.run_here(*BOTH, "-v", "-rfx")
    result.stdout.fnmatch_lines(
        [
            "golden/capitals.yaml::case-0 KNOWN*",
            "golden/capitals.yaml::case-5 REGRESSED*",
            "golden/capitals.yaml::new FAILED*",
            "*= FAILURES =*",
            "*_ case-5 _*",
            "KNOWN golden/capitals.yaml::case-0*",
        ]
    )
    result.stdout.fnmatch_lines(["REGRESSED golden/capitals.yaml::case-5 - *"])


OBSERVER = """
    import pytest

    def pytest_terminal_summary(terminalreporter):
        stats = terminalreporter.stats
        seen = {name: len(stats.get(name, ())) for name in ("passed", "failed", "xfailed")}
        print("an other plugin saw", seen, sorted(set(stats) - {"", "warnings"} - set(seen)))
"""
REPLACED = """
    def pytest_sessionstart(session):
        reporter = session.config.pluginmanager.getplugin("terminalreporter")
        names = ("passed", "failed", "xfailed")
        reporter.summary_stats = lambda: print("MINE", *(len(reporter.stats.get(name, ())) for name in names))
"""


def test_other_plugins_find_the_categories_of_pytest(mixed):
    """Also one that replaces the last line, as pytest-sugar does: no failure is missing in its own words."""
    mixed.write("conftest.py", OBSERVER + REPLACED)
    result = mixed.run_here(*BOTH)
    seen = "{'passed': 12, 'failed': 3, 'xfailed': 2} ['error', 'skipped']"
    result.stdout.fnmatch_lines([f"an other plugin saw {seen}", "MINE 12 3 2"])


RERUN = """
    import pytest

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(item, call):
        report = yield
        if report.when == "call" and report.failed and "case-5" in item.nodeid:
            report.outcome = "rerun"
        return report

    def pytest_report_teststatus(report):
        if report.outcome == "rerun":
            return "rerun", "R", ("RERUN", {"yellow": True})
"""


def test_an_item_that_is_run_again_is_counted_by_its_last_report(mixed):
    mixed.write("conftest.py", RERUN)
    result = mixed.run_here(*BOTH, "-k", "case-5", "-v")
    assert "regressed" not in result.parseoutcomes()
    result.stdout.fnmatch_lines(["*case-5 RERUN*", "*1 rerun*"])


def test_without_a_terminal_the_run_is_judged_all_the_same(mixed):
    result = mixed.run_here(*BOTH, "-p", "no:terminal", "--junit-xml", "junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    junit = (mixed.path / "junit.xml").read_text()
    assert re.search(r'errors="1" failures="3" skipped="3" tests="19"', junit)
    assert 'name="llm_outcome" value="regressed"' in junit
