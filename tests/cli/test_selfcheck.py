"""`llmops selfcheck`: which files it reads, what it prints, and its exit codes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.command import main
from tests.unit.gates import gate_records
from tests.unit.gates.gate_records import store_run

ACCEPTED = Path("golden/baseline.json")
GOLDEN = """
checks: {rouge_l: ">= 0.5"}
suite: {rouge_l: {max_drop: 0.1}}
cases:
  - {id: c0, input: hi, reference: hello}
"""


def result_of(case, *values):
    made = gate_records.result_of(case, rouge_l=[*values])
    return replace(made, outputs=(), answers=tuple(f"said {value}" for value in values))


UNSCORED = (
    '{"version": 1, "kind": "baseline", "signature": {}, '
    '"cases": [{"case": "a::b", "repeats": 2, "answers": ["x"], "scores": {}}]}'
)
VARYING = [result_of(f"c{each}", 1.0, 0.4, 0.9, 0.5) for each in range(8)]


def accept(results, path=ACCEPTED):
    store_run(path, results, accepted=True)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)


def selfcheck_json(capsys, *arguments):
    code = main(["selfcheck", *arguments, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_accepted_baseline_is_checked_beside_its_golden_file(capsys):
    Path("golden").mkdir()
    Path("golden/shop.yaml").write_text(GOLDEN)
    accept(VARYING)

    code, told = selfcheck_json(capsys, "--runs", "20")

    assert code == 0
    assert told["false_alarms"]["runs"] == 20
    assert [each["check"] for each in told["checks"]] == ["rouge_l mean, max_drop 0.1"]
    assert told["checks"][0]["smallest_drop"] > 0.1
    assert len(told["cases"]["varying"]) == 8
    assert told["repeats"] == 20  # the last look of auto, which is the default


def test_runs_are_200_unless_told_otherwise(capsys):
    accept(VARYING[:1])

    assert selfcheck_json(capsys)[1]["false_alarms"]["runs"] == 200


def test_without_a_golden_file_the_means_are_checked_and_that_is_told(capsys):
    accept(VARYING, "mine.json")
    Path("sub").mkdir()

    assert main(["selfcheck", "mine.json", "--runs", "5"]) == 0

    told = capsys.readouterr()
    assert told.err.startswith("note: golden/shop.yaml: no such file")
    assert told.err.count("\n") == 1
    assert "\nrouge_l mean  0." in told.out
    assert "\n8 cases: 8 vary: golden/shop.yaml::c0, " in told.out


def test_files_are_found_from_a_folder_of_the_project(monkeypatch):
    accept(VARYING)
    Path("sub").mkdir()
    monkeypatch.chdir("sub")

    assert main(["selfcheck", "--runs", "5"]) == 0
    assert main(["selfcheck", "../golden/baseline.json", "--runs", "5"]) == 0


def test_settings_say_where_the_baseline_is_and_how_often_cases_are_asked(capsys):
    Path("pyproject.toml").write_text('[tool.pytest-llmops]\naccepted = "kept/base.json"\nrepeats = "auto"')
    accept(VARYING, "kept/base.json")

    code, told = selfcheck_json(capsys, "--runs", "5")

    assert (code, told["repeats"]) == (0, 20)


def test_steady_cases_are_told_without_a_run(capsys):
    accept([result_of(f"c{each}", 1.0, 1.0) for each in range(3)])

    code, told = selfcheck_json(capsys)

    assert code == 0
    assert told["false_alarms"] == {"rate": 0.0, "low": 0.0, "high": 0.0, "runs": 0}
    assert len(told["cases"]["steady"]) == 3


def test_one_repeat_a_case_is_exit_3_and_what_is_known(capsys):
    accept([result_of("a", 1.0), result_of("b", 0.5)])

    code, told = selfcheck_json(capsys)

    assert code == 3
    assert told["false_alarms"] is None
    assert told["cases"]["single"] == ["golden/shop.yaml::a", "golden/shop.yaml::b"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (None, "golden/baseline.json: there is no such run file or baseline"),
        ('{"version": 1, "kind": "baseline", "cases": [', "golden/baseline.json: "),
        (
            '{"version": 1, "kind": "baseline", "signature": {}, "cases": []}',
            "nothing in the baseline was scored",
        ),
        (
            UNSCORED,
            "record the baseline with --llm-repeats auto or 10",
        ),
    ],
)
def test_what_cannot_be_checked_is_a_line_and_exit_3(capsys, written, words):
    if written is not None:
        ACCEPTED.parent.mkdir()
        ACCEPTED.write_text(written)

    assert main(["selfcheck"]) == 3

    told = capsys.readouterr()
    assert words in told.err.splitlines()[-1]
    assert told.out == ""


@pytest.mark.parametrize("runs", ["0", "-3", "many", "1.5", "1e3"])
def test_a_number_of_runs_that_is_none_is_a_line_and_exit_4(capsys, runs):
    accept(VARYING)

    assert main(["selfcheck", f"--runs={runs}"]) == 4

    assert f"--runs takes a whole number above 0, not '{runs}'" in capsys.readouterr().err


def test_a_path_in_a_baseline_leads_nowhere_and_cannot_act_on_the_terminal(capsys):
    accept([replace(VARYING[0], case="\x1b[2J\x00.yaml::a", input_hash="")])

    assert main(["selfcheck", "--runs", "2"]) == 0

    told = "".join(capsys.readouterr())
    assert "\\x1b[2J\\x00.yaml" in told
    assert "\x1b" not in told
