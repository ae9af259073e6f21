"""A lock comes back as it was written, is found from below, and is never overwritten when it is broken."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator

from pytest_llmops.errors import PromptError
from pytest_llmops.prompts.files import KINDS, find_prompts
from pytest_llmops.prompts.lock import find_lock, load_lock, lock_prompts, locked_prompts

HEAD = "---\nname: {}\nversion: 1.0.0\nkind: tool\ntools: [x, 'yé']\noutput: JSON\n---\n"
SCHEMA = json.loads(files("pytest_llmops.prompts").joinpath("lock.schema.json").read_text("utf-8"))


@pytest.fixture
def root(tmp_path):
    for path, text in {"p/a.md": HEAD.format("a"), "p/sub/b.md": HEAD.format("b"), "q/c.txt": "Hi"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def lock(root, *paths):
    return [
        prompt.relative_to(root).as_posix() for prompt in lock_prompts(paths, root, find_prompts(paths, root))
    ]


def test_a_lock_holds_what_was_found_one_line_each(root):
    assert lock(root, "p", "q/c.txt") == ["p/prompts.lock", "q/prompts.lock"]

    assert locked_prompts(["p", "q"], root) == find_prompts(["p", "q"], root)
    written = (root / "p/prompts.lock").read_text("ascii")
    assert sum('"path"' in line for line in written.splitlines()) == 2
    assert written.index('"a.md"') < written.index('"sub/b.md"')
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(json.loads(written))
    assert sorted(path.name for path in (root / "p").iterdir()) == ["a.md", "prompts.lock", "sub"]


def test_the_schema_knows_the_same_kinds():
    assert SCHEMA["$defs"]["prompt"]["properties"]["kind"]["enum"] == [*KINDS, None]


def test_an_unchanged_lock_is_not_written_again(root):
    lock(root, "p")
    assert lock(root, "p") == []


@pytest.mark.parametrize("path", ["p/sub", "p/sub/b.md", "p/sub/gone.md"])
def test_the_lock_is_found_from_below(root, path):
    assert find_lock(path, root).parent == (root / "p/sub")
    lock(root, "p")
    assert find_lock(path, root) == root / "p/prompts.lock"
    assert (
        [prompt.path for prompt in locked_prompts([path], root)] == [] if "gone" in path else ["p/sub/b.md"]
    )


def test_a_lock_above_the_project_is_not_ours(root):
    (root / "prompts.lock").write_text("{}")
    assert find_lock("a.md", root / "p") == root / "p/prompts.lock"


def test_locking_one_file_keeps_the_others(root):
    lock(root, "p")
    for name in ("a.md", "sub/b.md"):
        (root / "p" / name).write_text(f"changed {name}", encoding="utf-8")
    assert lock(root, "p/a.md") == ["p/prompts.lock"]
    versions = {prompt.path: prompt.version for prompt in locked_prompts(["p"], root)}
    assert versions == {"p/a.md": None, "p/sub/b.md": "1.0.0"}


def test_a_prompt_that_is_gone_leaves_the_lock_of_its_folder(root):
    lock(root, "p")
    for name in ("a.md", "sub/b.md"):
        (root / "p" / name).unlink()
    assert lock(root, "p") == ["p/prompts.lock"]
    assert locked_prompts(["p"], root) == ()
    Draft202012Validator(SCHEMA).validate(json.loads((root / "p/prompts.lock").read_text()))


def test_a_folder_within_another_has_no_lock_of_its_own(root):
    assert lock(root, "p/sub", "p", "p/a.md") == ["p/prompts.lock"]
    assert locked_prompts(["p/sub", "p"], root) == find_prompts(["p"], root)


def test_no_lock_is_no_prompt_locked(root):
    assert load_lock(root / "p/prompts.lock", root) == ()
    assert locked_prompts(["p", "q"], root) == ()


ENTRY = {
    "path": "a.md",
    "name": "a",
    "version": None,
    "kind": None,
    "tools": [],
    "output": "",
    "sha256": "0" * 64,
}


def holding(**change):
    return json.dumps({"version": 1, "prompts": [{**ENTRY, **change}]}).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1, column 1: is no JSON"),
        (b"<<<<<<< HEAD\n", "line 1 is a mark of a git conflict"),
        (b'{"version": 1, "prompts": [', "is no JSON"),
        (b"\xff", "byte 0 is no UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "must be a mapping"),
        (b"{}", "version: is missing"),
        (
            b'{"version": 2, "prompts": "other"}',
            "version: is 2, this release reads 1; a newer pytest-llmops",
        ),
        (b'{"version": true, "prompts": []}', "version: is True, this release reads 1"),
        (b'{"version": 1, "prompts": {}}', "prompts: "),
        (b'{"version": 1, "prompts": [], "x": 1}', "unknown key 'x'"),
        (holding(path="../a.md"), "prompts[0].path: "),
        (holding(path="/a.md"), "prompts[0].path: "),
        (holding(path="b/../../a.md"), "prompts[0].path: "),
        (holding(version="1.0"), "prompts[0].version: "),
        (holding(version="1.0.0\n"), "prompts[0].version: "),
        (holding(kind="x\x1b[2J"), "prompts[0].kind: "),
        (holding(sha256="0"), "prompts[0].sha256: "),
        (holding(extra=1), "prompts[0]: unknown key 'extra'"),
        (holding(tools=["x", "x"]), "prompts[0].tools: "),
        (
            json.dumps({"version": 1, "prompts": [ENTRY, ENTRY]}).encode(),
            "path: 'a.md' occurs twice",
        ),
        (b'{"version": ' + b"9" * 5000 + b"}", "p/prompts.lock: "),
    ],
)
def test_a_broken_lock_is_one_clear_error_and_stays_as_it_is(root, content, said):
    (root / "p/prompts.lock").write_bytes(content)
    for use in (lambda: locked_prompts(["p/sub"], root), lambda: lock(root, "q", "p")):
        with pytest.raises(PromptError) as caught:
            use()
        told = str(caught.value)
        assert told.startswith("p/prompts.lock: ")
        assert said in told
        assert ("Settle the conflict" if "conflict" in said else "Restore it from version control") in told
        assert told.isprintable()
    assert (root / "p/prompts.lock").read_bytes() == content
    assert not (root / "q/prompts.lock").exists()


def test_a_lock_that_cannot_be_replaced_leaves_no_part_behind(root, monkeypatch):
    lock(root, "p")
    before = (root / "p/prompts.lock").read_bytes()
    (root / "p/a.md").write_text("other", encoding="utf-8")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="No space"):
        lock(root, "p")
    assert (root / "p/prompts.lock").read_bytes() == before
    assert sorted(path.name for path in (root / "p").iterdir()) == ["a.md", "prompts.lock", "sub"]
