"""The baseline of a run by the settings, and the file that accepted cases go to."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops import load_golden
from pytest_llmops.errors import LLMOpsError, ReviewError, RevisionError, RunFileError, SettingsError
from pytest_llmops.evaluation.baseline import (
    accept_into_baseline,
    accepted_path,
    describe_missed,
    find_baseline,
)
from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.golden.identity import input_hash
from pytest_llmops.golden.reviews import Review, append_reviews
from pytest_llmops.judges.rubric_file import DEFAULT
from pytest_llmops.prompts.files import find_prompts
from pytest_llmops.prompts.lock import lock_prompts
from pytest_llmops.records import CaseResult, Check, Failure, Output, Run, Score
from pytest_llmops.reports.files.baseline_file import load_baseline, name_release, write_baseline
from pytest_llmops.reports.files.run_file import write_run
from pytest_llmops.settings import Settings, load_settings
from tests.git_settings import forget_git_settings

GOLDEN = "version: 1\ncases: [{id: a, input: hello, checks: {keywords: {all: [hi]}}}]\n"
PROMPT = "---\nname: planner\nversion: {}\nkind: planner\n---\n{}\n"
REVIEW = Review(
    case="golden/shop.yaml::a",
    input_hash="",
    answer="0" * 16,
    verdict="good",
    who="ada",
    when="2026-01-31T09:15:00Z",
)


def run_of(value: float = 1.0, *, case: str = "a", **signature: str) -> Run:
    result = CaseResult(
        case=f"golden/shop.yaml::{case}",
        input_hash="",
        outputs=(Output(text="hi"),),
        scores=(Score(metric="keywords", value=value, signature="keywords|v1"),),
    )
    return Run(signature={"golden:golden/shop.yaml": "aa", **signature}, results=(result,))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden/shop.yaml").write_text(GOLDEN)
    return tmp_path


def goldens(root: Path):
    return [load_golden(path, root=root) for path in sorted((root / "golden").glob("*.yaml"))]


def find(root: Path, baseline: str | None = None, **options) -> BaselineSource:
    return find_baseline(replace(load_settings(root), baseline=baseline), goldens(root), **options)


def value_of(source: BaselineSource) -> float | None:
    return source.base.results[0].scores[0].value if source.base else None


def test_nothing_was_accepted_yet(root):
    assert replace(find(root), goldens=()) == BaselineSource()


def test_the_accepted_baseline_counts_unless_another_is_named(root):
    write_baseline(run_of(1.0), root / "golden/baseline.json")
    write_baseline(run_of(0.5), root / "other.json")
    write_run(run_of(0.25), root / "run.json")
    values = {name: value_of(find(root, name)) for name in (None, "other.json", "run.json", "none")}
    assert values == {None: 1.0, "other.json": 0.5, "run.json": 0.25, "none": None}


def test_reviews_are_read_with_and_without_a_baseline(root):
    append_reviews(root / "golden/reviews.jsonl", [REVIEW], lock=root / "lock")
    assert find(root).reviews == find(root, "none").reviews == (REVIEW,)
    (root / "golden/reviews.jsonl").write_text("{")
    with pytest.raises(ReviewError):
        find(root, "none")


@pytest.mark.parametrize("name", ["nowhere.json", "golden", "golden/shop.yaml"])
def test_what_is_no_baseline_is_told(root, name):
    with pytest.raises(RunFileError, match=name):
        find(root, name)


def test_what_differs_is_told_of_a_run_with_a_baseline(root):
    write_baseline(run_of(app="old"), root / "golden/baseline.json")
    seen, *differs = find(root).describe(run_of(app="new"), Settings())
    assert seen.startswith("baseline: 1 case, ")
    assert differs == ["since the baseline: app: old → new"]
    assert find(root, "none").describe(run_of(app="new"), Settings()) == []


@pytest.mark.parametrize(
    ("baseline", "path"),
    [
        (None, "kept.json"),
        ("none", "kept.json"),
        ("git:origin/main", "kept.json"),
        ("other.json", "other.json"),
        ("/elsewhere/base.json", "/elsewhere/base.json"),
    ],
)
def test_what_is_accepted_goes_where_it_is_compared_or_to_the_accepted_baseline(root, baseline, path):
    settings = Settings(root=root, baseline=baseline, accepted="kept.json")
    assert accepted_path(settings) == root / path


def test_accepting_tells_what_was_taken(root):
    settings = Settings(root=root)
    assert accept_into_baseline(run_of(), settings) == ("golden/baseline.json: 1 case accepted, 0 kept", True)
    assert accept_into_baseline(run_of(0.5), settings) == (
        "golden/baseline.json: 0 cases accepted, 1 kept",
        True,
    )
    assert load_baseline(root / "golden/baseline.json").results[0].scores[0].value == 1.0
    broken = run_of(case="b").results[0]
    broken = replace(broken, failures=(Failure(metric="", stage="app", error="boom"),))
    stale = replace(run_of().results[0], scores=(Score(metric="keywords", value=1, signature="keywords|v2"),))
    message, done = accept_into_baseline(replace(run_of(), results=(stale, broken)), settings)
    assert done
    assert message == (
        "golden/baseline.json: 0 cases accepted, 1 kept, "
        "1 refused: golden/shop.yaml::b: repeat 0: the app: boom; "
        "of the kept 1 lacks a metric or was scored otherwise (llmops accept --all)"
    )


def test_accepting_what_cannot_be_is_told_and_leaves_the_file(root):
    path = root / "golden/baseline.json"
    write_baseline(run_of(), path)
    before = path.read_bytes()
    message, done = accept_into_baseline(replace(run_of(), results=()), Settings(root=root))
    assert (message, done) == ("nothing was accepted: the run has no result; nothing was accepted", False)
    assert path.read_bytes() == before
    path.write_text("{")
    message, done = accept_into_baseline(run_of(), Settings(root=root))
    assert message.startswith("nothing was accepted: ")
    assert not done
    message, done = accept_into_baseline(run_of(), Settings(root=root, accepted="golden/shop.yaml/base.json"))
    assert message.startswith("nothing was accepted: ")
    assert not done


def test_a_baseline_that_nothing_can_be_taken_into_is_told_beforehand(root):
    (root / "golden/baseline.json").write_text("{")
    write_run(run_of(), root / "run.json")
    find(root, "none")
    for name in (None, "none", "run.json"):
        with pytest.raises(RunFileError):
            find(root, name, accept=True)


def test_cases_that_are_taken_although_they_miss_a_check_are_counted(root):
    def run(*values: float) -> Run:
        results = [
            replace(
                run_of(value, case=f"case-{number}").results[0],
                checks=(Check(metric="keywords", comparison=">=", threshold=0.5),),
            )
            for number, value in enumerate(values)
        ]
        return replace(run_of(), results=tuple(results))

    settings = Settings(root=root)
    message, _ = accept_into_baseline(run(1, 0), settings)
    assert message.endswith(
        "2 cases accepted, 0 kept; 1 of them misses a check, and is a known failure from now on"
    )
    message, _ = accept_into_baseline(run(1, 0, 0, 0), settings)
    assert message.endswith(
        "2 cases accepted, 2 kept; 2 of them miss a check, and are known failures from now on"
    )
    assert describe_missed(0) == ""


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("golden/shop.yaml", "ends in .json or .jsonl"),
        ("pyproject.toml", "ends in .json or .jsonl"),
        ("golden/baseline.json", "this is the baseline"),
        ("./golden/../golden/baseline.json", "this is the baseline"),
        ("other.json", "this is the baseline"),
        ("golden/reviews.jsonl", "this is the log of reviews"),
        ("golden/more.jsonl", "this is a golden file"),
        ("golden/named.json", "this is a golden file"),
    ],
)
def test_a_run_is_not_written_over_what_it_needs(root, out, message):
    (root / "golden/more.jsonl").write_text('{"id": "a", "input": "hello"}\n')
    write_baseline(run_of(), root / "other.json")
    loaded = [*goldens(root), load_golden(root / "golden/more.jsonl", root=root)]
    named = ("golden/", "golden/named.json")
    settings = Settings(root=root, golden=named, baseline="other.json", out=out)
    with pytest.raises(SettingsError, match=message) as caught:
        find_baseline(settings, loaded)
    assert "\n" not in str(caught.value)
    for fine in ("run.json", "golden/run.jsonl", "runs/other.json"):
        find_baseline(replace(settings, out=fine), loaded)


def test_a_named_baseline_of_other_cases_is_refused(root):
    write_baseline(run_of(case="b"), root / "other.json")
    write_baseline(run_of(case="b"), root / "golden/baseline.json")
    with pytest.raises(
        RunFileError, match=r"other\.json: contains no case of golden/shop\.yaml; it is of another"
    ):
        find(root, "other.json")
    assert find(root, "other.json", accept=True).base
    assert find(root).base
    assert find(root, "golden/baseline.json").base


def test_a_baseline_that_is_named_and_still_to_be_made(root):
    assert replace(find(root, "new.json", accept=True), goldens=()) == BaselineSource()
    with pytest.raises(RunFileError, match=r"Make it: pytest --llm-golden --llm-repeats auto --llm-accept"):
        find(root, "new.json")


class Repository:
    """A project in git, with what it holds committed on `main`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True)  # noqa: S603, S607

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a commit")


