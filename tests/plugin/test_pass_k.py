"""`pass^k` and `pass@k` under `suite`: estimated from the repeats of each case."""

from __future__ import annotations

import json
from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.errors import MetricOptionError
from pytest_llmops.registry import create_metric

WAVERING = """
    from collections import Counter

    ASKED = Counter()

    def answer(question):
        ASKED[question] += 1
        if question == "raise":
            raise ValueError("the lamp fell")
        return "no" if question == "odd" and ASKED[question] % 2 else "yes"
"""
GOLDEN = """
app: capitals:answer
checks: {{exact_match: true}}
suite: {{{suite}}}
cases:
  - {{id: even, input: even, reference: "yes"{more}}}
  - {{id: odd, input: odd, reference: "yes"{more}}}
"""


@pytest.fixture
def wavering(project):
    """Run a golden file; return what pytest printed, and how often the app was called for each case."""
    project.app(WAVERING)
    (project.path / "golden/capitals.yaml").unlink()

    def run(suite: str, *arguments: str, more: str = ""):
        project.write("golden/w.yaml", GOLDEN.format(suite=suite, more=more))
        result = project.run_here("--llm-out", "run.json", *arguments)
        file = project.path / "run.json"
        results = json.loads(file.read_text())["results"] if file.exists() else []
        return result, [len(found["outputs"]) for found in results]

    return run


def line_of(result: pytest.RunResult, check: str) -> str:
    return next(line for line in result.outlines if check in line and "observed" not in line)


def test_all_of_k_and_any_of_k(wavering):
    suite = "pass^2: {mean: '>= 0.5'}, pass@2: {mean: '>= 0.5'}"
    result, asked = wavering(suite, "--llm-repeats", "4", "-k", "suite")
    assert asked == [4, 4]  # of the odd case 2 of 4 pass: 1 of 6 pairs, and 5 of 6
    result.assert_outcomes(passed=2, deselected=2)
    (strict, _) = wavering("pass^2: {mean: '>= 0.6'}, pass@2: {mean: '>= 0.95'}", "--llm-repeats", "4")
    out = strict.stdout.str()
    assert "pass^2 mean >= 0.6" in out
    assert "0.583" in out
    assert "pass@2 mean >= 0.95" in out
    assert "0.9167" in out
    assert "by 2 cases of 4 repeats" in out


def test_as_many_repeats_as_are_needed_are_made(wavering):
    result, asked = wavering("pass^3: {mean: '>= 0.1'}", "-k", "suite")
    assert asked == [3, 3]
    result.assert_outcomes(passed=1, deselected=2)


def test_a_baseline_asks_for_as_many(wavering, project):
    wavering("pass^3: {mean: '>= 0.1'}", "--llm-accept")
    project.app("def answer(question): return 'yes'")
    result, asked = wavering("pass^3: {mean: '>= 0.1'}", "-k", "suite")
    assert all(number >= 3 for number in asked)
    result.stdout.no_fnmatch_line("*pass^3*error*")


def test_too_few_repeats_are_an_error(wavering):
    result, _ = wavering("pass^3: {mean: '>= 0.1'}", more=", repeats: 2")
    result.stdout.fnmatch_lines(["*it needs 3 repeats of each case*2 cases*--llm-repeats 3*"])
    assert result.ret == 1


def test_a_case_that_broke_is_an_error(wavering, project):
    project.app(WAVERING.replace('"raise"', '"odd"'))
    result, _ = wavering("pass@2: {mean: '>= 0.1'}")
    result.stdout.fnmatch_lines(["*1 case (*odd) could not be scored: *ValueError: the lamp fell*"])


@pytest.mark.parametrize(
    ("suite", "error"),
    [
        ("pass^3: {min: '>= 0.5'}", "*pass^3: has a mean and nothing else*"),
        ("pass^3: {mean: '>= 0.5', max_drop: 0.1}", "*pass^3: takes no max_drop*"),
        ("pass^k: {mean: '>= 0.5'}", "*pass^k*"),
        ("pass^0: {mean: '>= 0.5'}", "*pass^0*"),
        ("pass^3: {mean: '>= 0'}", "*can never*fail*"),
    ],
)
def test_mistakes_are_reported_before_any_call(wavering, suite, error):
    result, asked = wavering(suite)
    assert (result.ret != 0, asked) == (True, [])
    pytest.LineMatcher([*result.outlines, *result.errlines]).fnmatch_lines([error])


def test_no_single_case_has_it(wavering):
    result, _ = wavering("exact_match: {mean: '>= 0'}", more=", checks: {pass^2: '>= 0.5'}")
    pytest.LineMatcher([*result.outlines, *result.errlines]).fnmatch_lines(["*write it under suite*"])


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(1, 8))
def test_the_estimates_are_those_of_all_choices_of_k(passed, k):
    if k > len(passed):
        return
    chosen = list(combinations(passed, k))
    counts = sum(passed), len(passed)
    assert create_metric(f"pass^{k}").estimate(*counts) == pytest.approx(fmean(map(all, chosen)))
    assert create_metric(f"pass@{k}").estimate(*counts) == pytest.approx(fmean(map(any, chosen)))


def test_k_is_a_number():
    with pytest.raises(MetricOptionError):
        create_metric("pass^k", {"k": 0})
