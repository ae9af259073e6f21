"""What never returns is one error, within a bound; all else has its outcome, and the run file is whole."""

from __future__ import annotations

import json
import time

import pytest

METRIC = """
    import time
    from pytest_llmops import metric

    @metric("polite")
    def polite(output):
        while output.text == "Madrid":
            time.sleep(0.1)
        return 1.0
"""
CLASS = """
    import time
    from dataclasses import dataclass
    from pytest_llmops.records import Bound, Score
    from pytest_llmops.registry import register_metric

    @dataclass(frozen=True)
    class Polite:
        name = "polite"
        version = 1
        needs = frozenset()
        range = (0.0, 1.0)
        higher_is_better = True
        bound = Bound(comparison=">=", threshold=1.0)

        def score(self, batch):
            while any(sample.output.text == "Madrid" for sample in batch):
                time.sleep(0.1)
            return [Score(metric="polite", value=1) for _ in batch]

    register_metric("polite", Polite)
"""
GOLDEN = """
    version: 1
    app: capitals:answer
    checks: {polite: true}
    cases:
      - {id: france, input: capital of France?}
      - {id: spain, input: capital of Spain?, checks: {keywords: {all: [Madrid]}}}
      - {id: italy, input: capital of Italy?}
"""


BOUND_S = 100
"""What never returns takes for ever; a run that gives it up takes seconds, on a busy machine many."""


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize(
    "text",
    [METRIC, METRIC.replace('"polite"', '"polite", waits=True'), CLASS],
    ids=["function", "waits", "class"],
)
def test_a_metric_that_never_returns_is_an_error_of_one_case(project, text, workers):
    project.write("conftest.py", text)
    project.golden(GOLDEN)
    begun = time.monotonic()
    result = project.run("--llm-timeout-s", "1", "--llm-out", "run.json", *workers)
    assert time.monotonic() - begun < BOUND_S
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*2 passed*1 error*"])
    result.stdout.fnmatch_lines(["*polite did not return within 1 s (timeout_s)*"])
    run = json.loads((project.path / "run.json").read_text())
    scored = {
        each["case"].split("::")[1]: [score["metric"] for score in each["scores"]] for each in run["results"]
    }
    assert scored == {"france": ["polite"], "spain": ["keywords"], "italy": ["polite"]}


def test_a_metric_that_hangs_at_every_answer_is_given_up(project):
    project.write("conftest.py", METRIC.replace('output.text == "Madrid"', "True"))
    lines = [f"  - {{id: c{at}, input: capital of France?}}\n" for at in range(30)]
    project.golden("version: 1\napp: capitals:answer\nchecks: {polite: true}\ncases:\n" + "".join(lines))
    begun = time.monotonic()
    result = project.run("--llm-timeout-s", "0.5")
    assert time.monotonic() - begun < BOUND_S
    result.stdout.fnmatch_lines(["*30 errors*"])
    result.stdout.fnmatch_lines(["*polite hung 3 times (timeout_s), so it is not tried again*"])


def test_a_hundred_million_repeats_are_refused_at_load(project):
    project.golden(
        GOLDEN.replace("    checks: {polite: true}\n", "").replace(
            "id: italy,", "id: italy, repeats: 100000000,"
        )
    )
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*golden/capitals.yaml:7: italy: repeats must be a whole number from 1 to 1000, *100000000*"]
    )
    assert project.asked() == []


@pytest.mark.parametrize("flag", ["--llm-repeats=100000000", "-ollm_max_repeats=100000000"])
def test_a_hundred_million_repeats_of_all_cases_are_refused(project, flag):
    result = project.run_here(flag)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*repeats must be 1000 or less, not '100000000'*"])
