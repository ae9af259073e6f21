"""Which paths are golden files, and what is said of those that are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_llmops.errors import GoldenError
from pytest_llmops.golden import find_golden_files, load_golden
from pytest_llmops.golden.files import MAX_BYTES


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("b.yaml", "a.yml", "c.json", "d.jsonl", ".hidden.yaml", "README.md", "cassettes/e.yaml"):
        path = tmp_path / "golden" / name
        path.parent.mkdir(exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("cases: []\n", encoding="utf-8")
    (tmp_path / "golden" / "folder.yaml").mkdir()
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["golden/"], ["golden/a.yml", "golden/b.yaml"]),
        (["golden/c.json", "golden"], ["golden/c.json", "golden/a.yml", "golden/b.yaml"]),
        (["golden/d.jsonl"], ["golden/d.jsonl"]),
        (["golden/b.yaml", "./golden/../golden/b.yaml"], ["golden/b.yaml"]),
        (["golden/cassettes"], ["golden/cassettes/e.yaml"]),
        ([], []),
    ],
)
def test_folders_stand_for_their_yaml_files(project: Path, paths: list[str], found: list[str]) -> None:
    assert find_golden_files(paths, project) == [project / each for each in found]


def test_golden_files_are_found_in_subfolders(project: Path) -> None:
    golden = project / "golden"
    for name in (
        "shop/returns.yaml", "shop/deep/er/x.yml", "shop/plan.json", "shop/reviews.jsonl", "rubrics/r.yaml",
        "cassettes/shop/c.yaml", "shop/cassettes/c.yaml", "_prompts/p.yaml", ".git/g.yaml", "shop/.hid.yaml",
    ):  # fmt: skip
        (golden / name).parent.mkdir(parents=True, exist_ok=True)
        (golden / name).write_text("cases: []\n", encoding="utf-8")
    (golden / "tapes").mkdir()
    (golden / "tapes" / "t.yaml").write_text("version: 1\ncase: golden/b.yaml::x\ncalls: []\n")
    (golden / "loop").symlink_to(golden)

    found = find_golden_files(["golden"], project)

    assert [path.relative_to(golden).as_posix() for path in found] == [
        "a.yml", "b.yaml", "shop/returns.yaml", "shop/deep/er/x.yml",
    ]  # fmt: skip


def test_absolute_paths_and_a_relative_root(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)

    found = find_golden_files([str(project / "golden" / "b.yaml"), "golden/a.yml"], Path(project.name))

    assert found == [project / "golden" / "b.yaml", project / "golden" / "a.yml"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("golden/b.yml", "golden/b.yml: no such file or folder. Did you mean 'b.yaml'?"),
        ("goldne", "goldne: no such file or folder. Did you mean 'golden'?"),
        ("zzz/x.yaml", "zzz/x.yaml: no such file or folder"),
        ("a\0b", "a\0b: no such file or folder"),
        ("x" * 5000, "x" * 5000 + ": no such file or folder"),
        (
            "empty",
            "empty: there is no .yaml or .yml file in it or below it; name a .json or .jsonl file itself",
        ),
        (
            "golden/README.md",
            "golden/README.md: not a golden file: its name ends in '.md', not in .yaml, .yml, .json, .jsonl",
        ),
    ],
)
def test_a_path_that_is_none_is_told(project: Path, path: str, message: str) -> None:
    with pytest.raises(GoldenError) as caught:
        find_golden_files([path], project)

    assert str(caught.value) == message


def test_all_wrong_paths_are_told_at_once(project: Path) -> None:
    with pytest.raises(GoldenError) as caught:
        find_golden_files(["x", "golden", "y"], project)

    assert [problem.path for problem in caught.value.problems] == ["x", "y"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("golden/b.yml", "golden/b.yml: no such file or folder. Did you mean 'b.yaml'?"),
        ("golden", "golden: not a file"),
        (
            "golden/README.md",
            "golden/README.md: not a golden file: its name ends in '.md', not in .yaml, .yml, .json, .jsonl",
        ),
    ],
)
def test_loading_what_is_no_golden_file(project: Path, path: str, message: str) -> None:
    with pytest.raises(GoldenError) as caught:
        load_golden(path, root=project)

    assert str(caught.value) == message


def test_a_link_to_nothing_is_told(project: Path) -> None:
    (project / "golden" / "lost.yaml").symlink_to(project / "nowhere.yaml")

    assert project / "golden" / "lost.yaml" in find_golden_files(["golden"], project)
    with pytest.raises(GoldenError, match=r"^golden/lost.yaml: a link to a file that does not exist$"):
        load_golden("golden/lost.yaml", root=project)


def test_a_pipe_is_not_waited_for(project: Path) -> None:
    os.mkfifo(project / "golden" / "pipe.yaml")

    with pytest.raises(GoldenError, match=r"^golden/pipe.yaml: not a file$"):
        load_golden("golden/pipe.yaml", root=project)


def test_a_file_is_read_up_to_a_limit(project: Path) -> None:
    with (project / "golden" / "b.yaml").open("r+b") as file:
        file.truncate(MAX_BYTES + 1)

    with pytest.raises(
        GoldenError, match=r"^golden/b.yaml: larger than 16 MiB; split it into several files$"
    ):
        load_golden("golden/b.yaml", root=project)
