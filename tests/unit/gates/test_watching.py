"""Every metric that cases check is watched for a drop, whatever else the suite names."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops import compare, load_golden, load_run, run_golden
from pytest_llmops.errors import GoldenError
from tests.unit.gates.gate_records import check_of, result_of, run_of, store, suite_check

HELD, LOWER = [1.0] * 9 + [0.0], [1.0] * 6 + [0.0] * 4
OTHER = suite_check("rouge_l", bound=">= 0.1", max_drop=0.05)


def run_with(repeats: list[float], *checks):
    """Twenty cases that check `exact_match` and score as well by `rouge_l` as they always do."""
    passes = check_of(bound=">= 0")
    return run_of(
        [
            result_of(f"c{at}", checks=[passes], exact_match=repeats, rouge_l=[0.5] * len(repeats))
            for at in range(20)
        ],
        *checks,
    )


@pytest.mark.parametrize(
    "checks",
    [
        pytest.param((), id="no suite"),
        pytest.param((OTHER,), id="a suite of another metric"),
        pytest.param((suite_check(bound=">= 0.5"),), id="a bound on the mean"),
        pytest.param((suite_check(statistic="max", bound=">= 0.5"),), id="another statistic of it"),
    ],
)
def test_a_metric_is_watched_whatever_the_suite_names(checks):
    compared = compare(run_with(HELD), run_with(LOWER, *checks))

    assert compared.outcome == "regressed"
    assert "exact_match mean" in {
        verdict.check.partition(" >")[0] for verdict in compared.verdicts if verdict.outcome == "regressed"
    }


def test_only_watch_false_ends_the_watch_of_a_metric(tmp_path: Path):
    golden = load_golden(written(tmp_path, "suite: {exact_match: {watch: false}, rouge_l: {max_drop: 0.1}}"))
    assert [check.watch for check in golden.suite] == [False, True]

    run = run_with(LOWER, *golden.suite)
    path = tmp_path / "run.json"
    store(run, path)

    assert compare(run_with(HELD), run).outcome == "passed"
    assert compare(run_with(HELD), load_run(path)).outcome == "passed"


def test_a_run_watches_what_its_cases_check_and_scores_no_more_than_that(tmp_path: Path):
    golden = load_golden(
        written(tmp_path, "suite: {rouge_l: {max_drop: 0.1}}", "{id: b, input: hi, reference: ho}")
    )
    base = run_golden(golden, lambda _: "ho")

    run = run_golden(golden, lambda _: "ho", baseline=base)

    assert run.suite[golden.path] == (*golden.suite, suite_check("exact_match"))
    assert [{score.metric for score in result.scores} for result in run.results] == [
        {"exact_match", "rouge_l"},
        {"rouge_l"},
    ]
    assert compare(base, run).outcome == "passed"


@pytest.mark.parametrize(
    ("entry", "mistake"),
    [
        ("{watch: no}", "watch"),
        ("{watch: 0}", "watch must be true or false, not the number 0"),
        ("{watch: false, max_drop: 0.1}", "max_drop has no effect with watch: false"),
    ],
)
def test_a_watch_that_cannot_be_read_is_refused(tmp_path: Path, entry: str, mistake: str):
    with pytest.raises(GoldenError, match=mistake):
        load_golden(written(tmp_path, f"suite: {{rouge_l: {entry}}}"))


def written(folder: Path, suite: str, *cases: str) -> Path:
    path = folder / "shop.yaml"
    listed = ", ".join(("{id: a, input: hi, reference: ho, checks: {exact_match: true}}", *cases))
    path.write_text(f"{suite}\ncases: [{listed}]\n", encoding="utf-8")
    return path
