"""A bound on faithfulness that no labels vouch for is said when files are read, once a file."""

from __future__ import annotations

import pytest

from pytest_llmops import Score
from pytest_llmops.calibration.record import Calibration
from pytest_llmops.features.calibrate.command import save_calibration
from pytest_llmops.judges.faithfulness import Faithfulness
from pytest_llmops.metrics.faithfulness.model import load_model
from pytest_llmops.models.weights import weights_folder
from tests.command import main

APP = """
    from pytest_llmops import Output, Passage

    def answer(question):
        text = "Boots may be sent back within 60 days."
        return Output(text=text, passages=(Passage(id="a", text=text),))
"""
GOLDEN = """
    version: 1
    app: shop:answer
    suite:
      faithfulness: {max_drop: 0.1}
    cases:
      - id: a
        input: how long?
        checks: {exact_match: true}
        reference: Boots may be sent back within 60 days.
      - id: b
        input: how long?
        checks: {faithfulness: ">= 0.6"}
      - id: c
        input: how long?
        checks: {faithfulness: ">= 0.7"}
"""
SAID = (
    "golden/shop.yaml:13: what a bound on faithfulness passes differs between kinds of text, and none of "
    "your labels shows it: llmops calibrate faithfulness LABELS.jsonl --label FIELD --save"
)
WEIGHTS = str(weights_folder())  # found before a test has a home of its own
SIGNATURE = f"faithfulness|v{Faithfulness.version}|{load_model().identity}|minilm"


@pytest.fixture
def shop(project, _scored_by_stub):
    project.environment.setenv("LLMOPS_WEIGHTS", WEIGHTS)
    for path in project.path.glob("golden/*"):
        path.unlink()
    project.write("shop.py", APP)
    project.write("golden/shop.yaml", GOLDEN)
    return project


@pytest.fixture
def _scored_by_stub(monkeypatch):
    """Scores without weights: what is scored is not what is tested here."""
    monkeypatch.setattr(
        Faithfulness,
        "score",
        lambda _, batch: [
            Score(metric="faithfulness", value=0.9, repeat=each.output.repeat, signature="s")
            for each in batch
        ],
    )


def record(shop, signature, metric="faithfulness"):
    calibration = Calibration(
        metric=metric, label="right", rows=40, unscored=0, labels_sha256="0" * 64, date="2026-01-31",
        cuts=(), agreement={},
    )  # fmt: skip
    save_calibration(shop.path / "golden/calibration.json", signature, calibration)


def warned(result):
    return sum(SAID in line for line in result.outlines)


def test_it_is_said_once_with_the_place_of_the_first_bound(shop):
    result = shop.run_here()

    # The other warning is of the suite: its drop has nothing to compare with.
    assert result.parseoutcomes() == {"passed": 3, "undecided": 1, "warnings": 2}
    assert warned(result) == 1


@pytest.mark.parametrize(
    ("signature", "metric", "times"),
    [
        (SIGNATURE, "faithfulness", 0),
        (SIGNATURE.replace("|v", "|v9"), "faithfulness", 1),
        ("faithfulness|v2|entailment-x", "faithfulness", 1),
        ("judge|v2|x", "judge", 1),
    ],
)
def test_labels_vouch_for_scores_that_are_made_alike(shop, signature, metric, times):
    record(shop, signature, metric)

    assert warned(shop.run_here()) == times


def test_a_drop_alone_asks_for_no_labels(shop):
    cases = GOLDEN.index("      - id: b")
    shop.write("golden/shop.yaml", GOLDEN[:cases])

    assert warned(shop.run_here()) == 0


def test_a_project_that_makes_errors_of_warnings_gets_a_line(shop):
    result = shop.run_here("-W", "error::pytest.PytestWarning")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {SAID}"])


def test_the_command_says_it_too(shop, capsys, monkeypatch):
    monkeypatch.chdir(shop.path)

    assert main(["run"]) == 0

    assert capsys.readouterr().out.count(SAID) == 1


MARKED = """
    import pytest

    @pytest.mark.faithfulness(min=0.6)
    @pytest.mark.faithfulness(min=0.1)
    def test_one(llm):
        llm("how long?")

    @pytest.mark.faithfulness(min=0.6)
    def test_two(llm):
        llm("how long?")
"""


def run_marked(shop, test, warnings="default"):
    shop.write("test_it.py", test)
    options = ("-p", "no:cacheprovider", "-W", warnings, "--llm-app", "shop:answer")
    return shop.pytester.runpytest_inprocess("test_it.py", *options)


def test_a_marker_is_said_once_with_the_place_of_the_test(shop):
    result = run_marked(shop, MARKED)

    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(
        ["*test_it.py:4: GoldenWarning: what a bound on faithfulness passes differs*"]
    )


def test_labels_vouch_for_a_marker_too(shop):
    record(shop, SIGNATURE)

    run_marked(shop, MARKED).assert_outcomes(passed=2, warnings=0)


def test_a_marker_without_a_bound_is_an_error(shop):
    result = run_marked(shop, MARKED.replace("min=0.6", ""))

    result.assert_outcomes(errors=2, warnings=1)
    result.stdout.fnmatch_lines(["*has no default bound*Write one such as min=0.7; labels*"])
