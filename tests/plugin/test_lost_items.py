"""Every selected golden item has an outcome at the end of a session, or is an error; whatever died."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from tests.plugin.varying import outcomes_of

ANSWER = "def answer(question): return 'an answer'\n"
DEADLY = """
    import os, signal

    def answer(question):
        if question == "question 3":
            os.kill(os.getpid(), signal.SIGKILL)
        return "an answer"
"""
MORTAL = """
    import os, signal
    import pytest

    class Mortal:
        @pytest.hookimpl(trylast=True)
        def pytest_runtest_logreport(self, report):
            if report.when == "{phase}" and "case-3" in report.nodeid:
                os.kill(os.getpid(), signal.SIGKILL)

    def pytest_configure(config):
        if hasattr(config, "workerinput"):
            config.pluginmanager.register(Mortal())
"""


def cases(count: int) -> str:
    lines = [
        f"  - {{id: case-{number}, input: question {number}, checks: {{keywords: {{all: [answer]}}}}}}\n"
        for number in range(count)
    ]
    return "version: 1\napp: capitals:answer\ncases:\n" + "".join(lines)


def failures(project) -> dict[str, list[str]]:
    run = json.loads((project.path / "run.json").read_text())
    return {
        each["case"].split("::")[1]: [failure["error"] for failure in each["failures"]]
        for each in run["results"]
    }


@pytest.mark.parametrize("restarts", ["0", "1"])
def test_no_item_is_lost_when_no_worker_may_be_replaced(project, restarts):
    project.app(DEADLY)
    project.golden(cases(12))
    result = project.run_here(
        "-n", "2", "--max-worker-restart", restarts, "--llm-out", "run.json", "--junitxml", "junit.xml"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    counts = outcomes_of(result)
    assert counts["error"] >= 1
    assert sum(counts.values()) == 12
    broken = {case: errors for case, errors in failures(project).items() if errors}
    assert len(failures(project)) == 12
    assert len(broken) == counts["error"]
    assert "ended" in broken["case-3"][0]
    suites = ET.parse(project.path / "junit.xml").getroot()  # noqa: S314 - our own
    in_error = [each.get("name") for each in suites.iter("testcase") if each.find("error") is not None]
    assert "case-3" in in_error
    assert len(in_error) == counts["error"]


@pytest.mark.parametrize("restarts", ["0", "8"])
@pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
def test_a_worker_killed_at_any_phase_loses_no_item(project, phase, restarts):
    """Where the outcome was reported before the end, it counts; else the item is an error."""
    project.app(ANSWER)
    project.golden(cases(6))
    project.write("conftest.py", MORTAL.format(phase=phase))
    result = project.run_here("-n", "1", "--max-worker-restart", restarts, "--llm-out", "run.json")
    counts = outcomes_of(result)
    assert sum(counts.values()) == 6
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if counts["error"] else 0)
    if restarts == "0" or phase == "setup":  # a setup that always ends the process has no outcome ever
        assert counts["error"] >= 1
    else:
        assert counts["passed"] == 6
    assert sum(map(bool, failures(project).values())) == counts["error"]


@pytest.mark.parametrize(
    "deed", ["signal.raise_signal(signal.SIGSEGV)", "ctypes.CDLL(None)._exit(0)", "os._exit(0)"]
)
def test_an_app_whose_import_ends_the_process_is_one_message(project, deed):
    project.app(f"import ctypes, os, signal\n{deed}\n{ANSWER}")
    project.golden(cases(3) + "suite: {keywords: {mean: '>= 0.5'}}\n")
    result = project.run("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    # Three, where a new worker starts before the second one of the first two has ended.
    told = "cannot be imported: *" if deed == "os._exit(0)" else "import*ended the process [23] times; *"
    result.stderr.fnmatch_lines([f"ERROR: *{told}"])
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(("deed", "errors"), [("os.kill(os.getpid(), 9)", 2), ("os._exit(0)", None)])
def test_workers_that_die_while_they_collect_are_no_success(project, deed, errors):
    """A conftest that would end them by Python's own means is pytest's internal error, with its place."""
    project.write("conftest.py", f"""
        import os

        def pytest_collection(session):
            if hasattr(session.config, "workerinput"):
                {deed}
    """)  # fmt: skip
    result = project.run("-n", "2", "--llm-out", "run.json")
    if errors is None:
        assert result.ret == pytest.ExitCode.INTERNAL_ERROR
        result.stdout.fnmatch_lines(["*conftest.py*line 6, in pytest_collection*"])
    else:
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert outcomes_of(result)["error"] == len(failures(project)) == errors


@pytest.mark.parametrize("dist", ["loadfile", "loadscope"])
def test_a_crash_where_files_are_handed_out_is_one_error(project, dist):
    """The first case is being run when the fourth, which was begun ahead, ends the worker."""
    project.app(DEADLY.replace("return", "time.sleep(0.5)\n        return").replace("os,", "os, time,"))
    project.golden(cases(6))
    result = project.run_here("-n", "1", "--dist", dist, "--llm-out", "run.json")
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes_of(result) == {"passed": 5, "failed": 0, "regressed": 0, "undecided": 0, "error": 1}
    assert [case for case, errors in failures(project).items() if errors] == ["case-3"]


def test_a_crash_where_each_worker_runs_each_item_is_an_error(project):
    """None is replaced: xdist breaks where two are, and one of the new ones collects before the other."""
    project.app(DEADLY)
    project.golden(cases(6))
    result = project.run_here(
        "--dist", "each", "--tx", "2*popen", "--max-worker-restart", "0", "--llm-out", "run.json"
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert failures(project)["case-3"]


def test_a_crash_after_another_worker_passed_the_same_item_is_an_error(project):
    project.app(ANSWER)
    project.golden(cases(6))
    second = 'getattr(config, "workerinput", {}).get("workerid") == "gw1"'
    mortal = MORTAL.format(phase="setup").replace('hasattr(config, "workerinput")', second)
    project.write(
        "conftest.py", mortal.replace("os.kill", "time.sleep(2), os.kill").replace("os,", "os, time,")
    )
    result = project.run_here("--dist", "each", "--tx", "2*popen")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes_of(result)["error"] == 1


def test_ordinary_tests_that_no_worker_was_left_to_run_are_errors_too(project):
    project.app(DEADLY)
    project.golden(cases(6))
    project.write(
        "tests/test_it.py", "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_it(n): pass\n"
    )
    result = project.run_here("golden", "tests", "-n", "1", "--max-worker-restart", "0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] + outcomes.get("passed", 0) == 15


def test_a_session_that_is_ended_as_a_success_is_none(project):
    project.write(
        "conftest.py",
        """
        import pytest

        def pytest_runtest_setup(item):
            if item.name == "spain":
                pytest.exit("enough", returncode=0)
    """,
    )
    result = project.run_here("--llm-out", "run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes_of(result) == {"passed": 1, "failed": 0, "regressed": 0, "undecided": 0, "error": 1}
    assert failures(project)["spain"]


@pytest.mark.parametrize(("flag", "code"), [("-x", 1), ("--stepwise", 2)])
def test_a_stop_at_the_first_failure_invents_no_errors(project, flag, code):
    project.app("def answer(question): return 'nothing'\n")
    result = project.pytester.runpytest_inprocess("--llm-golden", flag)
    assert result.ret == code
    assert outcomes_of(result) == {"passed": 0, "failed": 1, "regressed": 0, "undecided": 0, "error": 0}


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_cases_that_a_stop_leaves_waiting_are_no_errors(project, workers):
    project.app("import time\n\ndef answer(question):\n    time.sleep(0.1)\n    return 'nothing'\n")
    project.golden(cases(30))
    result = project.run_here("-x", "--llm-concurrency", "1", "--llm-out", "run.json", *workers)
    assert result.ret == (pytest.ExitCode.INTERRUPTED if workers else pytest.ExitCode.TESTS_FAILED)
    assert outcomes_of(result)["failed"] >= 1
    assert outcomes_of(result)["error"] == 0
    assert not any(failures(project).values())
    assert len(failures(project)) < 30


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_nothing_selected_is_pytests_own_code(project, workers):
    assert project.run_here("-k", "nothing", *workers).ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_golden_set_of_which_everything_was_skipped_is_no_success(project):
    project.write(
        "conftest.py",
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.skip(reason="later"))
    """,
    )
    result = project.run_here()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["nothing was scored*"])


