"""Files of a merge base, out of real repositories."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_llmops.errors import RevisionError
from pytest_llmops.revision import git as git_module
from pytest_llmops.revision.revision import Revision, is_revision, open_revision
from tests.git_settings import forget_git_settings

Git = Callable[..., str]
_MESSAGES = itertools.count()  # equal commits of one second would be one


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs git in the repository `clone`, by no setting of this machine's."""
    forget_git_settings(monkeypatch)
    (tmp_path / "clone").mkdir()

    def run(*arguments: str, stdin: bytes = b"") -> str:
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        done = subprocess.run(  # noqa: S603 - our own words
            command, cwd=tmp_path / "clone", input=stdin, capture_output=True, check=True
        )
        return os.fsdecode(done.stdout).strip()

    run("init", "--quiet", "--initial-branch=main")
    return run


@pytest.fixture
def root(tmp_path: Path, git: Git) -> Path:
    """The repository, whose one commit holds two golden files and a prompt."""
    root = tmp_path / "clone"
    write(root, "golden/shop.yaml", "old shop")
    write(root, "golden/näh [1]*.yaml", "old sewing")
    write(root, "prompts/planner.txt", "old planner")
    write(root, "elsewhere.txt", "not asked for")
    commit(git)
    return root


def write(folder: Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(text.encode())


def commit(git: Git) -> str:
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", f"--message={next(_MESSAGES)}")
    return git("rev-parse", "HEAD")


def exported(revision: Revision, folder: Path, *paths: str) -> dict[str, str]:
    revision.export(paths, folder)
    files = [path for path in folder.rglob("*") if path.is_file() or path.is_symlink()]
    assert not any(path.is_symlink() for path in files)
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


@pytest.mark.parametrize(
    ("text", "expected"), [("git:origin/main", True), ("golden/baseline.json", False), ("a/git:b", False)]
)
def test_a_revision_is_told_from_a_file(text, expected):
    assert is_revision(text) is expected


def test_the_merge_base_is_where_the_change_began(git, root):
    began = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "change")
    write(root, "golden/shop.yaml", "of the change")
    own = commit(git)
    git("checkout", "--quiet", "main")
    write(root, "golden/shop.yaml", "of main, later")
    later = commit(git)
    git("checkout", "--quiet", "change")

    revision = open_revision("git:main", root)

    assert revision == Revision(ref="main", commit=began, target=later, root=root)
    assert revision.read("golden/shop.yaml") == b"old shop"
    assert open_revision(f"git:{later}", root).commit == began
    assert open_revision("git:change", root).commit == own


def test_on_a_branch_that_the_revision_holds_it_is_head(git, root):
    git("branch", "ahead")
    head = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "ahead")
    commit(git)
    git("checkout", "--quiet", "main")

    assert open_revision("git:ahead", root).commit == head
    assert open_revision("git:HEAD", root).commit == head


def test_reading_gives_what_was_committed(root):
    write(root, "golden/shop.yaml", "of the working tree")
    write(root, "golden/new.yaml", "not committed")
    write(root, ".gitattributes", "* text eol=crlf\ngolden export-ignore\n")

    revision = open_revision("git:main", root)

    assert revision.read("golden/shop.yaml") == b"old shop"
    assert revision.read("./golden//näh [1]*.yaml") == b"old sewing"
    assert revision.read("golden/*.yaml") is None
    assert revision.read("golden/new.yaml") is None
    assert revision.read("golden") is None
    assert revision.read("golden/shop.yaml/deeper") is None


def test_export_writes_files_and_folders_as_they_were(git, root, tmp_path):
    write(root, ".gitattributes", "golden export-ignore\n* ident\n")
    commit(git)
    write(root, "golden/shop.yaml", "of the working tree")
    paths = ("golden/", "golden/shop.yaml", "prompts/planner.txt", "prompts/none.txt", "none")

    assert exported(open_revision("git:main", root), tmp_path / "out", *paths) == {
        "golden/shop.yaml": "old shop",
        "golden/näh [1]*.yaml": "old sewing",
        "prompts/planner.txt": "old planner",
    }
    assert len(exported(open_revision("git:main", root), tmp_path / "all", ".")) == 5


def test_odd_names_come_out_as_they_are(git, root, tmp_path):
    names = [" lead", "trail ", "two\nlines", 'quo"te', "tab\tbed", "-dash", "ends missing", "ends blob 7"]
    for name in names:
        write(root, f"odd/{name}", name)
    write(root, "odd/empty", "")
    commit(git)
    revision = open_revision("git:main", root)

    assert exported(revision, tmp_path / "out", "odd") == {
        **{f"odd/{name}": name for name in names},
        "odd/empty": "",
    }
    assert revision.read("odd/ends blob 7") == b"ends blob 7"
    assert revision.read("odd/empty") == b""


