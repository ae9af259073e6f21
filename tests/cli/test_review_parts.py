"""`llmops review`, where what it shows comes from."""

# ruff: noqa: F811 - fixtures are imported, and named again by the tests that take them

from __future__ import annotations

import pytest

from pytest_llmops.features.review import command as review
from pytest_llmops.gates.judgement import Judge
from pytest_llmops.records import Verdict
from tests.cli.test_review import answer, asked, project  # noqa: F401 - fixtures
from tests.unit.gates.gate_records import result_of, store_run


@pytest.mark.usefixtures("project")
def test_what_is_cut_is_told(answer, monkeypatch):
    monkeypatch.setattr(review, "_LONGEST", 10)
    _, out, _ = answer("s\ns\ns\n", "--who", "Ann")
    assert "Take two\\x1b[\n             … (23 more characters)" in "\n".join(
        map(str.rstrip, out.splitlines())
    )


def test_what_is_undecided_beside_the_baseline_comes_from_the_judge(project, answer, monkeypatch):
    seen = []

    def judge_case(judge, _case, result):
        seen.append(judge.base)
        return (Verdict(check="keywords >= 1", outcome="undecided", case=result.case),)

    monkeypatch.setattr(Judge, "judge_case", judge_case)
    (project / "base").mkdir()
    store_run(project / "base" / "run.json", [result_of("plain")], app="old")

    _, out, _ = answer("", "--list", "--baseline", "base/run.json")

    assert [base.signature for base in seen] == [{"app": "old"}] * 3
    assert "golden/shop.yaml:10: plain: undecided: keywords >= 1" in out
