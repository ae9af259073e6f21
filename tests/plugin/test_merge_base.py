"""`--llm-baseline git:REF`: a change that loosens its own gate is listed and red, in real repositories."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.git_settings import forget_git_settings
from tests.plugin.varying import STEADY, Varying, golden_text, outcomes_of
from tests.stored_files import add_review

RED = "that is red, unless whoever runs the pipeline approves each of them: --llm-allow-loosening 'ITEM'"
MAIN = ("--llm-baseline", "git:main")
FILE = "golden/capitals.yaml"
BOUND = "the suite's keywords mean: bound changed"
DROP = "the suite's keywords mean: max_drop changed"
CHECKED = "{keywords: {all: [good]}}"


@dataclass(frozen=True, slots=True)
class Repository:
    """A branch of one commit, on top of `main` with golden files and an accepted baseline."""

    varying: Varying

    @property
    def path(self) -> Path:
        return self.varying.path

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, capture_output=True, text=True, check=True)  # noqa: S603, S607
        return done.stdout

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)

    def change(self, old: str, new: str, file: str = "golden/capitals.yaml") -> None:
        """An edit in the branch; it must have something to edit."""
        before = (self.path / file).read_text()
        assert old in before
        (self.path / file).write_text(before.replace(old, new))
        self.commit("a change")

    def ask(self, *arguments: str, against: tuple[str, ...] = MAIN) -> pytest.RunResult:
        return self.varying.ask(*against, *arguments)

    def items(self, result: pytest.RunResult, *, approved: bool = False) -> list[str]:
        """What the summary lists as looser and not approved, or as approved."""
        lines = result.outlines
        end = r"approved places?:" if approved else r"places?:"
        head = re.compile(rf"this change loosens its own gate in \d+ {end}")
        heads = [at for at, line in enumerate(lines) if head.fullmatch(line)]
        if not heads:
            return []
        rest = lines[heads[0] + 1 :]
        return [line.strip() for line in rest[: next(at for at, line in enumerate(rest) if line[0] != " ")]]

    def listed(self, result: pytest.RunResult, *, approved: bool = False) -> list[str]:
        """The items without the digests of what is there now."""
        items = self.items(result, approved=approved)
        return [
            re.sub(r",? ?\(?sha256 [0-9a-f]{16}\)$", lambda match: ")" * (match[0][0] == ","), item)
            for item in items
        ]

    def approvals(self, result: pytest.RunResult) -> list[str]:
        """The flags that approve each of the items."""
        return [f"--llm-allow-loosening={item}" for item in self.items(result)]


@pytest.fixture
def repository(project, tmp_path_factory):
    """The files of the first one are copied for all others."""
    forget_git_settings(project.environment)
    first = tmp_path_factory.getbasetemp() / "repository"
    if not first.exists():
        begin_repository(project)
        part = first.with_name("repository.part")
        shutil.copytree(project.path, part)
        part.rename(first)
    shutil.copytree(first, project.path, dirs_exist_ok=True)
    return Repository(Varying(project))


def begin_repository(project):
    project.app(STEADY)
    project.golden(golden_text(4))
    project.write(".gitignore", "asked/\n.llmops/\n__pycache__/\n*.json\n!golden/*.json\nbroken-*\n")
    project.write("pyproject.toml", "[tool.pytest-llmops]\nundecided = 'fail'\n[tool.pytest.ini_options]\n")
    repository = Repository(Varying(project))
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.varying.ask("--llm-accept", "--llm-repeats", "2")
    repository.commit("the beginning")
    repository.git("switch", "--quiet", "--create", "branch")


def test_an_honest_change_is_compared_and_nothing_is_listed(repository):
    repository.change("VARIES = False", "VARIES = bool(0)", "capitals.py")
    result = repository.ask()
    assert result.ret == 0
    assert repository.listed(result) == []
    repository.varying.break_case(2)
    result = repository.ask()
    assert outcomes_of(result)["regressed"] == 2  # the case, and the mean beyond its max_drop
    result.stdout.fnmatch_lines(["*case-2*", "*regressed *"])


def test_another_picture_under_the_name_in_an_input_is_listed(repository):
    repository.git("switch", "--quiet", "main")
    repository.change("input: question 0", "input: {text: question 0, image: golden/stove.png}", FILE)
    (repository.path / "golden" / "stove.png").write_bytes(b"\x89PNG\r\n\x1a\n before")
    repository.commit("a picture")
    repository.git("switch", "--quiet", "--create", "picture")
    assert repository.listed(repository.ask()) == []

    (repository.path / "golden" / "stove.png").write_bytes(b"\x89PNG\r\n\x1a\n after")
    repository.commit("an easier picture")

    what = "a file of its input changed"
    assert repository.listed(repository.ask()) == [f"{FILE}:5: case-0: {what}"]


@pytest.mark.parametrize(
    ("old", "new", "listed"),
    [
        (
            "{mean: '>= 0.5', max_drop: 0.05}",
            "{mean: '>= 0.4', max_drop: 0.05}",
            f"{FILE}: {BOUND} (before: >= 0.5, now: >= 0.4)",
        ),
        (
            "max_drop: 0.05",
            "max_drop: 0.5",
            f"{FILE}: {DROP} (before: max_drop 0.05, now: max_drop 0.5)",
        ),
        (
            f"  - {{id: case-2, input: question 2, checks: {CHECKED}}}\n",
            "",
            f"{FILE}: case-2: the case was removed",
        ),
        (
            f"question 1, checks: {CHECKED}",
            "question 1",
            f"{FILE}:6: case-1: no longer checks keywords (before: keywords >= 1)",
        ),
        (
            "question 3, checks: {keywords: {all: [good]}}",
            "question 3, checks: {keywords: {all: [good], min: 0.5}}",
            f"{FILE}:8: case-3: keywords: bound changed (before: >= 1, now: >= 0.5)",
        ),
        (
            "question 0",
            "question 20",
            f"{FILE}:5: case-0: input changed",
        ),
    ],
)
def test_a_golden_file_that_asks_for_less_is_listed_and_red(repository, old, new, listed):
    repository.change(old, new)
    result = repository.ask("-k", "case-3 or suite")
    assert repository.listed(result) == [listed]
    assert result.ret == 1
    assert RED in result.outlines


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mean: '>= 0.5'", "mean: '>= 0.9'"),
        ("max_drop: 0.05", "max_drop: 0.01"),
        ("all: [good]", "all: [good, goo]"),
        ("cases:\n", f"cases:\n  - {{id: case-9, input: question 9, checks: {CHECKED}}}\n"),
    ],
    ids=["threshold", "max_drop", "keywords", "case"],
)
def test_what_asks_for_more_is_not_listed(repository, old, new):
    repository.change(old, new)
    result = repository.ask()
    assert repository.listed(result) == []
    assert RED not in result.outlines


EDITED = "this change edits its own checks in {}; the old ones, named (merge base), are asked too:"
OTHER_WORDS = "keywords: options changed: all, any"


@pytest.mark.parametrize("workers", [0, 2])
def test_an_edited_check_is_asked_as_it_was_too(repository, workers):
    """The answers miss the old check of one case, and with it the old bound on the mean is not missed."""
    repository.change("all: [good]", "any: [good, bad]")
    repository.varying.break_case(2)
    result = repository.varying.ask(*MAIN, workers=workers)
    assert repository.listed(result) == []
    assert EDITED.format("4 places") in result.outlines
    result.stdout.fnmatch_lines([f"  {FILE}:7: case-2: {OTHER_WORDS} (sha256 *)"])
    result.stdout.fnmatch_lines(["*case-2*", "*regressed*keywords (merge base) >= 1: 0*"])
    assert outcomes_of(result) == {"passed": 4, "failed": 0, "regressed": 2, "undecided": 0, "error": 0}
    assert result.ret == 1
    done = llmops(repository, "--baseline", "git:main")
    assert "keywords (merge base) >= 1" in done.stdout
    assert done.returncode == 1


def test_an_edit_that_lets_nothing_through_is_a_note(repository):
    repository.change("all: [good]", "any: [good, bad]", FILE)
    result = repository.ask()
    assert repository.listed(result) == []
    assert EDITED.format("4 places") in result.outlines
    assert outcomes_of(result)["passed"] == 6  # four cases, and the mean by both
    assert result.ret == 0


def test_a_failure_that_was_known_is_known_to_the_old_check(repository):
    repository.git("switch", "--quiet", "main")
    repository.varying.break_case(2)
    repository.varying.baseline.unlink()
    repository.ask("--llm-accept", "--llm-repeats", "2", against=())
    repository.commit("one is bad")
    repository.git("switch", "--quiet", "--create", "stricter")
    repository.change("all: [good]", "all: [good], none: [awful]")
    result = repository.ask()
    assert EDITED.format("4 places") in result.outlines
    counts = {"passed": 5, "failed": 0, "regressed": 0, "undecided": 0, "error": 0, "known": 1}
    assert outcomes_of(result) == counts
    assert result.ret == 0


def test_an_edited_check_in_a_file_that_is_not_run_is_red(repository):
    repository.varying.project.write("golden/other.yaml", golden_text(1).replace("case-0", "other"))
    repository.git("switch", "--quiet", "main")
    repository.commit("another file")
    repository.git("switch", "--quiet", "--create", "edited")
    repository.change("all: [good]", "any: [good, bad]", "golden/other.yaml")
    result = repository.ask(FILE)
    assert repository.listed(result) == [f"golden/other.yaml:5: other: {OTHER_WORDS}"]
    assert result.ret == 1
    assert repository.ask().ret == 0


def test_what_is_accepted_has_no_old_checks(repository):
    repository.change("all: [good]", "all: [good, goo]")
    repository.change("cases:\n", f"cases:\n  - {{id: case-9, input: question 9, checks: {CHECKED}}}\n")
    result = repository.ask("--llm-accept", "--llm-out", "run.json")
    assert "golden/baseline.json: 1 case accepted, 4 kept" in "\n".join(result.outlines)
    assert "merge base" not in (repository.path / "run.json").read_text()
    assert "merge base" not in repository.varying.baseline.read_text()


@pytest.mark.parametrize(
    "selection", [("-k", "case-1"), (f"{FILE}::case-1",), ("--deselect", f"{FILE}::case-2")]
)
def test_an_edited_check_of_a_case_that_is_not_run_is_red(repository, selection):
    repository.change("all: [good]", "any: [good, bad]", FILE)
    result = repository.ask(*selection)
    assert f"{FILE}:7: case-2: {OTHER_WORDS}" in repository.listed(result)
    assert result.ret == 1


def test_the_run_of_an_edited_check_can_be_compared(repository):
    repository.change("all: [good]", "all: [good], none: [awful]", FILE)
    done = llmops(repository, "--baseline", "git:main", "--out", "run.json")
    assert done.returncode == 0
    command = [str(Path(sys.executable).with_name("llmops")), "compare", "golden/baseline.json", "run.json"]
    compared = subprocess.run(command, cwd=repository.path, capture_output=True, text=True, check=False)  # noqa: S603
    assert compared.returncode == 0


def test_a_rewritten_baseline_is_listed_and_not_used(repository):
    repository.varying.break_case(2)
    repository.varying.baseline.unlink()
    repository.varying.ask("--llm-accept", "--llm-repeats", "2")
    repository.commit("what is low cannot fall")
    result = repository.ask()
    again, few = (
        "in the baseline was recorded again as worse",
        "dropped by 0.25; 4 cases are too few to prove it",
    )
    assert repository.listed(result) == [
        f"golden/baseline.json: keywords >= 1, case by case {again}: missed now: {FILE}::case-2",
        f"golden/baseline.json: keywords mean >= 0.5 {again}: {few}",
    ]
    assert outcomes_of(result)["regressed"] == 2  # the case, and the mean beyond its max_drop
    assert result.ret == 1


def test_a_baseline_that_was_removed_is_listed_and_used(repository):
    repository.git("rm", "--quiet", "golden/baseline.json")
    repository.commit("no baseline, no drop")
    repository.varying.break_case(2)
    result = repository.ask()
    assert repository.listed(result) == ["golden/baseline.json: the baseline was removed"]
    assert outcomes_of(result)["regressed"] == 2  # the case, and the mean beyond its max_drop


def test_a_log_of_reviews_may_grow_and_not_change(repository):
    log = repository.path / "golden" / "reviews.jsonl"
    repository.git("switch", "--quiet", "main")
    add_review(log, f"{FILE}::case-1", "", "good", "good")
    repository.commit("a review")
    repository.git("switch", "--quiet", "--create", "other")
    add_review(log, f"{FILE}::case-1", "", "good", "good")
    repository.commit("another review")
    assert repository.listed(repository.ask()) == []
    log.unlink()
    add_review(log, f"{FILE}::case-1", "", "good", "bad")
    repository.commit("a log of one's own")
    result = repository.ask()
    told = "golden/reviews.jsonl: the log of reviews is not the old one, continued"
    assert repository.listed(result) == [told]
    assert result.ret == 1


def test_reviews_of_main_count_and_those_of_the_change_do_not(repository):
    run = json.loads((repository.path / ".llmops/runs/last.json").read_text())
    asked = {each["case"]: each["input_hash"] for each in run["results"]}
    log = repository.path / "golden" / "reviews.jsonl"

    def review_bad(case: str) -> None:
        item = f"{FILE}::{case}"
        add_review(log, item, asked[item], "good", "bad")
        repository.commit(f"a review of {case}")

    repository.git("switch", "--quiet", "main")
    review_bad("case-1")
    repository.git("switch", "--quiet", "--create", "reviewed")
    review_bad("case-2")
    result = repository.ask("-k", "case")
    assert outcomes_of(result) == {"passed": 3, "failed": 1, "regressed": 0, "undecided": 0, "error": 0}
    result.stdout.fnmatch_lines(["FAILED golden/capitals.yaml::case-1*"])
    assert outcomes_of(repository.varying.ask("-k", "case"))["failed"] == 2


PYPROJECT = "[tool.pytest-llmops]\n{}\n[tool.pytest.ini_options]\n"
INI = "[pytest]\n{}\n"
OPTIONS = "[tool.pytest.ini_options]\n{}\n"
TOX = "[tox]\n[pytest]\n{}\n"


@pytest.mark.parametrize(
    ("file", "text", "before", "after", "what"),
    [
        ("pyproject.toml", PYPROJECT, "undecided = 'fail'", "undecided = 'warn'", "undecided"),
        ("pyproject.toml", PYPROJECT, "repeats = 3", "repeats = 2", "repeats"),
        ("pyproject.toml", PYPROJECT, "", "known_failures = 'pass'", "known_failures"),
        ("pytest.ini", INI, "llm_undecided = fail", "llm_undecided = pass", "undecided"),
        ("pytest.ini", INI, "# no doubt:\nllm_undecided = fail", "", "undecided"),
        ("tox.ini", TOX, "llm_repeats = 4", "llm_repeats = 1", "repeats"),
        (
            "pyproject.toml",
            OPTIONS,
            "llm_known_failures = 'fail'",
            "llm_known_failures = 'warn'",
            "known_failures",
        ),
    ],
)
def test_a_setting_that_lets_more_pass_is_listed(repository, file, text, before, after, what):  # noqa: PLR0913, PLR0917
    repository.git("switch", "--quiet", "main")
    repository.git("rm", "--quiet", "pyproject.toml")
    (repository.path / file).write_text(text.format(before))
    repository.commit("settings")
    repository.git("switch", "--quiet", "--create", "laxer")
    (repository.path / file).write_text(text.format(after))
    repository.commit("other settings")
    (told,) = repository.listed(repository.ask())
    assert told.startswith(f"{file}: the setting {what} changed (before: {what} ")


MOVED = {
    "pyproject.toml": (
        "[tool.pytest-llmops]\ngolden = ['{}/']\n[tool.pytest.ini_options]\n",
        "golden",
        "evals",
    ),
    "pytest.ini": ("[pytest]\nllm_golden = {}/\n", "evals", "other"),
}


@pytest.mark.parametrize("file", MOVED)
def test_golden_files_that_are_no_longer_named_are_removed_ones(repository, file):
    """A case cannot be hidden by another place for golden files."""
    text, old, new = MOVED[file]
    repository.git("switch", "--quiet", "main")
    repository.git("mv", FILE, "capitals.yaml")
    repository.git("rm", "--quiet", "golden/baseline.json")
    (repository.path / old).mkdir(exist_ok=True)
    repository.git("mv", "capitals.yaml", f"{old}/capitals.yaml")
    (repository.path / file).write_text(text.format(old))
    repository.commit("golden files")
    repository.git("switch", "--quiet", "--create", "moved")
    (repository.path / new).mkdir()
    (repository.path / new / "capitals.yaml").write_text(golden_text(3))
    (repository.path / file).write_text(text.format(new))
    repository.commit("golden files elsewhere")
    result = repository.ask()
    assert repository.listed(result) == [
        f"{old}/capitals.yaml: the golden file was removed (before: 4 cases)"
    ]
    assert result.ret == 1
    repository.git("rm", "--quiet", f"{old}/capitals.yaml")
    repository.commit("and it is gone")
    assert len(repository.listed(repository.ask())) == 1


@pytest.mark.parametrize("named", ["evals", "evals/", "./evals/../evals"])
def test_a_file_that_was_removed_from_a_folder_that_the_pipeline_names(repository, named):
    repository.git("switch", "--quiet", "main")
    for name in ("a", "b"):
        repository.varying.project.write(f"evals/{name}.yaml", golden_text(2))
    repository.commit("more golden files")
    repository.git("switch", "--quiet", "--create", "fewer")
    repository.git("rm", "--quiet", "evals/b.yaml")
    repository.commit("fewer golden files")
    result = repository.ask(named)
    assert repository.listed(result) == ["evals/b.yaml: the golden file was removed (before: 2 cases)"]
    told = llmops(repository, named, "--baseline", "git:main").stdout
    assert "evals/b.yaml: the golden file was removed" in told


def test_a_folder_that_held_no_golden_file_yet_is_no_mistake(repository):
    repository.git("switch", "--quiet", "main")
    repository.varying.project.write("evals/README.md", "to come")
    repository.commit("a folder")
    repository.git("switch", "--quiet", "--create", "first")
    repository.varying.project.write("evals/a.yaml", golden_text(2))
    repository.commit("a first golden file")
    result = repository.ask("evals")
    assert (result.ret, repository.listed(result)) == (0, [])


@pytest.fixture
def looser(repository):
    repository.change("mean: '>= 0.5'", "mean: '>= 0.1'")
    return repository


LOWER = f"{FILE}: {BOUND} (before: >= 0.5, now: >= 0.1)"


def test_whoever_runs_the_pipeline_approves_single_items(looser):
    looser.change("max_drop: 0.05", "max_drop: 0.5")
    wider = f"{FILE}: {DROP} (before: max_drop 0.05, now: max_drop 0.5)"
    one = looser.ask("--llm-allow-loosening", LOWER)
    assert (looser.listed(one, approved=True), looser.listed(one), one.ret) == ([LOWER], [wider], 1)
    assert RED in one.outlines
    both = looser.ask("--llm-allow-loosening", LOWER, f"--llm-allow-loosening={wider}")
    assert (looser.listed(both), both.ret) == ([], 0)
    flags = shlex.join(["--llm-allow-loosening", f"{LOWER}\n{wider}"])
    looser.varying.project.environment.setenv("PYTEST_ADDOPTS", flags)
    assert looser.ask().ret == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_an_approval_of_one_edit_is_none_of_the_next(repository, workers):
    """What is approved is left out of the comparison, by each worker."""
    repository.change("question 0", "question 20")
    first = repository.ask()
    approved = repository.approvals(first)
    assert repository.varying.ask(*MAIN, *approved, workers=workers).ret == 0
    repository.change("question 20", "question 30")
    again = repository.ask(*approved)
    assert repository.listed(again) == [f"{FILE}:5: case-0: input changed"]
    assert again.ret == 1


def test_an_approval_that_matches_nothing_is_reported(looser):
    result = looser.ask("--llm-allow-loosening", LOWER.replace("0.1", "0.2"))
    unused = "approved, but this change loosens no such thing: *now: >= 0.2). Did you mean *now: >= 0.1)*"
    result.stdout.fnmatch_lines([unused])
    assert result.ret == 1
    assert looser.ask("--llm-allow-loosening").ret == pytest.ExitCode.USAGE_ERROR


def test_approvals_of_the_target_count_and_those_of_the_change_do_not(looser):
    settings = (
        f"[tool.pytest-llmops]\nundecided = 'fail'\napprovals = [{LOWER!r}]\n[tool.pytest.ini_options]\n"
    )
    looser.varying.project.write("pyproject.toml", settings)
    looser.commit("let me")
    own = looser.ask()
    assert [item.partition(" (")[0] for item in looser.listed(own)] == [
        f"{FILE}: {BOUND}",
        "pyproject.toml: the setting approvals changed",
    ]
    assert own.ret == 1
    looser.git("switch", "--quiet", "main")
    looser.varying.project.write("pyproject.toml", settings)
    looser.commit("approved")
    looser.git("switch", "--quiet", "branch")
    looser.git("revert", "--no-edit", "HEAD")
    theirs = looser.ask()
    assert (looser.listed(theirs, approved=True), looser.listed(theirs), theirs.ret) == ([LOWER], [], 0)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("pytest.ini", INI.format(f'addopts = "--llm-allow-loosening={LOWER}"')),
        (
            "pyproject.toml",
            PYPROJECT.format("undecided = 'fail'") + f'addopts = ["--llm-allow-loosening={LOWER}"]\n',
        ),
    ],
)
def test_the_repository_may_not(looser, file, text):
    looser.varying.project.write(file, text)
    looser.commit("let me")
    result = looser.ask()
    assert result.ret == 1
    assert RED in result.outlines


def test_with_workers_it_is_listed_once_and_red(looser):
    result = looser.varying.ask(*MAIN, workers=2)
    assert result.ret == 1
    assert len(looser.listed(result)) == 1
    assert result.outlines.count(RED) == 1


def test_it_is_red_whatever_was_selected(looser):
    looser.varying.project.write("tests/test_it.py", "def test_it(): pass\n")
    result = looser.ask("golden", "tests", "-k", "test_it")
    assert result.parseoutcomes() == {"passed": 1, "deselected": 5}
    assert result.ret == 1


def llmops(repository: Repository, *arguments: str, cwd: str = ".") -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("llmops")), "run", "--concurrency", "1", *arguments]
    repository.varying.start_over()
    return subprocess.run(command, cwd=repository.path / cwd, capture_output=True, text=True, check=False)  # noqa: S603


def test_llmops_run_lists_it_too(looser):
    done = llmops(looser, "--baseline", "git:main")
    assert done.returncode == 1
    assert "this change loosens its own gate in 1 place:" in done.stdout
    assert RED.replace("--llm-", "--") in done.stdout
    assert llmops(looser, "--baseline", "git:main", "--allow-loosening", LOWER).returncode == 0


@pytest.mark.parametrize(
    ("ref", "workers", "told"),
    [
        ("git:mian", 0, "*git:mian: the repository at * has no such revision. Did you mean 'main'?*"),
        ("git:mian", 2, "*git:mian: the repository at * has no such revision. Did you mean 'main'?*"),
        ("git:", 0, "*names no revision*"),
        ("git:--help", 0, "*names no revision*"),
    ],
)
def test_a_revision_that_is_none_is_one_line(repository, ref, workers, told):
    result = repository.varying.ask("--llm-baseline", ref, workers=workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.errlines if line.strip()]
    assert len(lines) == 1
    result.stderr.fnmatch_lines([told])
    assert not (repository.path / "asked").exists()


def test_without_a_repository_it_is_one_line(project):
    project.app(STEADY)
    project.golden(golden_text(1))
    project.environment.setenv("GIT_CEILING_DIRECTORIES", str(project.path.parent))
    result = project.run_here(*MAIN)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*lies in no git repository*"])


def test_git_sees_no_trace_of_it(looser):
    (looser.path / "golden" / "capitals.yaml").write_text(golden_text(4))
    (looser.path / "untracked.txt").write_text("")
    looser.git("add", "golden/capitals.yaml")
    (looser.path / "capitals.py").write_text(STEADY + "\n    # edited\n")
    (looser.path / "capitals.py").write_text(
        (looser.path / "capitals.py").read_text().replace("\n    ", "\n")
    )
    before = looser.git("status", "--porcelain"), looser.git("stash", "list"), looser.git("rev-parse", "HEAD")
    looser.ask("--llm-out", "run.json")
    after = looser.git("status", "--porcelain"), looser.git("stash", "list"), looser.git("rev-parse", "HEAD")
    assert after == before
    assert before[0] != ""


def test_what_main_did_since_is_not_this_changes_doing(repository):
    repository.change("VARIES = False", "VARIES = bool(0)", "capitals.py")
    repository.git("switch", "--quiet", "main")
    repository.change("mean: '>= 0.5'", "mean: '>= 0.9'")
    repository.git("switch", "--quiet", "branch")
    result = repository.ask()
    assert repository.listed(result) == []
    assert result.ret == 0


def test_a_baseline_of_the_branch_is_accepted_into_the_working_tree(repository):
    repository.change("cases:\n", f"cases:\n  - {{id: case-9, input: question 9, checks: {CHECKED}}}\n")
    result = repository.ask("--llm-accept")
    assert "golden/baseline.json: 1 case accepted, 4 kept" in result.outlines
    cases = [entry["case"] for entry in json.loads(repository.varying.baseline.read_text())["cases"]]
    assert cases == [f"golden/capitals.yaml::case-{number}" for number in (0, 1, 2, 3, 9)]
    assert repository.git("show", "main:golden/baseline.json").count("case-") == 4
    assert repository.git("status", "--porcelain") == " M golden/baseline.json\n"


def test_where_main_has_no_baseline_there_is_nothing_to_compare_and_nothing_to_loosen(repository):
    repository.git("switch", "--quiet", "--orphan", "fresh")
    repository.git("checkout", "--quiet", "branch", "--", ".")
    repository.git("rm", "--quiet", "--cached", "-r", "golden")
    repository.git("commit", "--quiet", "--message", "an app alone")
    repository.git("switch", "--quiet", "--create", "gate")
    repository.commit("a gate")
    repository.varying.break_case(2)
    result = repository.ask(against=("--llm-baseline", "git:fresh"))
    assert repository.listed(result) == []
    assert outcomes_of(result) == {"passed": 4, "failed": 1, "regressed": 0, "undecided": 1, "error": 0}
    result.stdout.fnmatch_lines(["undecided: nothing is compared: *this change brings the first one*"])


def test_a_golden_file_that_was_broken_there_is_one_line(repository):
    repository.git("switch", "--quiet", "main")
    repository.change("cases:\n", "cases:\n  - {id: case-0, input: twice}\n")
    repository.git("switch", "--quiet", "--create", "mended")
    repository.change("  - {id: case-0, input: twice}\n", "")
    result = repository.ask()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*at git:main: golden/capitals.yaml:6: *"])
    result.stderr.no_fnmatch_line("*Traceback*")