def test_bytes_that_are_no_text_come_out_as_they_are(git, root, tmp_path):
    (root / "golden" / "index.bin").write_bytes(bytes(range(256)) * 5_000)
    commit(git)
    open_revision("git:main", root).export(["golden"], tmp_path / "out")

    assert (tmp_path / "out/golden/index.bin").read_bytes() == bytes(range(256)) * 5_000


def test_a_project_below_the_top_of_the_repository(git, root, tmp_path):
    project = root / "services" / "shop"
    write(project, "golden/shop.yaml", "of the service")
    commit(git)
    revision = open_revision("git:main", project)

    assert revision.read("golden/shop.yaml") == b"of the service"
    assert revision.read("prompts/planner.txt") is None
    assert exported(revision, tmp_path / "out", ".") == {"golden/shop.yaml": "of the service"}
    with pytest.raises(RevisionError, match="must lie in the project"):
        revision.read("../../prompts/planner.txt")


def test_a_project_that_the_revision_does_not_hold_yet(root, tmp_path):
    (root / "new").mkdir()
    revision = open_revision("git:main", root / "new")

    assert revision.read("golden/shop.yaml") is None
    assert exported(revision, tmp_path / "out", ".", "golden") == {}


def test_nothing_in_the_repository_moves(git, root, tmp_path):
    write(root, "prompts/planner.txt", "staged")
    git("add", "prompts")
    write(root, "prompts/planner.txt", "staged, then edited")
    write(root, "golden/untracked.yaml", "x")
    (root / "elsewhere.txt").unlink()
    os.utime(root / "golden/shop.yaml", (1, 1))  # so that a refresh of the index would write it
    index = root / ".git" / "index"
    before = (index.stat().st_mtime_ns, index.read_bytes(), sorted(root.rglob("*")))

    revision = open_revision("git:main", root)
    revision.read("golden/shop.yaml")
    revision.export(["."], tmp_path / "out")

    assert (index.stat().st_mtime_ns, index.read_bytes(), sorted(root.rglob("*"))) == before
    assert git("status", "--porcelain").splitlines() == [
        "D elsewhere.txt",
        "MM prompts/planner.txt",
        "?? golden/untracked.yaml",
    ]


def test_links_are_followed_within_the_revision(git, root, tmp_path):
    (root / "golden/link.yaml").symlink_to("../prompts/planner.txt")
    (root / "golden/dangling.yaml").symlink_to("none.yaml")
    (root / "golden/loop.yaml").symlink_to("loop.yaml")
    (root / "golden/folder").symlink_to("../prompts")
    (root / "golden/round").symlink_to("..")
    (root / "gates").symlink_to("golden")
    commit(git)
    write(root, "golden/none.yaml", "not committed")
    revision = open_revision("git:main", root)

    assert revision.read("golden/link.yaml") == revision.read("gates/link.yaml") == b"old planner"
    assert revision.read("golden/folder/planner.txt") == b"old planner"
    assert [revision.read(f"golden/{name}.yaml") for name in ("dangling", "loop")] == [None, None]
    assert exported(revision, tmp_path / "out", "gates") == {
        "gates/shop.yaml": "old shop",
        "gates/näh [1]*.yaml": "old sewing",
        "gates/link.yaml": "old planner",
    }


@pytest.mark.parametrize("target", ["../../secret", "/etc/passwd"])
def test_a_link_out_of_the_repository_is_told_and_never_followed(git, root, tmp_path, target):
    write(tmp_path, "secret", "s3cret")
    (root / "golden/out.yaml").symlink_to(target)
    commit(git)
    revision = open_revision("git:main", root)

    with pytest.raises(RevisionError, match=r"^git:main: golden/out.yaml .* is a link out of the repository"):
        revision.read("golden/out.yaml")
    with pytest.raises(RevisionError, match="link out of the repository"):
        revision.export(["golden"], tmp_path / "out")


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", ".git/config", "a\nb", "a\\..\\b", "a\0b"]
)
def test_a_path_that_leads_out_is_refused(root, tmp_path, path):
    revision = open_revision("git:main", root)

    with pytest.raises(RevisionError, match="must lie in the project"):
        revision.read(path)
    with pytest.raises(RevisionError, match="must lie in the project"):
        revision.export([path], tmp_path / "out")


