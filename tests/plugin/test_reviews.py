"""A person's word on an answer: what it settles in the next run, and what it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import main
from tests.plugin.varying import Varying, outcomes_of
from tests.stored_files import add_review

APP = """
    from pathlib import Path

    def answer(question):
        log = Path("asked") / question
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as asked:
            asked.write(b".")
            nth = asked.tell() - 1
        said = Path(f"{question}.txt").read_text().split(",")
        return said[nth % len(said)]
"""
GOLDEN = """
    version: 1
    app: capitals:answer
    cases:
      - {id: flaky, input: flaky, checks: {keywords: {all: [good], min: 0.5}}}
      - {id: sure, input: sure, checks: {keywords: {all: [good], min: 0.5}}}
"""
FLAKY = "good,bad,bad,good,bad"


@pytest.fixture
def shop(project):
    """Its baseline held both cases; of the five answers to one of them two hold now."""
    project.app(APP)
    project.golden(GOLDEN)
    project.write("pytest.ini", "[pytest]\nllm_undecided = fail\nllm_repeats = 5\n")
    say(project, flaky="good,good,good,bad,good", sure="good")
    shop = Varying(project)
    shop.ask("--llm-accept")
    say(project, flaky=FLAKY)
    return shop


def say(project, **answers: str) -> None:
    for question, said in answers.items():
        (project.path / f"{question}.txt").write_text(said)


def review(shop: Varying, case: str, verdict: str, /, *answers: str, **fields: str) -> None:
    run = json.loads((shop.path / ".llmops/runs/last.json").read_text())
    asked = {each["case"]: each["input_hash"] for each in run["results"]}
    item = f"golden/capitals.yaml::{case}"
    known = {"case": item, "input_hash": asked[item], "verdict": verdict, **fields}
    for answer in answers:
        add_review(shop.path / "golden" / "reviews.jsonl", answer=answer, **known)


def test_what_nobody_has_looked_at_is_undecided(shop):
    result = shop.ask("-k", "flaky or sure")
    assert outcomes_of(result) == {"passed": 1, "failed": 0, "regressed": 0, "undecided": 1, "error": 0}
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*undecided *keywords >= 0.5: 0.4*; flaky: 2 of 5 repeats hold it*"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_good_review_of_every_answer_settles_it(shop, workers):
    review(shop, "flaky", "good", "good", "bad")
    result = shop.ask("-k", "flaky or sure", workers=workers)
    assert outcomes_of(result) == {"passed": 2, "failed": 0, "regressed": 0, "undecided": 0, "error": 0}
    assert result.ret == 0


def test_llmops_run_is_settled_too(shop, capsys, monkeypatch):
    shop.project.write("pyproject.toml", "[tool.pytest-llmops]\nundecided = 'fail'\nrepeats = 5\n")
    monkeypatch.syspath_prepend(shop.path)
    shop.start_over()
    assert main(["run", "--concurrency", "1"]) == 1
    review(shop, "flaky", "good", "good", "bad")
    shop.start_over()
    assert main(["run", "--concurrency", "1"]) == 0
    assert " passed, 0 failed, 0 regressed, 0 undecided, 0 error" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "fields"),
    [
        (("good",), {}),
        (("good", "another answer"), {}),
        (("good", "bad"), {"input_hash": "of another question"}),
        (("good", "bad"), {"case": "golden/capitals.yaml::sure"}),
    ],
    ids=["one answer", "an answer that was", "a question that was", "another case"],
)
def test_a_review_of_something_else_settles_nothing(shop, answers, fields):
    review(shop, "flaky", "good", *answers, **fields)
    assert outcomes_of(shop.ask())["undecided"] == 1


def test_a_review_is_stale_as_soon_as_an_answer_is_another(shop):
    review(shop, "flaky", "good", "good", "bad")
    assert shop.ask().ret == 0
    say(shop.project, flaky=FLAKY.replace("bad", "worse"))
    result = shop.ask()
    assert outcomes_of(result)["undecided"] == 1
    assert result.ret == 1


@pytest.mark.parametrize("case", ["flaky", "sure"])
def test_a_bad_review_fails_the_case(shop, case):
    review(shop, case, "bad", "good")
    result = shop.ask("-k", case)
    assert outcomes_of(result) == {"passed": 0, "failed": 1, "regressed": 0, "undecided": 0, "error": 0}
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*failed *keywords*", "*reviewed bad by ada on 2026-01-31"])


def test_the_latest_word_counts(shop):
    review(shop, "flaky", "bad", "bad")
    review(shop, "flaky", "good", "good", "bad", when="2026-02-01T00:00:00Z")
    assert shop.ask().ret == 0


def test_a_review_lifts_nothing_that_is_missed_for_certain(shop):
    say(shop.project, sure="bad")
    review(shop, "sure", "good", "bad")
    result = shop.ask("-k", "sure")
    assert outcomes_of(result)["regressed"] + outcomes_of(result)["failed"] == 1
    assert result.ret == 1


def test_without_a_baseline_reviews_count_as_well(shop):
    review(shop, "sure", "bad", "good")
    assert outcomes_of(shop.ask("--llm-baseline", "none"))["failed"] == 2


@pytest.mark.parametrize("text", ["{", "{}\n", "not JSON\n"])
def test_a_broken_log_is_told_before_a_case_is_asked(shop, text):
    log = Path(shop.path / "golden" / "reviews.jsonl")
    log.write_text(text)
    result = shop.ask()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*reviews.jsonl:1: *"])
    result.stderr.no_fnmatch_line("*Traceback*")
    assert not (shop.path / "asked").exists()
    assert log.read_text() == text


def test_a_log_that_was_edited_by_hand_is_told(shop):
    review(shop, "flaky", "bad", "good")
    log = shop.path / "golden" / "reviews.jsonl"
    log.write_text(log.read_text().replace('"bad"', '"good"'))
    result = shop.ask()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*reviews.jsonl:1: was edited*"])
