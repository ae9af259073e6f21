"""`--llm-shard`: a run of a part of the cases, which is judged with the others."""

from __future__ import annotations

import json

import pytest

from pytest_llmops import load_run
from tests.command import main

APP = """
    from pathlib import Path

    def answer(question):
        with Path("asked.log").open("a") as log:
            log.write(question + "\\n")
        return "bad" if question in Path("bad.txt").read_text().split() else f"good {question}"
"""
CASES = 12
SUITE = "suite: {keywords: {mean: '>= 0.7', max_drop: 0.03}}\n"


def write(project, suite=SUITE, extra=""):
    cases = "".join(
        f"  - {{id: c{at}, input: q{at}, checks: {{keywords: {{all: [good]}}}}{extra}}}\n"
        for at in range(CASES)
    )
    project.write("golden/shop.yaml", f"app: shop:answer\n{suite}cases:\n{cases}")


@pytest.fixture
def shop(project, monkeypatch):
    (project.path / "golden/capitals.yaml").unlink()
    project.write("pyproject.toml", "")
    project.write("shop.py", APP)
    project.write("bad.txt", "")
    write(project)
    monkeypatch.chdir(project.path)
    return project


def run_shards(project, count=3, *arguments):
    """Run all shards, and return their files and exit codes."""
    files = {}
    for number in range(1, count + 1):
        file = f"shard-{number}.json"
        flags = ("--llm-shard", f"{number}/{count}", "--llm-out", file, *arguments)
        files[file] = project.run_here(*flags).ret
    return files


def verdict(lines):
    """The lines of a summary that are the same whoever prints it."""
    return [line for line in lines if line.startswith(("keywords mean", "baseline:", "since the baseline"))]


def prepare_nothing(_):
    """All holds."""


def fail(project):
    project.write("bad.txt", "q1 q2")


def regress(project):
    assert project.run_here("--llm-repeats", "3", "--llm-out", "base.json").ret == 0
    assert main(["accept", "base.json"]) == 0
    project.write("bad.txt", "q3 q7")


def miss_the_mean(project):
    write(project, suite=SUITE.replace("0.7", "0.9").replace("max_drop: 0.03", "max_drop: 0.9"))
    project.write("bad.txt", "q3 q7")


@pytest.mark.parametrize(
    ("prepare", "code"), [(prepare_nothing, 0), (fail, 1), (regress, 1), (miss_the_mean, 1)]
)
def test_shards_of_pytest_together_say_what_one_session_says(shop, capsys, prepare, code):
    prepare(shop)

    single = shop.run_here("--llm-out", "single.json")
    files = run_shards(shop)
    capsys.readouterr()
    assert main(["judge", *files]) == code
    judged = capsys.readouterr().out

    assert single.ret == code
    assert verdict(judged.splitlines()) == verdict(single.outlines)
    assert main(["judge", "single.json"]) == code
    assert capsys.readouterr().out.partition("next:")[0] == judged


def test_each_case_is_run_by_one_machine(shop):
    files = run_shards(shop, 4)

    assert sorted(shop.asked()) == sorted(f"q{at}" for at in range(CASES))
    assert {*files.values()} == {0}
    assert [load_run(file).shard for file in files] == ["1/4", "2/4", "3/4", "4/4"]


def test_a_shard_says_where_the_rest_is_judged(shop):
    result = shop.run_here("--llm-shard", "1/3", "-v")

    result.stdout.no_fnmatch_line("*suite*PASSED*")
    ran = len(shop.asked())
    result.assert_outcomes(passed=ran)
    line = (
        f"shard 1/3: {ran} cases of 12; the verdict is that of all shards: llmops merge, llmops judge, where "
    )
    assert f"{line}the checks over all cases are judged" in result.outlines


def test_workers_share_the_cases_of_a_shard(shop):
    alone = shop.run("--llm-shard", "2/3", "--llm-out", "alone.json")
    shared = shop.run("--llm-shard", "2/3", "--llm-out", "shared.json", "-n", "2")

    assert (alone.ret, shared.ret) == (0, 0)
    one, other = load_run("alone.json"), load_run("shared.json")
    assert [result.case for result in one.results] == [result.case for result in other.results]
    assert one.signature == other.signature
    assert other.shard == "2/3"