@pytest.fixture
def repository(root, monkeypatch):
    forget_git_settings(monkeypatch)
    write_baseline(run_of(1.0), root / "golden/baseline.json")
    append_reviews(root / "golden/reviews.jsonl", [REVIEW], lock=root / ".git-ignored")
    repository = Repository(root)
    repository.commit()
    return repository


def places(root: Path, **options) -> list[tuple[str, str]]:
    return [(loosening.place, loosening.what) for loosening in find(root, "git:main", **options).loosened]


def test_baseline_and_reviews_are_those_of_the_revision(root, repository):
    repository.git("switch", "--quiet", "--create", "branch")
    write_baseline(run_of(1.0, case="b"), root / "golden/baseline.json")
    append_reviews(root / "golden/reviews.jsonl", [replace(REVIEW, who="bob")], lock=root / "lock")
    repository.commit()
    source = find(root, "git:main")
    assert source.base.results[0].case == "golden/shop.yaml::a"
    assert source.reviews == (REVIEW,)


@pytest.mark.parametrize("renames", ["case", "file"])
def test_a_renamed_case_or_file_keeps_its_evidence_and_that_is_reported(root, renames):
    run = run_of(0.5)
    asked = input_hash(goldens(root)[0].cases[0])
    run = replace(run, results=(replace(run.results[0], input_hash=asked),))
    write_baseline(run, root / "golden/baseline.json")
    if renames == "case":
        (root / "golden/shop.yaml").write_text(GOLDEN.replace("id: a", "id: returns"))
    else:
        (root / "golden/shop.yaml").rename(root / "golden/store.yaml")
    source = find(root)
    new = "golden/shop.yaml::returns" if renames == "case" else "golden/store.yaml::a"
    assert source.renamed == {"golden/shop.yaml::a": new}
    assert [result.case for result in source.base.results] == [new]
    lines = source.describe(replace(run, results=source.base.results), load_settings(root))
    assert f"1 case renamed since the baseline, and compared as before: golden/shop.yaml::a → {new}" in lines


