"""What one golden run holds together: its files, their results and the verdicts over them."""

from __future__ import annotations

import pytest

from pytest_llmops.evaluation.evaluation import Evaluation
from pytest_llmops.evaluation.session import Session
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.golden import load_golden
from pytest_llmops.records import CaseResult, Output, Score
from pytest_llmops.settings import Settings

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
    settings = Settings(root=tmp_path)
    session = Session.open(settings, naming="name an app")
    try:
        verdicts = Evaluation(session=session, source=source, judge=source.judge(settings)).suite_verdicts(
            results
        )
    finally:
        session.close()

    assert [each.outcome for each in verdicts["shop.yaml"]] == outcomes


def test_a_file_by_two_names_is_run_once_and_says_so(tmp_path):
    (tmp_path / "shop.yaml").write_text(GOLDEN)
    (tmp_path / "store.yaml").symlink_to(tmp_path / "shop.yaml")
    session = Session.open(Settings(root=tmp_path), naming="name an app")
    try:
        evaluation = Evaluation.prepare(session, [tmp_path / "shop.yaml", tmp_path / "store.yaml"])
    finally:
        session.close()

    assert [golden.path for golden in evaluation.goldens] == ["shop.yaml"]
    assert session.problems == ["store.yaml is the same file as shop.yaml, and is run once"]
