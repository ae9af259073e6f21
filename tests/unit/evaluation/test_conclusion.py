"""The end of a run: its sentences, and the runs that fail the build."""

from __future__ import annotations

import pytest

from pytest_llmops.evaluation.conclusion import Conclusion, conclude, red_verdicts
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.records import CaseResult, Failure, Output, Run, Score, Verdict
from pytest_llmops.reports.files.baseline_file import load_baseline
from pytest_llmops.revision.loosening import Loosening
from pytest_llmops.settings import Settings

ANSWERED = CaseResult(case="golden/shop.yaml::a", input_hash="", outputs=(Output(text="hi"),))
SCORED = CaseResult(
    case=ANSWERED.case,
    input_hash="",
    outputs=ANSWERED.outputs,
    scores=(Score(metric="keywords", value=1.0, signature="keywords|v1"),),
)
BROKEN = CaseResult(
    case=ANSWERED.case, input_hash="", failures=(Failure(metric="", stage="app", error="boom"),)
)


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "golden").mkdir()
    return Settings(root=tmp_path)


def concluded(
    settings: Settings,
    *results: CaseResult,
    base: Run | None = None,
    approvals: tuple[str, ...] = (),
    **options: object,
) -> Conclusion:
    evaluation = Evaluation.open(settings, naming="name an app")
    try:
        evaluation.compare_with(BaselineSource(base=base, approvals=approvals))
        run = Run(signature={}, results=results)
        return conclude(evaluation, run, permission="--allow", **options)
    finally:
        evaluation.close()


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (ANSWERED, "nothing was scored: give the golden file checks"),
        (BROKEN, "nothing was scored"),
        (SCORED, ""),
    ],
)
def test_run_in_which_nothing_was_scored_is_red_as_an_error(settings, result, message):
    done = concluded(settings, result)

    assert (done.red, done.broken) == (bool(message), bool(message))
    assert [line for line in done.problems if line.startswith("nothing")] == ([message] if message else [])


@pytest.mark.parametrize(("kept", "red"), [("", False), ("{", True)])
def test_run_that_could_not_be_accepted_is_red(settings, kept, red):
    path = settings.path(settings.accepted)
    if kept:
        path.write_text(kept)

    done = concluded(settings, SCORED, accept=True)

    assert (done.red, done.broken) == (red, False)
    assert done.problems[0].startswith("nothing was accepted: " if red else "golden/baseline.json: 1 case")
    assert path.read_text() == kept if red else load_baseline(path).results


@pytest.mark.parametrize(
    ("approval", "red"),
    [
        ("golden/shop.yaml:2: no longer checks keywords", False),
        ("golden/shop.yaml:7: no longer checks keywords", False),
        (" golden/shop.yaml: no longer checks keywords ", False),
        ("golden/shop.yaml: no longer checks", True),
        ("golden/other.yaml:2: no longer checks keywords", True),
        ("", True),
    ],
)
def test_change_that_loosened_its_gate_is_red_unless_the_item_is_approved(settings, approval, red):
    """The line moves with everything above it."""
    loosened = Loosening(place="golden/shop.yaml:2", what="no longer checks keywords")

    done = concluded(settings, SCORED, loosened=[loosened], approvals=(approval,))

    assert "no longer checks keywords" in " ".join(done.problems)
    assert done.red is red
    assert any("loosens no such thing" in line for line in done.problems) is (red and bool(approval))


@pytest.mark.parametrize(("undecided", "red"), [("pass", False), ("fail", True)])
def test_case_that_is_in_no_golden_file_any_more_is_undecided(settings, undecided, red):
    gone = Settings(root=settings.root, undecided=undecided)

    done = concluded(gone, SCORED, base=Run(signature={}, results=(SCORED,)))

    assert any(line.startswith("undecided: in the baseline, and in no golden file") for line in done.problems)
    assert (done.outcomes, done.red) == (["undecided"], red)


@pytest.mark.parametrize(
    ("outcome", "known", "red_under"),
    [
        ("failed", False, {"pass", "fail"}),
        ("failed", True, {"fail"}),
        ("regressed", False, {"pass", "fail"}),
        ("error", False, {"pass", "fail"}),
        ("passed", False, set()),
    ],
)
def test_known_failure_is_red_only_where_the_settings_say_so(outcome, known, red_under):
    verdict = Verdict(check="a", outcome=outcome, known=known)

    for says in ("pass", "fail"):
        assert red_verdicts([verdict], Settings(known_failures=says)) == [verdict] * (says in red_under)