def test_the_release_baseline_is_that_of_the_revision(root, repository):
    path = root / "golden/baseline.json"
    name_release(path, "1.4")
    repository.commit()
    repository.git("switch", "--quiet", "--create", "branch")
    write_baseline(run_of(0.5), path)
    name_release(path, "1.5")
    repository.commit()
    release = find(root, "git:main").release
    assert (release.name, release.run.results[0].scores[0].value) == ("1.4", 1.0)
    assert find(root).release.name == "1.5"
    assert ("golden/baseline.release.json", "the release baseline was named anew") in places(root)


@pytest.mark.usefixtures("repository")
def test_a_working_tree_that_says_the_same_loosens_nothing(root):
    assert find(root, "git:HEAD").loosened == ()
    (root / "golden/shop.yaml").write_text(GOLDEN.replace("hi]", "hi, ho]"))
    assert places(root) == []


@pytest.mark.usefixtures("repository")
def test_what_was_never_committed_counts_as_well(root):
    (root / "golden/shop.yaml").write_text("version: 1\ncases: [{id: a, input: hello}]\n")
    assert places(root) == [("golden/shop.yaml:2", "no longer checks keywords")]


def test_files_that_were_not_selected_are_compared_too(root, repository):
    repository.write(**{"golden/more.yaml": GOLDEN})
    repository.commit()
    (root / "golden/more.yaml").write_text(GOLDEN.replace("id: a, input: ", "id: b, input: another "))
    settings = replace(load_settings(root), baseline="git:main")
    selected = [load_golden(root / "golden/shop.yaml", root=root)]
    loosened = find_baseline(settings, selected).loosened
    assert [(item.place, item.case) for item in loosened] == [("golden/more.yaml", "golden/more.yaml::a")]


