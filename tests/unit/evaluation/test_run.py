"""One object holds a run together: files, callers, results and verdicts; several may share a process."""

from __future__ import annotations

import pytest

from pytest_llmops import load_golden
from pytest_llmops.evaluation.run import Evaluation
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.judges import completion
from pytest_llmops.records import CaseResult, Output, Score
from pytest_llmops.settings import Settings

PROMPT = "---\nname: planner\nversion: {}\nkind: planner\n---\nhi\n"
GOLDEN = """\
suite: {exact_match: {mean: ">= 0.5"}}
cases:
  - {id: a, input: hello, reference: hi, checks: {exact_match: true}}
  - {id: b, input: hello, reference: hi, checks: {exact_match: true}}
"""


@pytest.mark.parametrize(("run", "outcomes"), [("", []), ("a", []), ("b", []), ("ab", ["passed"])])
def test_suite_has_no_verdict_where_a_case_of_its_file_was_not_run(tmp_path, run, outcomes):
    (tmp_path / "shop.yaml").write_text(GOLDEN)
    golden = load_golden("shop.yaml", root=tmp_path)
    results = {
        f"shop.yaml::{case}": CaseResult(
            case=f"shop.yaml::{case}",
            input_hash="",
            outputs=(Output(text="hi"),),
            scores=(Score(metric="exact_match", value=1.0),),
        )
        for case in run
    }
    source = BaselineSource(goldens=(golden,))
    evaluation = Evaluation.open(Settings(root=tmp_path), naming="name an app")
    try:
        evaluation.compare_with(source)
        verdicts = evaluation.suite_verdicts(results)
    finally:
        evaluation.close()

    assert [verdict.outcome for verdict in verdicts["shop.yaml"]] == outcomes


def test_a_file_by_two_names_is_run_once_and_says_so(tmp_path):
    (tmp_path / "shop.yaml").write_text(GOLDEN)
    (tmp_path / "store.yaml").symlink_to(tmp_path / "shop.yaml")
    evaluation = Evaluation.open(Settings(root=tmp_path), naming="name an app")
    try:
        evaluation.load([tmp_path / "shop.yaml", tmp_path / "store.yaml"])
    finally:
        evaluation.close()

    assert [golden.path for golden in evaluation.goldens] == ["shop.yaml"]
    assert evaluation.problems == ["store.yaml is the same file as shop.yaml, and is run once"]


@pytest.fixture
def settings(tmp_path):
    return Settings(root=tmp_path)


def test_calls_of_judges_are_cancelled_with_the_last_run(settings, monkeypatch):
    """A script that runs a golden set inside a pytest session leaves the session's own judges alone."""
    closed = []
    monkeypatch.setattr(completion, "close", lambda: closed.append("judges"))
    outer, inner = Evaluation.open(settings, naming=""), Evaluation.open(settings, naming="")
    inner.close()
    assert closed == []
    outer.close()
    assert closed == ["judges"]


def test_one_app_of_two_files_has_the_prompts_of_each_and_one_loop(settings, tmp_path):
    for at, version in enumerate(("1.0.0", "2.0.0")):
        (tmp_path / f"{at}.md").write_text(PROMPT.format(version))
        (tmp_path / f"{at}.yaml").write_text(f"prompts: [{at}.md]\ncases: [{{id: a, input: hi}}]\n")
    evaluation = Evaluation.open(settings, naming="")

    def app(question: str) -> str:
        return question

    try:
        first, second = (evaluation.caller(app, load_golden(f"{at}.yaml", root=tmp_path)) for at in range(2))
        assert (first.prompts, second.prompts) == ({"planner": "1.0.0"}, {"planner": "2.0.0"})
        assert first.place.app_loop is second.place.app_loop
    finally:
        evaluation.close()
