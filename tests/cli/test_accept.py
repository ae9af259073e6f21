"""`llmops accept`: what is written where, what is printed, and its exit codes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops import Score, load_run
from tests.command import main
from tests.unit.gates import gate_records
from tests.unit.gates.gate_records import check_of, failure_of, store_run

BASELINE = Path("golden/baseline.json")


def result_of(case, value=1.0, **more):
    return gate_records.result_of(case, texts=["within 60 days"], bleu=value, **more)


def repeated(case, repeats, *, varies=False, value=1.0):
    texts = [f"answer {repeat if varies else 0}" for repeat in range(repeats)]
    return gate_records.result_of(case, texts=texts, bleu=[value] * repeats)


def record(*results, **signature):
    store_run("run.json", results, **{"golden:golden/shop.yaml": "ab", **signature})


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)


def test_each_kind_of_case_is_reported_and_only_new_ones_are_taken(capsys):
    record(result_of("a"), result_of("b"), result_of("gone"))
    assert main(["accept", "run.json"]) == 0
    assert "baseline.json: written\n3 added: golden/shop.yaml::a, " in capsys.readouterr().out
    broken = result_of("c\u202e", failures=[failure_of("\x1b[2Jno weights", "bleu", "score")])
    record(
        replace(result_of("a", 0.5), input_hash="asks otherwise"), result_of("b", 0.5), result_of("d"), broken
    )

    assert main(["accept", "run.json"]) == 0

    message = capsys.readouterr().out.splitlines()
    assert message[0].endswith("golden/baseline.json: written")
    assert message[1:] == [
        "1 added: golden/shop.yaml::d",
        "0 replaced",
        "1 edited, so taken anew: what they ask was changed: golden/shop.yaml::a",
        "1 kept",
        "0 of these stale: a metric is new or scores otherwise; --all takes the run's",
        "1 unused: in no golden file any more; --prune takes them out: golden/shop.yaml::gone",
        "0 pruned",
        "1 refused",
        "  golden/shop.yaml::c\\u202e: repeat 0: bleu: \\x1b[2Jno weights",
    ]
    assert [result.scores[0].value for result in load_run(BASELINE).results] == [0.5, 1, 1, 1]


def test_all_prune_and_with_outputs(capsys):
    record(*(result_of(case) for case in "abcdefgh"))
    main(["accept", "run.json"])
    assert "within 60 days" not in BASELINE.read_text()
    record(result_of("a", 0.5))
    capsys.readouterr()

    assert main(["accept", "run.json", "--all", "--prune", "--with-outputs"]) == 0

    message = capsys.readouterr().out
    assert "1 replaced: golden/shop.yaml::a\n" in message
    assert "golden/shop.yaml::f, and 2 more\n" in message
    (entry,) = load_run(BASELINE).results
    assert (entry.scores[0].value, entry.outputs[0].text) == (0.5, "within 60 days")


@pytest.mark.parametrize(
    ("count", "message"),
    [(1, "1 of these has fewer repeats than"), (2, "2 of these have fewer repeats than")],
)
def test_entries_that_lose_repeats_are_reported(capsys, count, message):
    record(repeated("a", 4), repeated("b", 3), repeated("c", 1))
    main(["accept", "run.json"])
    assert "fewer" not in capsys.readouterr().out
    record(repeated("a", 2), repeated("b", 4 - count), repeated("c", 2))

    assert main(["accept", "run.json", "--all"]) == 0

    assert f"\n{message} before: record with --llm-repeats auto\n" in capsys.readouterr().out


@pytest.mark.parametrize(("varies", "wanted"), [(True, 10), (False, 2)])
def test_no_case_is_replaced_by_fewer_repeats_than_a_baseline_has(capsys, varies, wanted):
    record(repeated("a", 22, varies=varies), repeated("b", 22, varies=varies))
    main(["accept", "run.json"])
    before = BASELINE.read_bytes()
    record(repeated("a", wanted - 1, value=0.5), repeated("b", wanted - 1, value=0.5))

    assert main(["accept", "run.json", "--all"]) == 3

    assert (
        f"run it with --llm-repeats {wanted}, or add the run's repeats by --merge" in capsys.readouterr().err
    )
    assert BASELINE.read_bytes() == before
    record(repeated("a", wanted, value=0.5), repeated("b", wanted - 1, value=0.5))
    assert main(["accept", "run.json", "--all"]) == 0
    assert [len(result.answers) for result in load_run(BASELINE).results] == [wanted, 22]


def test_new_cases_with_few_repeats_of_an_app_that_varies_are_reported(capsys):
    record(repeated("a", 10, varies=True))
    main(["accept", "run.json"])
    assert "fewer than" not in capsys.readouterr().out
    record(repeated("a", 10, varies=True), repeated("b", 1))

    assert main(["accept", "run.json"]) == 0

    message = "1 of these has fewer than 10 repeats though the app varies: record with --llm-repeats auto"
    assert message in capsys.readouterr().out


def test_a_renamed_case_keeps_its_repeats_and_two_of_one_question_are_not_guessed(capsys):
    twins = [replace(repeated(case, 3), input_hash="asks twice") for case in ("c", "d")]
    record(repeated("a", 10), *twins)
    main(["accept", "run.json"])
    capsys.readouterr()
    renamed = replace(repeated("a", 1), case="golden/shop.yaml::returns")
    record(renamed, *(replace(twin, case=f"{twin.case}2") for twin in twins))

    assert main(["compare", str(BASELINE), "run.json"]) == 2  # the twins
    assert main(["accept", "run.json"]) == 0

    message = capsys.readouterr().out
    line = "1 case renamed since the baseline, and compared as before: "
    assert message.count(f"{line}golden/shop.yaml::a → golden/shop.yaml::returns") == 2
    assert "2 added: golden/shop.yaml::c2, golden/shop.yaml::d2" in message
    by_case = {result.case: len(result.answers) for result in load_run(BASELINE).results}
    assert by_case["golden/shop.yaml::returns"] == 10
    assert "golden/shop.yaml::a" not in by_case


def test_cases_that_miss_a_check_are_reported_but_for_a_leak(capsys):
    leaky = gate_records.result_of("b", checks=[check_of("pii_leak", "<= 0")], pii_leak=1)
    record(result_of("a", 0.1, checks=[check_of("bleu", ">= 0.5")]), leaky)

    assert main(["accept", "run.json"]) == 0

    message = "\nof all that were taken, 1 misses a check, and is a known failure from now on\n"
    assert message in capsys.readouterr().out


def test_nothing_changed_leaves_the_file_alone(capsys):
    record(result_of("a"))
    main(["accept", "run.json"])
    before = BASELINE.stat().st_ino, BASELINE.read_bytes()
    capsys.readouterr()

    assert main(["accept", "run.json", "--all", "--prune"]) == 0

    assert "baseline.json: nothing changed\n0 added\n" in capsys.readouterr().out
    assert (BASELINE.stat().st_ino, BASELINE.read_bytes()) == before


def test_file_is_the_typed_one_or_the_settings_or_the_default(monkeypatch):
    record(result_of("a"))
    Path("sub").mkdir()
    monkeypatch.chdir("sub")
    assert main(["accept", "../run.json"]) == 0
    assert Path("../golden/baseline.json").is_file()
    assert main(["accept", "../run.json", "--baseline", "mine.json"]) == 0
    assert Path("mine.json").is_file()
    Path("../pyproject.toml").write_text('[tool.pytest-llmops]\nbaseline = "kept/base.json"')
    assert main(["accept", "../run.json"]) == 0
    assert Path("../kept/base.json").is_file()
    Path("../golden/baseline.json").unlink()
    Path("../pyproject.toml").write_text('[tool.pytest-llmops]\nbaseline = "git:origin/main"')
    assert main(["accept", "../run.json"]) == 0
    assert Path("../golden/baseline.json").is_file()


def test_cases_of_a_golden_file_that_is_gone_can_be_pruned(capsys):
    record(result_of("a"), replace(result_of("b"), case="golden/bank.yaml::b"))
    main(["accept", "run.json"])
    Path("golden/shop.yaml").touch()
    record(result_of("a"), partial="1 of 2 cases")
    main(["accept", "run.json"])
    assert "1 unused: in no golden file any more; --prune takes them out: golden/bank.yaml::b" in (
        capsys.readouterr().out
    )

    assert main(["accept", "run.json", "--prune"]) == 0

    message = capsys.readouterr().out
    assert "1 pruned: golden/bank.yaml::b" in message
    assert "were not pruned: the run has a part of them only" in message
    assert [result.case for result in load_run(BASELINE).results] == ["golden/shop.yaml::a"]


def test_what_replacing_loses_is_kept_or_reported(capsys):
    """Outputs that were kept once, and a metric that the run did not score."""
    other = Score(metric="chrf", value=1.0, signature="chrf|v1")
    record(replace(result_of("a"), scores=(*result_of("a").scores, other)))
    main(["accept", "run.json", "--with-outputs"])
    record(gate_records.result_of("a", texts=["within a month"], bleu=0.5))
    capsys.readouterr()

    assert main(["accept", "run.json", "--all"]) == 0

    lost = "1 of these not scored by chrf any more, as they were before: golden/shop.yaml::a"
    assert lost in capsys.readouterr().out
    assert load_run(BASELINE).results[0].outputs[0].text == "within a month"


def test_repeats_that_cannot_be_merged_are_not_advised_to_be(capsys):
    record(repeated("a", 3))
    main(["accept", "run.json"])
    scores = tuple(replace(score, signature="bleu|v2") for score in result_of("a").scores)
    record(replace(result_of("a"), scores=scores))

    assert main(["accept", "run.json", "--all"]) == 3

    message = capsys.readouterr().err
    assert "run it with --llm-repeats 2" in message
    assert "--merge" not in message


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ((), "the run has no result"),
        ((replace(result_of("a"), scores=()),), "nothing in the run was scored"),
        ((replace(result_of("a"), outputs=(), scores=()),), "golden/shop.yaml::a: the app gave no output"),
    ],
)
def test_a_run_with_nothing_acceptable_is_exit_3(capsys, results, words):
    record(*results)

    assert main(["accept", "run.json", "--all", "--prune"]) == 3

    assert words in capsys.readouterr().err
    assert not BASELINE.exists()


@pytest.mark.parametrize(
    "text",
    ['{"version": 1, "kind": "baseline", "cases": [', '{"version": 2}', '{"version": 1, "results": []}'],
)
def test_a_broken_baseline_is_reported_and_stays(capsys, text):
    record(result_of("a"))
    BASELINE.parent.mkdir()
    BASELINE.write_text(text)

    assert main(["accept", "run.json", "--all"]) == 4

    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "accept" in message
    assert BASELINE.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.json"], "there is no such run file"),
        (["run.json", "--baseline", "git:main"], "--baseline git:main: a baseline is written to a file"),
        (["run.json", "--baseline", "none"], "--baseline none: a baseline is written to a file"),
        (["golden/baseline.json"], "is a baseline, no run"),
    ],
)
def test_a_mistake_is_a_line_and_exit_4(capsys, arguments, words):
    record(result_of("a"))
    main(["accept", "run.json"])
    before = BASELINE.read_bytes()

    assert main(["accept", *arguments]) == 4

    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert BASELINE.read_bytes() == before


def test_written_file_can_be_reviewed_line_by_line():
    record(result_of("b"), result_of("a"))
    main(["accept", "run.json"])
    lines = BASELINE.read_text().splitlines()
    assert [json.loads(line.rstrip(","))["case"] for line in lines if line.startswith("  {")] == [
        "golden/shop.yaml::a",
        "golden/shop.yaml::b",
    ]


def test_run_of_an_app_becomes_the_baseline(tmp_path):
    Path("accepted_app.py").write_text("def answer(question):\n    return question.upper()\n")
    BASELINE.parent.mkdir()
    Path("golden/shop.yaml").write_text(
        "version: 1\napp: accepted_app:answer\nsuite: {latency_s: {p95: '<= 9', max_drop: 1}}\n"
        "cases: [{id: a, input: hello, repeats: 2, checks: {keywords: {all: [HELLO]}}}]\n"
    )
    try:
        assert main(["run", "--out", "run.json"]) == 0
    finally:
        sys.modules.pop("accepted_app", None)
        sys.path[:] = [each for each in sys.path if each != str(tmp_path)]

    assert main(["accept", "run.json"]) == 0

    (entry,) = load_run(BASELINE).results
    assert len(entry.answers) == 2
    assert {score.metric: score.signature != "" for score in entry.scores} == {
        "keywords": True,
        "latency_s": True,
    }
    assert all(name in BASELINE.read_text() for name in ('"keywords": [1]', '"golden:golden/shop.yaml": '))