def test_items_skipped_after_their_cases_ran_are_no_success(project):
    """Cases run ahead of their items, so there are results of cases that no item reports."""
    project.write(
        "conftest.py",
        """
        import time
        import pytest

        def pytest_runtest_setup(item):
            time.sleep(0.5)
            pytest.skip("later")
    """,
    )
    result = project.run_here()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*nothing was scored: every golden item was skipped*"])


def test_setup_only_makes_no_errors_of_items_that_are_not_called(project):
    result = project.run_here("--setup-only")
    assert "error" not in result.outlines[-1]


REMOVING = """
    def pytest_collection_modifyitems(items):
        items[:] = [item for item in items if "spain" not in item.nodeid]
"""
LEFT_OUT = "warning: 1 golden item left out, and not by the command line: golden/capitals.yaml::spain"


@pytest.mark.parametrize("arguments", [(), ("-n", "2")])
def test_a_case_that_a_conftest_takes_out_is_named(project, arguments):
    project.write("conftest.py", REMOVING)
    result = project.run_here(*arguments)
    assert LEFT_OUT in result.outlines
    assert result.ret == 0


@pytest.mark.parametrize("arguments", [("-k", "france"), ("golden/capitals.yaml::france",)])
def test_a_case_that_the_command_line_leaves_out_is_not_named(project, arguments):
    result = project.run_here(*arguments)
    assert "left out" not in result.stdout.str()
    assert result.ret == 0


def test_an_item_that_a_conftest_skips_is_named(project):
    project.write(
        "conftest.py",
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if "spain" in item.nodeid:
                    item.add_marker(pytest.mark.skip(reason="later"))
    """,
    )
    result = project.run_here()
    assert LEFT_OUT in result.outlines
    assert result.ret == 0


def test_verdicts_that_a_conftest_excuses_are_reported(project):
    project.write(
        "conftest.py",
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail(reason="known"))
    """,
    )
    project.write("capitals.py", "def answer(question):\n    return 'no idea'\n")
    result = project.run_here()
    result.stdout.fnmatch_lines(["warning: verdicts that fail a build were excused by the repository itself"])