@pytest.mark.parametrize("name", ["..", "../../fallen", ".git", ".GIT/config", "/fallen"])
def test_a_name_that_leads_out_is_not_written(git, root, tmp_path, name):
    """Git's own commands refuse such names; a tree made by hand has them none the less."""
    blob = git("hash-object", "-w", "--stdin", stdin=b"fallen")
    raw = b"100644 " + name.encode() + b"\0" + bytes.fromhex(blob)
    tree = git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw)
    git("update-ref", "refs/heads/main", git("commit-tree", tree, "-m", "hostile"))
    before = sorted(tmp_path.rglob("fallen"))

    with pytest.raises(RevisionError, match="cannot be written: it leads out"):
        open_revision("git:main", root).export(["."], tmp_path / "deep" / "out")

    assert sorted(tmp_path.rglob("fallen")) == before
    assert not (tmp_path / "deep").exists()


def test_links_that_lie_in_the_folder_are_not_written_through(root, tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    folder.mkdir()
    (folder / "golden").symlink_to(outside)
    (folder / "elsewhere.txt").symlink_to(outside / "file")
    revision = open_revision("git:main", root)

    for path in ("golden", "elsewhere.txt"):
        with pytest.raises(RevisionError, match="cannot be written"):
            revision.export([path], folder)
    assert not list(outside.iterdir())


def test_an_object_that_is_missing_is_no_missing_file(git, root, tmp_path):
    blob = git("rev-parse", "HEAD:golden/shop.yaml")
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    revision = open_revision("git:main", root)

    with pytest.raises(RevisionError, match=r"golden/shop.yaml .* is missing from the clone"):
        revision.read("golden/shop.yaml")
    with pytest.raises(RevisionError, match=r"golden/shop.yaml .* is missing from the clone"):
        revision.export(["golden"], tmp_path / "out")


def test_a_broken_object_is_told_by_git(git, root):
    blob = git("rev-parse", "HEAD:golden/shop.yaml")
    file = root / ".git/objects" / blob[:2] / blob[2:]
    file.chmod(0o600)
    file.write_bytes(b"no object")

    with pytest.raises(RevisionError, match=f"^git failed in .*{blob}|missing from the clone"):
        open_revision("git:main", root).read("golden/shop.yaml")


def test_submodules_are_left_out(git, root, tmp_path):
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},golden/module")
    git("commit", "--quiet", "--message=module")
    revision = open_revision("git:main", root)

    assert revision.read("golden/module") is None
    assert "golden/module" not in exported(revision, tmp_path / "out", "golden", "golden/module")


def test_a_partial_clone_is_filled_by_git(git, root, tmp_path):
    git("config", "uploadpack.allowFilter", "true")
    git(
        "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{root}", str(tmp_path / "partial")
    )

    revision = open_revision("git:origin/main", tmp_path / "partial")
    assert revision.read("golden/shop.yaml") == b"old shop"

    shutil.rmtree(root)
    with pytest.raises(RevisionError, match=r"git failed in|missing from the clone"):
        revision.read("prompts/planner.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("git:", "names no revision; write a branch"),
        ("git: ", "names no revision; write a branch"),
        ("git:--upload-pack=x", "names no revision; write a branch"),
        ("git:ma\x1bin", r"ma\\x1bin names no revision"),
        ("git:mian", "has no such revision. Did you mean 'main'\\? .*git fetch origin"),
        ("git:release", "Did you mean 'upstream/release'\\?"),
        ("git:HEAD:golden", "no such revision"),
        ("git:^main", "no such revision"),
        ("git:main..topic", "no such revision"),
        ("git:zzzz", "no such revision. A branch"),
    ],
)
def test_a_revision_that_is_none(git, root, text, message):
    git("update-ref", "refs/remotes/upstream/release", "HEAD")
    git("branch", "topic")

    with pytest.raises(RevisionError, match=message) as raised:
        open_revision(text, root)

    assert "\n" not in str(raised.value)


def test_without_git(root, monkeypatch):
    monkeypatch.setenv("PATH", str(root))

    with pytest.raises(RevisionError, match="needs git, which is not installed"):
        open_revision("git:main", root)


