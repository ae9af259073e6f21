"""Under xdist: the same outcomes, every case asked once, nothing lost with a worker."""

from __future__ import annotations

import json

import pytest

HEAD = "version: 1\napp: capitals:answer\nsuite: {keywords: {mean: '>= 0.9'}}\ncases:\n"
CASES = [
    f"  - {{id: case-{number}, input: question {number}, checks: {{keywords: {{all: [answer]}}}}}}\n"
    for number in range(24)
]
MANY = HEAD + "".join(CASES)

SLOW = """
    import os, time
    from pathlib import Path

    def answer(question):
        with Path("asked.log").open("a") as log:
            log.write(f"{question} {os.getpid()}\\n")
        time.sleep(0.05)
        return "an answer" if question != "question 7" else "nothing"
"""


def outcomes(project, *arguments: str) -> dict[str, object]:
    project.run_here("--llm-out", "run.json", *arguments)
    run = json.loads((project.path / "run.json").read_text())
    return {each["case"]: [score["value"] for score in each["scores"]] for each in run["results"]}


def test_the_same_outcomes_with_and_without_workers(project):
    project.app(SLOW)
    project.golden(MANY)
    alone = project.run_here()
    alone.assert_outcomes(passed=24, failed=1)
    scores = outcomes(project)
    (project.path / "asked.log").unlink()
    together = project.run_here("-n", "2")
    together.assert_outcomes(passed=24, failed=1)
    together.stdout.fnmatch_lines(["*1 failed*24 passed*"])
    lines = project.asked()
    assert len(lines) == 24
    assert len({line.rsplit(" ", 1)[1] for line in lines}) == 2
    assert outcomes(project, "-n", "2") == scores


def test_a_worker_that_dies_takes_no_case_with_it(project):
    project.app("""
        import os, time
        from pathlib import Path

        def answer(question):
            with Path("asked.log").open("a") as log:
                log.write(question + "\\n")
            time.sleep(0.05)
            if question == "question 5":
                try:
                    Path("died").touch(exist_ok=False)
                except FileExistsError:
                    return "an answer"
                os.kill(os.getpid(), 9)
            return "an answer"
    """)
    project.golden(MANY)
    result = project.run_here("-n", "2", "--llm-concurrency", "3", "--llm-out", "run.json")
    result.stdout.fnmatch_lines(["*25 passed*"])
    assert result.ret == 0
    assert len(json.loads((project.path / "run.json").read_text())["results"]) == 24
    assert set(project.asked()) == {f"question {number}" for number in range(24)}


def test_a_case_that_kills_every_worker_is_an_error(project):
    project.app("""
        import os
        def answer(question):
            if question == "question 5":
                os.kill(os.getpid(), 9)
            return "an answer"
    """)
    project.golden(MANY.replace("suite: {keywords: {mean: '>= 0.9'}}\n", ""))
    result = project.run_here("-n", "2", "--llm-concurrency", "1")
    result.stdout.fnmatch_lines(["*23 passed*1 error*"])
    result.stdout.fnmatch_lines(["*ended the process*"])


