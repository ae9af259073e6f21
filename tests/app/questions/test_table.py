"""The table of docs/reference-app.md is rewritten between its marks, and nothing else is."""

from __future__ import annotations

import json

import pytest

from benchmarks.questions.figures import list_shares
from benchmarks.questions.scoring import load_questions, score
from benchmarks.questions.table import CURATED, PAGE, ROOT, write_table
from pytest_llmops import load_golden

QUESTIONS = load_questions()
SCORED = [score(question, {"text": question["expected"]["reference"]}) for question in QUESTIONS]


@pytest.fixture
def page(tmp_path):
    copy = tmp_path / "page.md"
    copy.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    return copy


def around(text):
    before, _, rest = text.partition("<!-- figures")
    return before, rest.partition("<!-- end of figures -->")[2]


def write_run(path, value):
    cases = load_golden(CURATED, root=ROOT).cases
    results = [
        {
            "case": f"{CURATED}::{case.id}",
            "scores": [{"metric": check.metric, "value": value(check)} for check in case.checks],
        }
        for case in cases
    ]
    path.write_text(json.dumps({"results": results}), encoding="utf-8")
    return len(cases)


def test_both_shares_are_in_the_table(page, tmp_path):
    of = write_run(tmp_path / "run.json", lambda check: check.threshold)

    write_table(SCORED, list(list_shares(SCORED)), tmp_path / "run.json", page, page)

    text = page.read_text(encoding="utf-8")
    assert f"| curated golden set (`{CURATED}`), all checks | {of}/{of} | 1.00 |" in text
    assert "| all questions | 142/144 | 0.99 |" in text  # two of them have to act too
    assert around(text) == around(PAGE.read_text(encoding="utf-8"))


def test_a_missed_check_is_a_case_that_is_not_right(page, tmp_path):
    of = write_run(
        tmp_path / "run.json", lambda check: -1.0 if check.metric == "keywords" else check.threshold
    )

    write_table(SCORED, list(list_shares(SCORED)), tmp_path / "run.json", page, page)

    passing = sum(
        all(check.metric != "keywords" for check in case.checks)
        for case in load_golden(CURATED, root=ROOT).cases
    )
    assert f"all checks | {passing}/{of} |" in page.read_text(encoding="utf-8")


def test_without_a_run_the_golden_set_keeps_its_row(page, tmp_path):
    row = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if CURATED in line)

    write_table(SCORED, list(list_shares(SCORED)), tmp_path / "none.json", page, page)

    assert row in page.read_text(encoding="utf-8")