def test_where_baseline_and_reviews_lay_is_told_by_the_settings_of_then(root, repository):
    other = "[tool.pytest-llmops]\naccepted = 'quality/base.json'\nreviews = 'quality/log.jsonl'\n"
    repository.git("switch", "--quiet", "--create", "branch")
    repository.write(**{"pyproject.toml": other})
    write_baseline(run_of(0.0), root / "quality/base.json")
    source = find(root, "git:main")
    assert value_of(source) == 1.0
    assert [(loosening.place, loosening.what) for loosening in source.loosened][:2] == [
        ("pyproject.toml", "the setting accepted changed"),
        ("pyproject.toml", "the setting reviews changed"),
    ]
    assert [item.place for item in source.loosened][2:] == [
        "quality/base.json",
        "quality/log.jsonl",
    ]


@pytest.mark.parametrize(
    ("name", "before", "after", "message"),
    [
        ("pytest.ini", "[pytest]\naddopts = -q\n", "[pytest]\naddopts = -q -k policy\n", ["pytest.ini"]),
        ("pytest.ini", "[pytest]\naddopts = -q  -x\n", "[pytest]\naddopts =\n  -q\n  -x\n", []),
        ("pyproject.toml", "", "[tool.pytest.ini_options]\naddopts = ['-q']\n", ["pyproject.toml"]),
        (
            "pyproject.toml",
            "[tool.pytest-llmops]\nmax_repeats = 48\ntimeout_s = 9\nbudget = '2'\n",
            "[tool.pytest-llmops]\nmax_repeats = 8\ntimeout_s = 1\nbudget = '1'\n",
            ["pyproject.toml", "pyproject.toml"],
        ),
        ("pytest.ini", "[pytest]\n", "[pytest]\nllm_app = shop:answer\n", ["pytest.ini"]),
    ],
)
def test_settings_of_both_sides_are_compared(  # noqa: PLR0913, PLR0917 - a file, twice, and two fixtures
    root, repository, name, before, after, message
):
    repository.write(**{name: before})
    repository.commit()
    repository.write(**{name: after})
    assert [place for place, _ in places(root)] == message


def test_a_prompt_that_broke_its_promise_is_seen_through_a_new_lock(root, repository):
    def lock() -> None:
        lock_prompts(["prompts"], root, find_prompts(["prompts"], root))

    repository.write(
        **{
            "prompts/planner.md": PROMPT.format("2.0.0", "Plan."),
            "golden/shop.yaml": GOLDEN.replace("cases", "prompts: [prompts]\ncases"),
        }
    )
    lock()
    repository.commit()
    assert places(root) == []
    repository.write(**{"prompts/planner.md": PROMPT.format("1.0.0", "Plan otherwise.")})
    lock()
    ((place, what),) = places(root)
    assert place == "prompts.lock"
    assert "prompts/planner.md" in what
    assert "planner" in what
    if os.name != "nt":  # where a name can hold no line end
        (root / "prompts/planner.md").rename(root / "prompts/plan\nner.md")
        assert "prompts/plan\\nner.md: planner:" in places(root)[0][1]


