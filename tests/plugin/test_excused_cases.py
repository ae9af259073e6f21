"""`skip:` and `xfail:` of a case, as pytest reads the marks of these names."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from tests.command import main
from tests.plugin.test_merge_base import FILE, RED, repository  # noqa: F401 - the fixture

ALL = """
    app: capitals:answer
    suite: {keywords: {mean: ">= 0.9"}}
    cases:
      - {id: france, input: capital of France?, checks: {keywords: {all: [Paris]}}}
      - {id: spain, input: capital of Spain?, checks: {keywords: {all: [Madrid]}}}
      - {id: italy, input: capital of Italy?, checks: {keywords: {all: [Rome]}}}
"""
ITALY = "id: italy,"
SUITE = '    suite: {keywords: {mean: ">= 0.9"}}\n'


def excused(excuse: str, of: str = ITALY) -> str:
    return ALL.replace(of, f"{of} {excuse},")


def run_command(project, monkeypatch, capsys, *arguments):
    monkeypatch.chdir(project.path)
    monkeypatch.syspath_prepend(project.path)
    code = main(["run", *arguments])
    return code, capsys.readouterr().out


def test_a_skipped_case_is_not_called_and_in_no_mean(project):
    project.golden(excused("skip: the index is wrong"))
    result = project.run_here("-rs", "--llm-out", "run.json")
    result.assert_outcomes(passed=3, skipped=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*keywords mean >= 0.9 * 1 *passed", "SKIPPED*capitals.yaml:7: the index is wrong"]
    )
    assert sorted(project.asked()) == ["capital of France?", "capital of Spain?"]
    run = json.loads((project.path / "run.json").read_text())
    assert run["skipped"] == {"golden/capitals.yaml::italy": "the index is wrong"}
    assert [entry["case"].partition("::")[2] for entry in run["results"]] == ["france", "spain"]
    assert "partial" not in run["signature"]


def test_workers_skip_as_well(project):
    project.golden(excused("skip: {reason: the index is wrong}"))
    project.run_here("-n", "2").assert_outcomes(passed=3, skipped=1)
    assert "capital of Italy?" not in project.asked()


def test_a_run_that_skips_everything_is_no_success(project):
    project.golden(
        "cases: [{id: france, input: capital of France?, skip: later, checks: {keywords: {all: [Paris]}}}]"
    )
    result = project.run_here("--llm-app", "capitals:answer")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*nothing was scored: every golden item was skipped*"])


def test_the_command_skips_everything_without_success(project, monkeypatch, capsys):
    project.golden(
        "cases: [{id: france, input: capital of France?, skip: later, checks: {keywords: {all: [Paris]}}}]"
    )
    code, out = run_command(project, monkeypatch, capsys, "--app", "capitals:answer")
    assert code == 3
    assert "nothing was scored" in out


def test_a_skipped_case_of_the_baseline_is_named_and_undecided(project):
    project.golden(ALL.replace("Rome", "Milan"))
    project.run_here("--llm-accept").assert_outcomes(passed=4)
    project.golden(excused("skip: the index is wrong"))
    result = project.run_here()
    assert result.ret == 0
    assert result.parseoutcomes()["undecided"] == 1
    result.stdout.fnmatch_lines(
        ["undecided: skipped, and in the baseline: golden/capitals.yaml::italy (the index is wrong)"]
    )
    project.write("pytest.ini", "[pytest]\nllm_undecided = fail\n")
    assert project.run_here().ret == 1


def test_accepting_a_run_keeps_skipped_cases_in_the_baseline(project, monkeypatch):
    project.golden(ALL.replace("Rome", "Milan"))
    project.run_here("--llm-accept")
    project.golden(excused("skip: the index is wrong"))
    project.run_here("--llm-out", "run.json")
    monkeypatch.chdir(project.path)
    assert main(["accept", "run.json", "--all", "--prune"]) == 0
    kept = json.loads((project.path / "golden" / "baseline.json").read_text())
    assert "golden/capitals.yaml::italy" in [entry["case"] for entry in kept["cases"]]


def test_compare_is_undecided_by_a_skipped_case_of_the_baseline(project, monkeypatch, capsys):
    project.golden(ALL.replace("Rome", "Milan"))
    project.run_here("--llm-out", "base.json")
    project.golden(excused("skip: the index is wrong"))
    project.run_here("--llm-out", "run.json")
    monkeypatch.chdir(project.path)
    capsys.readouterr()
    assert main(["compare", "base.json", "run.json", "--format", "json"]) == 2
    compared = json.loads(capsys.readouterr().out)
    assert compared["outcome"] == "undecided"
    assert compared["cases"]["skipped"] == {"golden/capitals.yaml::italy": "the index is wrong"}
    assert compared["cases"]["missing"] == []


def test_an_expected_failure_is_no_failure(project):
    project.golden(excused("xfail: Milan is no capital").replace(SUITE, ""))
    result = project.run_here("-rx")
    result.assert_outcomes(passed=2, xfailed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["XFAIL*italy*Milan is no capital"])
    assert "capital of Italy?" in project.asked()


def test_an_expected_failure_counts_in_the_mean(project):
    project.golden(excused("xfail: Milan is no capital"))
    result = project.run_here()
    result.assert_outcomes(passed=2, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*keywords mean >= 0.9 * 0.6667 *failed"])


@pytest.mark.parametrize(
    "written",
    [
        ("xfail: wrong", "", "xpassed"),
        ("xfail: {reason: wrong, strict: true}", "", "failed"),
        ("xfail: wrong", "xfail_strict = true", "failed"),
        ("xfail: {reason: wrong, strict: false}", "xfail_strict = true", "xpassed"),
    ],
)
def test_a_case_that_passes_unexpectedly(project, monkeypatch, capsys, written):
    """Red where it is strict, in both doors."""
    excuse, ini, outcome = written
    project.golden(excused(excuse, "id: france,").replace("Rome", "Milan"))
    project.write("pytest.ini", f"[pytest]\n{ini}\n")
    result = project.run_here()
    result.assert_outcomes(passed=3, **{outcome: 1})
    assert result.ret == int(outcome == "failed")
    code, out = run_command(project, monkeypatch, capsys)
    assert code == int(outcome == "failed")
    assert f"1 {outcome}" in out
    if outcome == "failed":
        result.stdout.fnmatch_lines(["FAILED*france*XPASS(strict)*wrong*"])
        assert "[XPASS(strict)] wrong" in out


def test_runxfail_runs_cases_as_if_nothing_was_expected(project):
    project.golden(excused("xfail: Milan is no capital").replace(SUITE, ""))
    result = project.run_here("--runxfail")
    result.assert_outcomes(passed=2, failed=1)


def test_an_app_that_breaks_is_an_error_all_the_same(project, monkeypatch, capsys):
    project.golden(excused("xfail: it breaks").replace("capital of Italy?", "capital of Peru?"))
    result = project.run_here()
    assert result.parseoutcomes()["errors"] == 2  # and the mean
    assert "xfailed" not in result.parseoutcomes()
    code, out = run_command(project, monkeypatch, capsys)
    assert code == 3
    assert "0 xfailed" not in out


def test_the_command_and_its_reports_say_what_was_expected(project, monkeypatch, capsys):
    text = excused("xfail: Milan is no capital").replace(SUITE, "")
    project.golden(
        text.replace("id: spain,", "id: spain, skip: not today,").replace(
            "France?,", "France?, xfail: wrong,"
        )
    )
    code, out = run_command(project, monkeypatch, capsys, "--out", "run.json")
    assert code == 0
    assert "0 passed, 0 failed, 0 regressed, 0 undecided, 0 error, 0 known, 1 xfailed, 1 xpassed" in out
    assert "skipped: golden/capitals.yaml::spain (not today)" in out
    assert "expected to fail: Milan is no capital" in out
    for ending in ("xml", "html", "md"):
        assert main(["report", "run.json", "-o", f"report.{ending}"]) == 0
    tests = {test.get("name"): test for test in ET.parse(project.path / "report.xml").iter("testcase")}  # noqa: S314 - our own
    assert tests["italy"].find("skipped").get("message").startswith("xfailed: keywords")
    assert tests["spain"].find("skipped").get("message") == "not today"
    assert list(tests["france"]) == []
    comment = (project.path / "report.md").read_text()
    assert "1 expected to fail, 1 passing although expected to fail, 1 skipped" in comment
    capsys.readouterr()
    main(["compare", "run.json", "run.json", "--format", "json"])
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert (counts["xfailed"], counts["xpassed"], counts["failed"]) == (1, 1, 0)


def test_a_regression_of_an_expected_failure_is_red_in_no_comparison(project, monkeypatch, capsys):
    project.golden(ALL.replace("Rome", "Milan").replace(SUITE, ""))
    project.run_here("--llm-out", "base.json", "--llm-repeats", "3")
    project.golden(excused("xfail: Milan is no capital").replace(SUITE, "").replace("Rome", "Milan"))
    project.write("capitals.py", "def answer(question):\n    return 'Paris, Madrid'\n")
    result = project.run_here("--llm-baseline", "base.json", "--llm-out", "run.json", "-k", "italy")
    assert result.parseoutcomes()["xfailed"] == 1
    monkeypatch.chdir(project.path)
    capsys.readouterr()
    main(["compare", "base.json", "run.json", "--format", "json"])
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    italy = [verdict for verdict in verdicts if verdict["check"] == "keywords >= 1"]
    assert [verdict["xfail"] for verdict in italy] == ["Milan is no capital"]
    assert not any("case by case" in verdict["check"] for verdict in verdicts)


@pytest.mark.parametrize(
    ("excuse", "message"),
    [
        ("skip: true", "*:7: italy: skip must be the reason as text, *, not true"),
        ("skip: ''", "*:7: italy: skip is empty"),
        ("skip: ' '", "*:7: italy: skip must be the reason as text, *"),
        ("skip: {}", "*:7: italy: skip: reason is missing"),
        ("skip: {reason: a, strict: true}", "*:7: italy: unknown key 'strict'. Known keys: reason."),
        ("xfail: {reason: a, stict: true}", "*:7: italy: unknown key 'stict'. Did you mean 'strict'?*"),
        ("xfail: {reason: a, strict: often}", "*:7: italy: xfail: strict must be true or false*"),
        ("metadata: [a]", "*:7: italy: metadata must be a mapping*"),
        ("description: {}", "*:7: italy: description must be text*"),
    ],
)
def test_a_wrong_excuse_is_named(project, excuse, message):
    project.golden(excused(excuse))
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}"])


def test_what_is_expected_to_fail_needs_a_check(project):
    project.golden(excused("xfail: wrong").replace("checks: {keywords: {all: [Rome]}}", "tags: [a]"))
    result = project.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*:7: italy: xfail: the case has no check that could fail*"])


def test_hostile_reasons_do_not_reach_the_terminal(project):
    project.golden(excused('skip: "red\\e[31m\\u202e sk-proj-abcdefghijklmnopqrstuvwxyz1234567890ABCD"'))
    result = project.run_here("-rs", "--llm-out", "run.json")
    shown = result.stdout.str() + (project.path / "run.json").read_text()
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown
    assert "sk-proj-abc" not in shown


@pytest.mark.parametrize(
    ("excuse", "listed"),
    [
        ("skip: not today", "case-2: is skipped (now: not today)"),
        ("xfail: not today", "case-2: is expected to fail (now: not today)"),
        ("xfail: {reason: never, strict: true}", "case-2: is expected to fail (now: never, strict: true)"),
    ],
)
def test_a_new_excuse_is_a_loosening(repository, excuse, listed):  # noqa: F811
    repository.change("id: case-2,", f"id: case-2, {excuse},", FILE)
    result = repository.ask()
    assert [item.partition(": ")[2] for item in repository.listed(result)] == [listed]
    assert RED in result.outlines
    assert result.ret == 1
    approved = repository.ask(*repository.approvals(result))
    assert RED not in approved.outlines


def test_an_excuse_of_the_merge_base_is_none_and_says_so(repository):  # noqa: F811
    repository.git("switch", "--quiet", "main")
    repository.change("id: case-2,", "id: case-2, skip: not today,", FILE)
    repository.git("switch", "--quiet", "--create", "further")
    repository.change("VARIES = False", "VARIES = bool(0)", "capitals.py")
    result = repository.ask()
    assert result.ret == 0
    assert repository.listed(result) == []
    result.stdout.fnmatch_lines(["warning: skipped, and in the baseline: *::case-2 (not today)"])
    repository.change("id: case-2, skip: not today,", "id: case-2,", FILE)
    assert repository.listed(repository.ask()) == []


def test_descriptions_and_metadata_are_no_loosening(repository):  # noqa: F811
    repository.change("id: case-2,", "id: case-2, description: two, metadata: {owner: {name: ann}},", FILE)
    result = repository.ask()
    assert repository.listed(result) == []
    assert result.ret == 0
