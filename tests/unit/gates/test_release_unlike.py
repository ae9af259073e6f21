"""A release with which a run has little or nothing in common never passes without a word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.cli import main
from pytest_llmops.gates.comparison import compare
from pytest_llmops.gates.release import Release
from pytest_llmops.records import CaseResult, Comparison, Failure, Run
from pytest_llmops.reports.comparison import comparison_document, comparison_json
from pytest_llmops.reports.document import write_terminal
from pytest_llmops.reports.files.baseline_file import write_baseline
from pytest_llmops.reports.files.run_file import write_run
from tests.unit.gates.gate_records import FILE, result_of, run_of, steady, suite_check

WATCHED = suite_check(max_drop=0.05)
GOOD = [steady(f"c{case}", 3, exact_match=1.0) for case in range(75)]
BROKE = Failure(metric="", stage="app", error="boom")
NOW = run_of(GOOD, WATCHED)


def moved(results: list[CaseResult], path: str = "golden/support.yaml") -> list[CaseResult]:
    return [replace(result, case=result.case.replace(FILE, path)) for result in results]


def graded(results: list[CaseResult], **scores: float) -> list[CaseResult]:
    return [replace(result, scores=steady("", 3, **scores).scores) for result in results]


def against(results: list[CaseResult], run: Run = NOW) -> Comparison:
    """The comparison with a baseline that is as good as the run, and with a release of these results."""
    return compare(run_of(run.results), run, release=Release(name="1.4", run=run_of(results)))


def shown(comparison: Comparison) -> str:
    return "\n".join(write_terminal(comparison_document(comparison)))


def test_drop_since_a_release_is_found_after_its_golden_file_got_another_name():
    worse = graded(GOOD[:40], exact_match=0.0) + GOOD[40:]
    comparison = against(moved(GOOD), run_of(worse, WATCHED))
    assert comparison.outcome == "regressed"
    assert "since release 1.4" in shown(comparison)

    base = compare(run_of(moved(GOOD)), run_of(worse, WATCHED))
    assert base.outcome == "regressed"
    assert "75 cases renamed since the baseline" in shown(base)


def test_case_of_another_file_that_is_scored_otherwise_is_no_renamed_one():
    """Of a run of one golden file, which asks what another one asks and checks it differently."""
    other = moved(graded(GOOD, rouge_l=1.0))
    assert compare(run_of(other), NOW).outcome == "undecided"
    assert against(other).outcome == "undecided"


@pytest.mark.parametrize(
    "results",
    [
        pytest.param([], id="empty"),
        pytest.param([replace(result, input_hash="other") for result in GOOD], id="asked otherwise"),
        pytest.param(moved([replace(result, input_hash="") for result in GOOD]), id="another file"),
        pytest.param([replace(result, failures=(BROKE,), scores=()) for result in GOOD], id="errors"),
        pytest.param(graded(GOOD, rouge_l=1.0), id="other metrics"),
    ],
)
def test_release_that_shares_nothing_with_the_run_is_undecided(results):
    comparison = against(results)
    assert comparison.outcome == "undecided"
    (verdict,) = [verdict for verdict in comparison.verdicts if verdict.outcome == "undecided"]
    assert verdict.check == "release 1.4"
    assert "llmops accept RUN.json --release NAME" in verdict.advice
    assert not comparison.since_release


@pytest.mark.parametrize(
    ("results", "words"),
    [
        pytest.param(
            GOOD[:1] + [replace(result, input_hash="other") for result in GOOD[1:]],
            "compared in 1 of its 75 cases",
            id="one case",
        ),
        pytest.param(
            GOOD[:1] + [replace(result, failures=(BROKE,), scores=()) for result in GOOD[1:]],
            "exact_match in 1 of 75",
            id="errors",
        ),
        pytest.param(GOOD, "not compared: rouge_l", id="older than a metric"),
    ],
)
def test_release_that_shares_little_with_the_run_is_described(results, words):
    both = [replace(result, scores=result.scores + steady("", 3, rouge_l=1.0).scores) for result in GOOD]
    run = run_of(both, WATCHED, suite_check("rouge_l"))
    comparison = against(results, run)
    assert comparison.outcome == "passed"
    assert words in shown(comparison)
    assert words in comparison_json(comparison)["since_release"]


def test_complete_release_is_described_by_its_means_alone():
    assert "since release 1.4: no mean moved\n" in shown(against(GOOD))
    assert "since_release" not in comparison_json(compare(NOW, NOW))


def test_command_warns_of_a_release_of_other_questions(tmp_path, monkeypatch, capsys):
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    write_baseline(run_of(GOOD), "base.json")
    write_baseline(run_of([result_of("x", exact_match=1.0)]), "base.release.json", release="1.4")
    write_run(NOW, "run.json")

    assert main(["compare", "base.json", "run.json"]) == 2

    assert "release 1.4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("base", "run", "outcome"),
    [
        pytest.param(NOW, replace(NOW, results=()), "error", id="empty run"),
        pytest.param(replace(NOW, results=()), NOW, "error", id="empty baseline"),
        pytest.param(
            run_of(moved(graded(GOOD, rouge_l=1.0))), NOW, "undecided", id="baseline of another golden file"
        ),
        pytest.param(NOW, run_of(GOOD[:1], WATCHED), "undecided", id="one of 75"),
        pytest.param(run_of(GOOD[:1]), NOW, "passed", id="baseline of one"),
        pytest.param(NOW, run_of(graded(GOOD, rouge_l=1.0)), "error", id="other metrics"),
        pytest.param(
            run_of([replace(result, failures=(BROKE,), scores=()) for result in GOOD]),
            NOW,
            "undecided",
            id="errors",
        ),
    ],
)
def test_runs_that_share_little_never_pass_without_a_word(base, run, outcome):
    comparison = compare(base, run)
    assert comparison.outcome == outcome
    if outcome == "passed":
        assert len(comparison.new) == len(run.results) - len(base.results)


def test_release_file_that_was_renamed_and_asked_otherwise_is_undecided():
    """Its cases follow no question, and the last baseline, which was accepted since, does not miss them."""
    edited = [
        replace(result, input_hash=f"{result.case} before") for result in moved(GOOD, "golden/old.yaml")
    ]
    (verdict,) = [verdict for verdict in against(GOOD + edited).verdicts if verdict.outcome != "passed"]
    assert (verdict.check, verdict.outcome) == ("release 1.4", "undecided")
    assert "none of its 75 cases of golden/old.yaml, which is gone, can be compared" in verdict.reason

    of_base = compare(run_of(GOOD + edited), NOW, release=Release(name="1.4", run=run_of(GOOD + edited)))
    assert not any(verdict.check == "release 1.4" for verdict in of_base.verdicts), "a run of named files"


def test_renamed_release_file_is_followed_with_its_edited_cases():
    half = [replace(result, input_hash="other") for result in GOOD[:30]] + GOOD[30:]
    assert against(moved(half)).outcome == "passed"
