"""`llmops comment`: what broke, in which cases, since which change, for a reviewer who sees nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from pytest_llmops.reports.comment import LONGEST, MARKER
from tests.command import main
from tests.git_settings import forget_git_settings

APP = """
    import os
    ANSWERS = {"How long?": "60 days", "Where?": "Leeds", "Pay?": "card", "Gift?": "Yes"}
    WORSE = {"How long?": "Ask @ann,\\n\\n/close <img src=x> https://x.example #1", "Gift?": "No"}

    def answer(question):
        if os.environ.get("TONE") == "broken":
            raise ValueError("boom")
        return (ANSWERS | WORSE if os.environ.get("TONE") else ANSWERS).get(question, "We do not know")
"""
CASES = {
    "long": ("How long?", "60"),
    "where": ("Where?", "York"),
    "pay": ("Pay?", "card"),
    "gift": ("Gift?", "No"),
}
GOLDEN = "app: shop:answer\nsuite: {{keywords: {{mean: '>= 0.1'}}}}\ncases:\n{}"


def write_golden(path, cases):
    rows = [
        f"  - {{id: {name}, input: {question}, checks: {{keywords: {{all: ['{word}']}}}}}}\n"
        for name, (question, word) in cases.items()
    ]
    path.write_text(GOLDEN.format("".join(rows)))


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A project whose baseline is accepted, and that a variable of the environment makes worse."""
    (tmp_path / "golden").mkdir()
    (tmp_path / "shop.py").write_text("\n".join(line.removeprefix("    ") for line in APP.split("\n")))
    (tmp_path / "pyproject.toml").touch()
    write_golden(tmp_path / "golden/shop.yaml", CASES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    main(["run", "--out", "base.json"])
    main(["accept", "base.json", "--all"])
    return tmp_path


@pytest.fixture
def comment(shop, monkeypatch, capsys):  # noqa: ARG001 - it is run there
    """Runs the worse app, and returns exit code and comment."""
    monkeypatch.setenv("TONE", "kind")

    def write(*flags):
        main(["run", "--out", "run.json"])
        capsys.readouterr()
        return main(["comment", "run.json", *flags]), capsys.readouterr().out

    return write


def test_a_reviewer_learns_what_broke_since_when_and_how_to_see_it(comment):
    code, text = comment("--baseline", "base.json")

    assert code == 0
    assert text.startswith(f"{MARKER}\n**failed**\n")
    counts = "1 worse than in the baseline, 1 below a threshold and no worse than in the baseline, 1 fixed"
    assert f"\n- 4 cases: {counts}\n" in text
    fold = text[text.index("<details>") : text.index("</details>")]
    assert "<code>failed: golden/shop.yaml::long: keywords &gt;= 1</code>" in fold
    for line in (
        "input      How long?",
        "before     60 days",
        "now        Ask @ann,",
        "failed     keywords &gt;= 1: 1 → 0; missing: '60'",
    ):
        assert f"\n  {line}" in fold
    assert "- below a threshold, and no worse than in the baseline: golden/shop.yaml::where\n" in text
    assert "- fixed: golden/shop.yaml::gift\n" in text
    assert "- also changed since the baseline: environment TONE is set now\n" in text
    assert "| keywords mean \\>= 0.1 | 0.5 | 0.5 |" in text
    assert "  $          pytest --llm-golden golden/shop.yaml::long\n" in text
    assert "with TONE set as in that run" in text


def test_a_reviewer_sees_the_commits_and_lines_that_came_since(shop, comment, monkeypatch):
    forget_git_settings(monkeypatch)

    def commit(message):
        for words in (["init", "-q"], ["add", "--all"], ["commit", "-qm", message]):
            subprocess.run(["git", *words], cwd=shop, check=True)  # noqa: S603, S607 - our own words

    commit("Accept")
    (shop / "shop.py").write_text((shop / "shop.py").read_text().replace("do not know", "<b>cannot</b> say"))
    commit("Be honest @ann")
    _, text = comment()

    assert "accepted in commit" in text
    assert "<summary><code>shop.py: 1 commit</code></summary>" in text
    assert " Be honest @ann" in text
    assert "&lt;b&gt;cannot" in text


def test_a_comment_on_a_selection_says_so(shop, comment, capsys):
    comment()
    run = json.loads((shop / "run.json").read_text())
    run["results"], run["signature"]["partial"] = run["results"][:2], "2 of 4 cases"
    (shop / "selection.json").write_text(json.dumps(run))
    capsys.readouterr()
    assert main(["comment", "selection.json"]) == 0
    text = capsys.readouterr().out
    assert "a selection: 2 of 4 cases of these golden files were run" in text
    assert "2 missing, which leaves the others undecided at best" in text
    assert text.startswith(f"{MARKER}\n**failed**\n")
    assert "| the rest of the run |" in text
    assert "| keywords mean \\>= 0.1 |" not in text


def test_without_a_baseline_that_is_named_it_is_the_accepted_one(comment):
    code, text = comment()
    assert code == 0
    assert "1 worse than in the baseline" in text
    assert "  before " not in text  # it keeps no answers


def test_the_first_run_has_thresholds_alone(shop, comment):
    (shop / "golden/baseline.json").unlink()
    code, text = comment("--job", "success")
    assert code == 0
    assert "\n**failed**\n" in text
    assert "- there is no baseline: only thresholds decide\n" in text
    assert "  now        Ask @ann,\n" in text
    write_golden(shop / "golden/shop.yaml", {"where": ("Where?", "Leeds")})
    _, text = comment("--job", "success")
    assert "\n**undecided**\n" in text


@pytest.mark.parametrize("keys", [["results"], ["scores", "checks"], ["scores"]], ids=str)
def test_a_first_run_that_scored_nothing_is_an_error(shop, capsys, keys):
    (shop / "golden/baseline.json").unlink()
    run = json.loads((shop / "base.json").read_text()) | {"suite": {}}
    for part in [run] if keys == ["results"] else run["results"]:
        part.update({key: [] for key in keys})
    (shop / "run.json").write_text(json.dumps(run))
    capsys.readouterr()
    assert main(["comment", "run.json", "--job", "success"]) == 0
    assert "\n**error**\n" in capsys.readouterr().out


def test_a_check_that_the_baseline_does_not_know_is_neither_fixed_nor_worse(shop, comment, monkeypatch):
    monkeypatch.delenv("TONE")
    fresh = "1 failing by checks that the baseline has no score of, 3 missing"
    for word, counts in (("60", "3 missing"), ("70", fresh)):
        checks = f"{{keywords: {{all: ['60']}}, regex: {{pattern: '{word}'}}}}"
        row = f"{{id: long, input: How long?, checks: {checks}}}"
        (shop / "golden/shop.yaml").write_text(f"app: shop:answer\ncases: [{row}]\n")
        _, text = comment("--job", "success")
        assert f"1 case: {counts}" in text


def test_without_the_result_of_the_job_it_says_what_it_does_not_know(comment):
    assert "this says nothing of loosened checks" in comment()[1]
    assert "this says nothing of loosened checks" not in comment("--job", "success")[1]


def test_whatever_breaks_is_an_error_in_the_comment(shop, capsys, monkeypatch):  # noqa: ARG001 - as above
    def crash(*_):
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("pytest_llmops.cli.comment.open_sides", crash)
    capsys.readouterr()
    assert main(["comment", "base.json", "--job", "success"]) == 3
    assert "\n**error: nothing could be compared**\n" in capsys.readouterr().out


def test_what_an_app_answers_does_nothing(comment):
    _, text = comment()
    assert "now        Ask @ann,\n" in text
    assert "<img" not in text
    assert "\n/close" not in text


def test_new_cases_and_missing_ones_are_named_and_renamed_ones_followed(shop, comment):
    cases = {"duration": CASES["long"], "far": ("How far?", "10"), "open": ("When?", "know")}
    write_golden(shop / "golden/shop.yaml", cases)
    _, text = comment()
    fresh = "1 failing by checks that the baseline has no score of"
    assert f"- 3 cases: 1 worse than in the baseline, {fresh}, 3 missing" in text
    for name in ("duration", "far"):
        assert f"<code>failed: golden/shop.yaml::{name}: keywords &gt;= 1</code>" in text
    assert "- new cases: golden/shop.yaml::far\n- new cases: golden/shop.yaml::open\n" in text
    for name in ("gift", "pay", "where"):
        assert f"- missing, of the baseline's cases: golden/shop.yaml::{name}\n" in text


def test_the_question_of_another_version_of_a_case_is_not_shown(shop, comment, capsys):
    code, _ = comment()
    assert code == 0
    write_golden(shop / "golden/shop.yaml", {"long": ("How short?", "60")})
    capsys.readouterr()
    main(["comment", "run.json"])
    shown = capsys.readouterr().out
    assert "failed: golden/shop.yaml::long" in shown
    assert "How short?" not in shown


def compare_with_before(golden, comment):
    """Run another golden file before and after the app got worse; the comment."""
    Path("golden/shop.yaml").write_text(golden)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TONE")
        main(["run", "--out", "base.json"])
    return comment("--baseline", "base.json")[1]


def test_a_suite_check_that_dropped_names_its_cases(comment):
    rows = "".join(f"  - {{id: c{number}, input: How long?}}\n" for number in range(20))
    suite = "suite: {keywords: {max_drop: 0.1, all: ['60']}}"
    text = compare_with_before(f"app: shop:answer\n{suite}\ncases:\n{rows}", comment)
    assert "\n**regressed**\n" in text
    assert "worse than in the baseline" not in text  # of single cases
    assert "<code>regressed: golden/shop.yaml::c0: keywords mean" in text


def test_an_app_that_breaks_is_an_error_with_its_reason(comment, monkeypatch):
    monkeypatch.setenv("TONE", "broken")
    _, text = comment()
    assert "\n**error**\n" in text
    assert re.search("<code>error: golden/shop.yaml::long: .*keywords &gt;= 1</code>", text)
    assert "4 cases: 4 broken" in text
    assert "boom" in text


def test_a_check_that_is_missed_for_the_first_time_is_worse_whatever_else_was_missed(comment):
    row = "{id: a, input: How long?, checks: {keywords: {all: ['York']}, regex: {pattern: '^60'}}}"
    text = compare_with_before(f"app: shop:answer\ncases: [{row}]\n", comment)
    (line,) = re.findall("<code>.*golden/shop.yaml::a: .*</code>", text)
    assert "regex" in line
    assert "keywords" not in line


def test_answers_that_hold_are_green_unless_the_job_failed(shop, comment, monkeypatch):  # noqa: ARG001 - as above
    monkeypatch.delenv("TONE")
    assert "\n**passed**\n" in comment()[1]
    assert "\n**passed**\n" in comment("--job", "success")[1]
    assert "\n**failed: the job ended by timed\\_out; " in comment("--job", "timed_out")[1]
    code, text = comment("--job", "failure", "--link", "https://ci.example/7")
    assert code == 0
    assert "\n**failed: the job ended by failure; the comparison by itself is passed**\n" in text
    assert "its log says why" in text
    assert text.endswith("\n[more of this run](<https://ci.example/7>)\n")


def test_a_run_that_is_not_there_is_an_error_in_the_comment_too(shop, capsys):  # noqa: ARG001 - as above
    capsys.readouterr()
    assert main(["comment", "run.json", "--job", "failure"]) == 3
    printed = capsys.readouterr()
    assert "\n**error: nothing could be compared**\n" in printed.out
    assert "run.json: there is no such run file" in printed.err


def test_a_file_of_the_project_that_is_broken_is_an_error_in_the_comment_too(shop, capsys):
    (shop / "golden/reviews.jsonl").write_text("{")
    capsys.readouterr()
    assert main(["comment", "base.json"]) == 3
    assert "\n**error: nothing could be compared**\n" in capsys.readouterr().out


def test_there_is_room_for_it_however_much_broke(shop, comment, capsys):
    cases = {f"case-{number:04}-{'x' * 60}": ("How long?", "y" * 150) for number in range(900)}
    write_golden(shop / "golden/shop.yaml", cases)
    texts = {"github": comment("--format", "github")[1]}
    main(["comment", "run.json", "--format", "gitlab"])
    texts["gitlab"] = capsys.readouterr().out
    for style, text in texts.items():
        assert len(text) <= LONGEST[style]
        assert "900 cases: 900 failing by checks that the baseline has no score of" in text
        assert "\n- worse: and " in text
        assert "more characters" not in text[text.index("pytest --llm-golden") :]


def test_a_link_is_a_link(shop, capsys):  # noqa: ARG001 - as above
    capsys.readouterr()
    with pytest.raises(SystemExit, match="4"):
        main(["comment", "base.json", "--link", "javascript:alert(1)"])
    assert "'javascript:alert(1)' is no URL of http or https" in capsys.readouterr().err


@pytest.fixture
def summary(shop, monkeypatch):
    path = shop / "summary.md"
    path.write_text("# An earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


def test_a_run_in_github_actions_appends_it_to_the_summary_of_the_step(shop, summary, monkeypatch):
    assert main(["run"]) == 0
    assert summary.read_text().startswith(f"# An earlier step\n{MARKER}\n**passed**\n")
    monkeypatch.setenv("TONE", "kind")
    assert main(["run"]) == 1
    text = summary.read_text()
    assert "\n**failed**\n\n- 4 cases: 1 worse than in the baseline" in text
    assert "- compared with golden/baseline.json\n" in text
    assert "  input      How long?\n" in text
    (shop / "golden/baseline.json").unlink()
    assert main(["run"]) == 1
    assert "- there is no baseline: only thresholds decide\n" in summary.read_text()


def test_a_run_that_is_red_for_another_reason_is_red_in_the_summary(shop, summary):
    (shop / "pyproject.toml").write_text('[tool.pytest-llmops]\nknown_failures = "fail"\n')
    assert main(["run"]) == 1
    assert (
        "\n**failed: the job ended by failure; the comparison by itself is passed**\n" in summary.read_text()
    )


def test_a_summary_that_cannot_be_written_is_a_sentence(shop, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(shop / "nowhere/summary.md"))
    capsys.readouterr()
    assert main(["run"]) == 0
    assert "not reported to GitHub Actions: " in capsys.readouterr().out