@pytest.mark.parametrize("text", ["cases: [\n", "version: 1\ncases: [{id: a}]\n"])
def test_a_golden_file_that_was_broken_then_is_told_with_its_revision(root, repository, text):
    repository.write(**{"golden/shop.yaml": text})
    repository.commit()
    (root / "golden/shop.yaml").write_text(GOLDEN)
    with pytest.raises(RevisionError, match=r"at git:main: golden/shop\.yaml:"):
        find(root, "git:main")


@pytest.mark.parametrize(
    ("name", "text"),
    [("golden/baseline.json", "{"), ("golden/reviews.jsonl", "{}\n"), ("pyproject.toml", "[tool")],
)
def test_whatever_else_was_broken_then_is_one_error(root, repository, name, text):
    before = (root / name).read_text() if (root / name).exists() else None
    repository.write(**{name: text})
    repository.commit()
    (root / name).unlink() if before is None else (root / name).write_text(before)
    with pytest.raises(LLMOpsError):
        find(root, "git:main")


def test_an_empty_folder_among_those_of_the_settings_hides_no_other(root, repository):
    repository.write(**{"pyproject.toml": "[tool.pytest-llmops]\ngolden = ['golden/', 'evals/']\n"})
    repository.write(**{"evals/note.md": "to come"})
    repository.commit()
    assert find_baseline(replace(load_settings(root), baseline="git:main"), []).loosened == ()


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("golden/rubrics/mine.yaml", "judge: {rubric: mine}"),
        ("golden/answer.schema.json", "json_schema: {schema: golden/answer.schema.json}"),
    ],
)
def test_a_file_that_checks_rest_on_is_told_when_it_changed(root, repository, monkeypatch, path, check):
    monkeypatch.chdir(root)
    anchors = ", ".join(f'"{step}": as {step}' for step in range(1, 6))
    rubric = (
        f"name: mine\nversion: 1.0.0\ncriteria: {{tone: {{asks: Is it kind?, anchors: {{{anchors}}}}}}}\n"
    )
    schema = '{"type": "object"}'
    golden = f"judge: some-model\ncases: [{{id: a, input: hello, checks: {{{check}}}}}]\n"
    repository.write(**{"golden/rubrics/mine.yaml": rubric, "golden/answer.schema.json": schema})
    repository.write(**{"golden/shop.yaml": golden})
    repository.commit()
    write_baseline(run_of(1.0), root / "golden/baseline.json")

    assert path not in [place for place, _ in places(root)]
    (root / path).write_text((root / path).read_text().replace("kind?", "there?").replace("object", "array"))
    assert (path, "checks rest on this file, and it is not what it was") in places(root)


@pytest.mark.parametrize("check", ["judge: {rubric: default}", "judge: true"], ids=["named", "by default"])
def test_a_new_rubric_that_takes_the_place_of_a_built_in_one_is_a_loosening(
    root, repository, monkeypatch, check
):
    monkeypatch.chdir(root)
    golden = f"judge: some-model\ncases: [{{id: a, input: hello, checks: {{{check}}}}}]\n"
    repository.write(**{"golden/shop.yaml": golden})
    repository.commit()
    write_baseline(run_of(1.0), root / "golden/baseline.json")
    assert [place for place, _ in places(root) if "rubrics" in place] == []

    anchors = ", ".join(f'"{step}": as {step}' for step in range(1, 6))
    repository.write(
        **{
            f"golden/rubrics/{DEFAULT}.yaml": f"name: {DEFAULT}\nversion: 1.0.0\n"
            f"criteria: {{tone: {{asks: Is it there?, anchors: {{{anchors}}}}}}}\n"
        }
    )
    assert (
        f"golden/rubrics/{DEFAULT}.yaml",
        "checks rest on this file, and it is not what it was",
    ) in places(root)


def test_an_error_without_a_file_is_named(root, monkeypatch):
    def broken(*_arguments):
        raise OSError("no space left")

    monkeypatch.setattr("pytest_llmops.evaluation.baseline.update_baseline", broken)

    message, done = accept_into_baseline(run_of(), Settings(root=root))

    assert not done
    assert message.endswith("golden/baseline.json: no space left")
    assert "None" not in message