def test_a_shard_without_a_case_is_no_error(shop):
    files = run_shards(shop, 40)

    empty = [file for file in files if not load_run(file).results]
    assert empty
    assert {*files.values()} == {0}
    assert main(["judge", *files]) == 0
    shard = load_run(empty[0]).shard
    assert shop.run("--llm-shard", shard, "-n", "2", "--llm-out", empty[0]).ret == 0
    assert main(["merge", *files, "-o", "merged.json"]) == 0


def test_a_choice_that_leaves_nothing_of_a_shard_is_no_success(shop):
    assert shop.run_here("--llm-shard", "1/3", "-k", "nothing").ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--llm-shard", "4/3"), "ERROR: --llm-shard must be from 1/3 to 3/3, not '4/3'"),
        (
            ("--llm-shard", "x"),
            "ERROR: --llm-shard must be a shard and the number of all*such as 3/8, not 'x'",
        ),
        (("--llm-shard", "1/2", "--llm-accept"), "ERROR: shard 1/2 is not accepted by itself*"),
        (("--llm-shard", "1/2", "--llm-mutate", "output"), "ERROR: --llm-mutate measures golden files as*"),
    ],
)
def test_what_cannot_be_is_one_message(shop, arguments, message):
    result = shop.run_here(*arguments)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert shop.asked() == []


def test_a_shard_belongs_to_a_golden_run(shop):
    result = shop.pytester.runpytest_inprocess("--llm-shard", "1/2")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--llm-shard belongs to a golden run: add --llm-golden"])


def test_another_shard_is_not_resumed(shop):
    first = shop.run_here("--llm-shard", "1/2", "-x", "--llm-out", "run.json")
    assert first.ret == 0
    shop.write("bad.txt", " ".join(f"q{at}" for at in range(CASES)))
    stopped = shop.run_here("--llm-shard", "1/2", "-x")
    assert stopped.ret != 0
    result = shop.run_here("--llm-shard", "2/2", "--llm-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*cannot be resumed*the setting shard*"])


def test_cases_of_a_group_stay_together(shop):
    write(shop, extra=", group: same")
    files = run_shards(shop, 5)

    assert sorted(len(load_run(file).results) for file in files) == [0, 0, 0, 0, CASES]
    file = next(file for file in files if load_run(file).results)
    assert main(["judge", file]) == 2  # all cases, and yet only one of five machines was heard


def test_checks_as_they_were_judge_the_merged_run_too(shop, capsys):
    """Against the merge base, the old form of an edited check is judged where all cases are."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    assert shop.run_here("--llm-repeats", "3", "--llm-out", "base.json").ret == 0
    assert main(["accept", "base.json"]) == 0
    shop.write(".gitignore", "*.json\n!golden/*.json\n.llmops\n__pycache__\nasked.log\n")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "base"]):
        shop.pytester.run(*git, *words)
    text = (shop.path / "golden/shop.yaml").read_text()
    (shop.path / "golden/shop.yaml").write_text(text.replace("all: [good]", "all: [bad]"))
    shop.write("bad.txt", "q3")
    flags = ("--llm-baseline", "git:main")

    single = shop.run_here(*flags, "--llm-out", "single.json")
    files = run_shards(shop, 3, *flags)
    capsys.readouterr()
    code = main(["judge", *files, "--baseline", "git:main"])
    judged = capsys.readouterr().out

    assert single.ret == code == 1
    old = [line for line in single.outlines if "(merge base)" in line]
    assert any("regressed" in line for line in old)
    assert any("regressed" in line and "(merge base)" in line for line in judged.splitlines())
    assert main(["merge", *files, "-o", "merged.json"]) == 0
    capsys.readouterr()
    assert main(["judge", "merged.json", "--baseline", "git:main"]) == code
    assert capsys.readouterr().out.partition("next:")[0] == judged.partition("next:")[0]
    assert not any("merge base" in name for name in load_run("merged.json").signature)
    assert "merge base" in json.dumps(json.loads((shop.path / "merged.json").read_text()))
