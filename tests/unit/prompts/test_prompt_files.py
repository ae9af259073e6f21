"""Which files are prompts, what each is, and what is wrong in any of them, all at once."""

from __future__ import annotations

from hashlib import sha256

import pytest

from pytest_llmops.errors import PromptError
from pytest_llmops.prompts.files import MAX_BYTES, find_prompts, read_prompt

HEAD = "name: planner\nversion: 1.2.3\nkind: planner\n"


def write(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())


def test_a_text_and_a_yaml_file_say_the_same(tmp_path):
    promised = "tools: [search, {name: order_status, description: d}]\noutput: {type: object}\n"
    write(
        tmp_path,
        {"p/a.md": f"---\n{HEAD}{promised}---\nPlan.", "q/b.yaml": f"{HEAD}{promised}template: Plan."},
    )

    text, mapping = *find_prompts(["p"], tmp_path), *find_prompts(["q/b.yaml"], tmp_path)

    assert (text.path, mapping.path) == ("p/a.md", "q/b.yaml")
    for prompt in (text, mapping):
        assert (prompt.name, prompt.version, prompt.kind) == ("planner", "1.2.3", "planner")
        assert prompt.tools == ("search", "order_status")
    assert text.output == mapping.output != ""
    assert text.sha256 == sha256((tmp_path / "p/a.md").read_bytes()).hexdigest()


def test_a_folder_stands_for_its_prompt_files_sorted(tmp_path):
    names = ["b.txt", "a/z.MD", "a/y.jinja", "c.j2", "d.prompt", "e.yml"]
    others = [".hidden.md", ".git/a.md", "prompts.lock", "x.py", "x.json", "noending"]
    write(tmp_path / "p", {**dict.fromkeys(names, "k: v"), **dict.fromkeys(others, "\xff")})

    found = find_prompts(["p", "p/b.txt", str(tmp_path / "p" / "a")], tmp_path)

    assert [prompt.path for prompt in found] == sorted(f"p/{name}" for name in names)
    assert {prompt.version for prompt in found} == {None}
    assert [prompt.name for prompt in found] == ["y", "z", "b", "c", "d", "e"]


def test_another_revision_is_another_root(tmp_path):
    write(tmp_path, {"now/p/a.md": "new", "then/p/a.md": "old"})
    now, then = (find_prompts(["p"], tmp_path / root)[0] for root in ("now", "then"))
    assert now.path == then.path
    assert now.sha256 != then.sha256


def test_a_checkout_on_windows_has_the_same_digest():
    unix, windows = read_prompt("a.md", b"one\ntwo\n"), read_prompt("a.md", b"one\r\ntwo\r\n")
    assert unix == windows
    assert unix.sha256 != read_prompt("a.md", b"one\rtwo\n").sha256


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("output: {a: 1, b: 2}", "output: {b: 2, a: 1}", True),
        ("output: JSON", "output: ' JSON '", True),
        ("output: {type: object}", 'output: {"type": "object"}', True),
        ("output: {a: true}", "output: {a: 'true'}", False),
        ("output: {a: 1}", "output: {a: 2}", False),
        ("output: [a]", "output: a", False),
        ("output: ''", "x: y", True),
        ("output:", "x: y", True),
    ],
)
def test_the_output_s_digest_is_of_its_meaning(one, other, same):
    digests = [read_prompt("a.yaml", text.encode()).output for text in (one, other)]
    assert (digests[0] == digests[1]) is same