def test_a_worker_that_was_not_to_begin_any_more_is_no_internal_error(project):
    """The one in place of the first dead one collects when xdist wants no more, and a second one dies."""
    project.app("""
        import os, time
        from pathlib import Path
        from conftest import wait
        def answer(question):
            if question == "question 23":
                if Path("down").exists():
                    wait("ready gw2")
                else:
                    time.sleep(0.5)  # until all others are done
                os.kill(os.getpid(), 9)
            return "an answer"
    """)
    project.pytester.makeconftest("""
        import os, time
        from pathlib import Path
        def wait(name):
            while not Path(name).exists():
                time.sleep(0.05)
        def pytest_collection_modifyitems():
            if os.environ.get("PYTEST_XDIST_WORKER") == "gw2":
                wait("down again")
        def pytest_testnodeready(node):
            Path(f"ready {node.gateway.id}").touch()
        def pytest_testnodedown(node):
            Path("down again" if Path("down").exists() else "down").touch()
    """)
    project.golden(MANY.replace("suite: {keywords: {mean: '>= 0.9'}}\n", ""))
    result = project.run_here("-n", "2", "--llm-concurrency", "8")
    result.stdout.fnmatch_lines(["*23 passed*1 error*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.stdout.fnmatch_lines(["*ended the process*"])


def test_cases_in_work_beside_one_that_kills_every_worker_are_no_errors(project):
    """With repeats auto all cases are done at once, so that innocent ones are cut off with the deadly one."""
    project.app("""
        import os, time
        def answer(question):
            if question == "question 5":
                time.sleep(0.05)
                os.kill(os.getpid(), 9)
            time.sleep(0.15)
            return "an answer"
    """)
    project.golden(HEAD + "".join(CASES[3:8]))
    result = project.run_here("-n", "2", "--llm-repeats", "auto", "--llm-out", "run.json")
    result.stdout.fnmatch_lines(["*4 passed*2 errors*"])
    run = json.loads((project.path / "run.json").read_text())
    assert [each["case"] for each in run["results"] if each["failures"]] == ["golden/capitals.yaml::case-5"]


@pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
def test_a_worker_that_dies_after_an_outcome_counts_it_once(project, phase):
    project.app("def answer(question): return 'an answer'\n")
    project.golden(MANY)
    project.write(
        "conftest.py",
        f"""
        import os
        from pathlib import Path
        import pytest

        class Mortal:
            @pytest.hookimpl(trylast=True)
            def pytest_runtest_logreport(self, report):
                if report.when == "{phase}" and "case-5" in report.nodeid and not Path("died").exists():
                    Path("died").touch()
                    os.kill(os.getpid(), 9)

        def pytest_configure(config):
            if hasattr(config, "workerinput"):
                config.pluginmanager.register(Mortal())
    """,
    )
    result = project.run_here("-n", "2")
    result.stdout.fnmatch_lines(["*node down*", "*25 passed*"])
    result.assert_outcomes(passed=25)


def test_a_metric_that_only_the_workers_know_is_scored_there(project):
    project.write(
        "conftest.py",
        """
        from dataclasses import dataclass
        from pytest_llmops.records import Bound, Score
        from pytest_llmops.registry import register_metric

        @dataclass(frozen=True)
        class Length:
            name = "length"
            version = 1
            needs = frozenset()
            range = (0.0, 1000.0)
            higher_is_better = True
            bound = Bound(comparison=">=", threshold=1.0)

            def score(self, batch):
                return [Score(metric="length", value=len(sample.output.text)) for sample in batch]

        register_metric("length", Length)
    """,
    )
    project.app("def answer(question): return 'an answer'\n")
    project.golden("""
        version: 1
        app: capitals:answer
        checks: {length: ">= 9"}
        cases: [{id: a, input: x}, {id: b, input: y}, {id: c, input: z}]
    """)
    project.run_here("-n", "2").assert_outcomes(passed=3)


def test_a_wrong_golden_file_is_told_once_and_no_worker_starts(project):
    project.golden("version: 1\ncases: [{id: a}]\n")
    result = project.run_here("-n", "2")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*capitals.yaml:2: a: *input*"])


def test_two_files_whose_app_is_a_fixture_wait_for_nobody(project):
    """Each worker is given one whole file, so neither starts its share of the other's."""
    project.write(
        "conftest.py",
        """
        import pytest
        @pytest.fixture(scope="session")
        def llm_app():
            return lambda question: "an answer"
    """,
    )
    project.golden(MANY, "golden/one.yaml")
    project.golden(MANY, "golden/two.yaml")
    (project.path / "golden" / "capitals.yaml").unlink()
    project.run_here("-n", "2", "--dist", "loadfile").assert_outcomes(passed=50)


def test_evidence_that_cannot_travel_is_made_in_the_worker(project):
    project.write(
        "odd_metric.py",
        """
        import threading
        from dataclasses import dataclass
        from pytest_llmops.records import Bound, Score

        @dataclass(frozen=True)
        class Odd:
            name = "odd"
            version = 1
            needs = frozenset()
            range = (0.0, 1.0)
            higher_is_better = True
            bound = Bound(comparison=">=", threshold=1.0)

            def score(self, batch):
                return [Score(metric="odd", value=1, evidence=(threading.Lock(),)) for _ in batch]
    """,
    )
    project.write(
        "conftest.py",
        """
        from odd_metric import Odd
        from pytest_llmops.registry import register_metric

        register_metric("odd", Odd)
    """,
    )
    project.app("def answer(question): return 'an answer'\n")
    project.golden("""
        version: 1
        app: capitals:answer
        cases:
          - {id: a, input: x, checks: {odd: true}}
          - {id: b, input: y, checks: {keywords: {all: [answer]}}}
    """)
    result = project.run_here("-n", "2")
    result.stdout.fnmatch_lines(["*1 passed*1 error*"])


def test_a_wrong_marker_is_told_under_workers_too(project):
    project.write("tests/test_it.py", """
        import pytest

        @pytest.mark.lexical(0.5)
        def test_it(llm):
            pass
    """)  # fmt: skip
    result = project.pytester.runpytest_inprocess("tests", "-n", "2")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*name the arguments*"])