@pytest.mark.usefixtures("git")
def test_outside_of_a_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    with pytest.raises(RevisionError, match=r"lies in no git repository; .* name a baseline file$"):
        open_revision("git:main", tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    with pytest.raises(RevisionError, match=r"lies in no git repository \(GIT_DIR is set\)"):
        open_revision("git:main", tmp_path)
    monkeypatch.delenv("GIT_DIR")
    with pytest.raises(RevisionError, match=r"git cannot be started in .*none: No such file"):
        open_revision("git:main", tmp_path / "none")


@pytest.mark.usefixtures("git")
def test_before_the_first_commit(tmp_path):
    with pytest.raises(RevisionError, match="has no commit yet"):
        open_revision("git:main", tmp_path / "clone")


def test_histories_that_share_nothing(git, root):
    git("checkout", "--quiet", "--orphan", "alone")
    commit(git)

    with pytest.raises(RevisionError, match="HEAD and main have no common ancestor: they share no history"):
        open_revision("git:main", root)


def test_a_history_that_git_cannot_read_is_no_other_history(git, root):
    began = git("rev-parse", "HEAD")
    for branch in ("topic", "change"):
        git("checkout", "--quiet", "-b", branch, began)
        commit(git)
    (root / ".git/objects" / began[:2] / began[2:]).unlink()

    with pytest.raises(RevisionError, match=rf"^git failed in .*{began}"):
        open_revision("git:topic", root)


def test_a_shallow_clone(git, root, tmp_path):
    git("checkout", "--quiet", "-b", "change")
    commit(git)
    git("checkout", "--quiet", "main")
    commit(git)
    shallow = tmp_path / "shallow"
    git(
        "clone",
        "--quiet",
        "--depth=1",
        "--no-single-branch",
        "--branch=change",
        f"file://{root}",
        str(shallow),
    )

    with pytest.raises(RevisionError, match="shallow and lacks it; with actions/checkout set fetch-depth: 0"):
        open_revision("git:origin/main", shallow)


def test_a_repository_of_another_user(root, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

    with pytest.raises(RevisionError, match=r"another user; .* --add safe.directory .*clone$"):
        open_revision("git:main", root)


def test_git_is_asked_in_english_and_without_prompts(tmp_path, monkeypatch):
    """Remedies are found by what git says, so a machine's language may not change it."""
    stand_in = tmp_path / "git"
    stand_in.write_text('#!/bin/sh\necho "in $LC_ALL, prompt $GIT_TERMINAL_PROMPT" >&2\nexit 128\n')
    stand_in.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    with pytest.raises(RevisionError, match=r"^git failed in .*: in C, prompt 0$"):
        open_revision("git:main", tmp_path)


@pytest.fixture
def moved(git, root):
    """The repository with a commit on `change`, which is checked out."""
    began = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "-b", "change")
    write(root, "golden/shop.yaml", "of the change")
    commit(git)
    return began


@pytest.mark.parametrize("place", ["refs/tags/main", "refs/heads/origin/main", "refs/tags/origin/main"])
def test_a_name_that_means_two_commits_is_an_error(git, root, moved, place):
    """Git alone would take the tag, so that whoever may push one chooses what a change is compared with."""
    git("update-ref", "refs/remotes/origin/main", moved)
    ref = place.removeprefix("refs/").partition("/")[2]
    assert open_revision(f"git:{ref}", root).commit == moved
    git("update-ref", place, "HEAD")

    with pytest.raises(RevisionError, match=rf"git:{ref} is ambiguous: .* and {place} are different commits"):
        open_revision(f"git:{ref}", root)
    assert open_revision("git:refs/remotes/origin/main", root).commit == moved
    git("update-ref", place, moved)
    assert open_revision(f"git:{ref}", root).commit == moved


def test_a_name_with_steps_back_is_resolved_in_full_too(git, root, moved):
    git("update-ref", "refs/heads/target", "HEAD")

    assert open_revision("git:target~1", root).commit == moved
    git("tag", "target", moved)
    with pytest.raises(RevisionError, match="write one of them in full, git:refs/heads/target~1"):
        open_revision("git:target~1", root)


def test_a_tag_named_as_a_short_hash_is_an_error(git, root, moved):
    assert open_revision(f"git:{moved[:10]}", root).commit == moved
    git("tag", moved[:10], "HEAD")

    with pytest.raises(RevisionError, match=f"is ambiguous: refs/tags/{moved[:10]} and the object {moved}"):
        open_revision(f"git:{moved[:10]}", root)
    assert open_revision(f"git:{moved}", root).commit == moved


@pytest.mark.usefixtures("moved")
def test_a_replaced_object_shows_what_it_was(git, root):
    git("replace", "main", "HEAD")
    assert git("show", "main:golden/shop.yaml") == "of the change"

    assert open_revision("git:main", root).read("golden/shop.yaml") == b"old shop"


def test_a_graft_moves_no_merge_base(git, root, moved):
    head = git("rev-parse", "HEAD")
    git("checkout", "--quiet", "main")
    write(root, "golden/shop.yaml", "of main, later")
    later = commit(git)
    git("checkout", "--quiet", "change")
    (root / ".git/info").mkdir(exist_ok=True)
    (root / ".git/info/grafts").write_text(f"{later} {head}\n")

    assert open_revision("git:main", root).commit == moved


def test_the_environment_of_the_start_counts(root, moved, tmp_path, monkeypatch):
    """Code of the project may set another; `PATH` could name another git."""
    monkeypatch.setattr(git_module, "_pinned", dict(os.environ))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", "")

    assert open_revision("git:main", root).commit == moved