def test_a_name_without_blanks_is_made_of_the_file_s(tmp_path):
    write(
        tmp_path,
        {"my  first\u202eprompt.txt": "Hi", "\ufeffmarked.md": b"\xef\xbb\xbf---\nname: said\n---\n"},
    )
    assert sorted(prompt.name for prompt in find_prompts(["."], tmp_path)) == [
        "my-first\\u202eprompt",
        "said",
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: a b\nversion: 1.0.0\nkind: tool", 1, "name: must be text without blanks"),
        ("name: 5\nversion: 1.0.0\nkind: tool", 1, "not 5"),
        ('name: "a\\u202eb"', 1, "not 'a\\u202eb'"),
        ("name: a\nversion: 1.0\nkind: tool", 2, "version: must be MAJOR.MINOR.PATCH, such as 1.0.0, not"),
        ("version: v1.0.0\nname: a\nkind: tool", 1, "not 'v1.0.0'"),
        ("name: a\nversion: 1.0.0-rc.1\nkind: tool", 2, "not '1.0.0-rc.1'"),
        ("name: a\nversion: 01.0.0\nkind: tool", 2, "not '01.0.0'"),
        ("name: a\nversion:\nkind: tool", 2, "version is empty"),
        ("name: a\nverison: 1.0.0", 2, "unknown key 'verison'. Did you mean 'version'?"),
        ("name: a\nversion: 1.0.0\nkind: systen", 3, "safety, not 'systen'. Did you mean 'system'?"),
        ("name: a\nkind: [tool]", 2, "not ['tool']"),
        ("name: a\nversion: 1.0.0", 2, "a prompt with a version needs a kind too"),
        ("version: 1.0.0\nkind: tool", 1, "a prompt with a version needs a name too"),
        ("tools: search", 1, "tools: must be a list, not 'search'"),
        ("tools: [a, {title: b}]", 1, "tools[1]: must be a name"),
        ("tools: [a, 1]", 1, "tools[1]: must be a name"),
        ("tools: [a, {name: a}]", 1, "tools: must be names that differ"),
        ("output: [a]", 1, "output: must be a JSON schema or a text"),
        (b"name: a\n\xff", 2, "is no UTF-8"),
        (b"a: " + b"x" * MAX_BYTES, 0, "larger than 1 MiB"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_and_line(tmp_path, text, line, said):
    write(tmp_path, {"p/a.yaml": text})
    with pytest.raises(PromptError) as caught:
        find_prompts(["p"], tmp_path)
    [problem] = caught.value.problems
    assert (problem.path, problem.line) == ("p/a.yaml", line)
    assert said in problem.message


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path):
    write(
        tmp_path,
        {
            "p/a.yaml": "name: one\nversion: 1\nkind: tol",
            "p/b.md": "---\nname: one\n",
            "p/c.md": "---\n# mine\nname: one\n---\n",
            "p/d.md": "---\nname: one\n---\n",
        },
    )
    with pytest.raises(PromptError) as caught:
        find_prompts(["p", "q", "p/x.md", "..", "/"], tmp_path)
    told = str(caught.value).splitlines()
    for start in (
        "p/a.yaml:2: version: must", "p/a.yaml:3: kind: must", "p/b.md:1: the front matter",
        "p/c.md:3: the name 'one' is that of p/a.yaml too",
        "p/d.md:2: the name 'one' is that of p/a.yaml too",
        "q: no such file or folder", "p/x.md: no such file or folder. Did you mean", "..: lies outside",
    ):  # fmt: skip
        assert sum(line.startswith(start) for line in told) == 1, start
    assert len(told) == 9


def test_two_files_may_share_a_name_that_neither_says(tmp_path):
    write(tmp_path, {"p/README.md": "a", "p/en/README.md": "b"})
    assert [prompt.name for prompt in find_prompts(["p"], tmp_path)] == ["README", "README"]


@pytest.mark.parametrize(("path", "said"), [("a.py", "not a prompt file"), ("a\0", "no such file")])
def test_a_path_that_cannot_be_a_prompt(tmp_path, path, said):
    write(tmp_path, {"a.py": ""})
    with pytest.raises(PromptError, match=said):
        find_prompts([path], tmp_path)


def test_what_is_wrong_in_an_old_file_is_left_out():
    prompt = read_prompt("p/a.yaml", b"name: planner\nversion: 1.0.0\nkind: answerer")
    assert (prompt.name, prompt.version, prompt.kind) == ("planner", "1.0.0", None)
    assert read_prompt("p/a.yaml", b"\xff").name == "a"
