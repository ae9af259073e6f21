"""When a baseline was accepted, and what changed since, out of a real repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_llmops.revision.changed_files import Since, find_since
from tests.git_settings import forget_git_settings

KEY = "sk-proj-Zx81LmQ0aB7cD9eF2gH4iJ6kL8mN0pQ2rS4t"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project below the top of its repository, with an accepted baseline and a prompt."""
    forget_git_settings(monkeypatch)
    git(tmp_path, "init", "--quiet")
    root = tmp_path / "shop"
    write(root / "baseline.json", "{}")
    write(root / "prompts/answer.md", "one\ntwo\nthree\n")
    commit(root, "Accept")
    return root


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=True, text=True)  # noqa: S603, S607 - our own words
    return done.stdout.strip()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def commit(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", f"--message={message}")
    return git(folder, "rev-parse", "HEAD")


def since(root: Path, *paths: str, ran: str, at: str | None = None) -> Since:
    return find_since(root / "baseline.json", paths, root, ran=ran, at=at)


def test_a_changed_prompt_has_its_commits_and_its_lines(root):
    accepted = git(root, "rev-parse", "HEAD")
    write(root / "prompts/answer.md", "one\nTWO\nthree\n")
    write(root / "other.txt", "not asked for")
    commit(root, f"Shout, as jane.doe@example.com and {KEY} ask")
    write(root / "prompts/answer.md", f"one\nTWO\n{KEY}\n")
    head = commit(root, "Say more")

    found = since(root, "prompts", "prompts/answer.md", ran=head)
    assert not found.files[0].is_edited

    assert found.accepted.startswith(f"{accepted[:8]} of 20")
    (file,) = found.files
    assert file.path == "prompts/answer.md"
    newest, oldest = file.newest
    assert newest.endswith(" Say more")
    assert "Shout, as <EMAIL_ADDRESS> and <" in oldest
    assert "-two\n-three\n+TWO\n+<" in file.difference
    assert KEY not in f"{oldest}{file.difference}"


def test_a_change_that_is_not_committed_is_that_of_the_working_tree(root):
    head = git(root, "rev-parse", "HEAD")
    write(root / "prompts/answer.md", "one\n")

    (file,) = since(root, "prompts/answer.md", ran=f"{head}+").files
    assert (file.commits, file.is_edited, "-two" in file.difference) == (0, True, True)
    assert since(root, "prompts/answer.md", ran=head).files == ()


def test_what_is_not_committed_is_not_shown_under_ci_which_may_write_values_into_a_file(root, monkeypatch):
    head = git(root, "rev-parse", "HEAD")
    write(root / "prompts/answer.md", "one\n")
    monkeypatch.setenv("CI", "true")

    (file,) = since(root, "prompts/answer.md", ran=f"{head}+").files
    assert (file.is_edited, file.difference) == (True, "")


def test_the_baseline_of_a_revision_is_dated_by_it(root):
    first = git(root, "rev-parse", "HEAD")
    write(root / "baseline.json", "{ }")
    write(root / "prompts/answer.md", "")
    head = commit(root, "Accept again")

    assert since(root, ran=head).accepted.startswith(head[:8])
    found = since(root, "prompts/answer.md", ran=head, at=first)
    assert found.accepted.startswith(first[:8])
    assert [file.path for file in found.files] == ["prompts/answer.md"]


@pytest.mark.parametrize("ran", ["", "HEAD", "--output=x", "0" * 40, f"{'0' * 40}+"])
def test_a_run_whose_commit_is_not_here_shows_no_files(root, ran):
    write(root / "prompts/answer.md", "")
    commit(root, "Empty")

    found = since(root, "prompts/answer.md", ran=ran)
    assert found.accepted
    assert found.files == ()


def test_nothing_is_known_of_a_baseline_outside_of_git(root, tmp_path_factory):
    write(root / "baseline.json", "edited")
    assert since(root, "prompts", ran=git(root, "rev-parse", "HEAD")) == Since()
    bare = tmp_path_factory.mktemp("bare")
    write(bare / "baseline.json", "{}")
    assert since(bare, "prompts", ran="") == Since()


def test_a_clone_without_the_commit_that_wrote_the_baseline_says_so(root, tmp_path_factory):
    write(root / "prompts/answer.md", "")
    head = commit(root, "Empty")
    shallow = tmp_path_factory.mktemp("shallow")
    git(shallow, "clone", "--quiet", "--depth=1", root.parent.as_uri(), ".")

    found = since(shallow / "shop", "prompts", ran=head)
    assert found == Since(accepted="(unknown, since this clone is shallow: fetch its history)")


def test_many_lines_files_and_commits_are_counted(root):
    for number in range(8):
        write(root / "prompts/answer.md", "\n".join(f"{number} {line}" for line in range(200)))
        head = commit(root, f"Edit {number}")
    for number in range(12):
        write(root / f"prompts/{number}.md", "")
    head = commit(root, "Add")

    files = since(root, "prompts", ran=head).files
    assert len(files) == 10
    answer = since(root, "prompts/answer.md", ran=head).files[0]
    assert (answer.commits, len(answer.newest)) == (8, 5)
    assert answer.difference.endswith("more lines")
