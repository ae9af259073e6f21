"""A version names one content, never falls, and owns up to what breaks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.prompts.files import Prompt, parse_version
from pytest_llmops.prompts.lock import check_prompts

LOCKED = Prompt(
    path="p/a.md", name="a", version="1.4.2", kind="system", tools=("x", "y"), output="0" * 16, sha256="old"
)
PLAIN = Prompt(path="p/b.md", name="b", version=None, kind=None, tools=(), output="", sha256="old")
NUMBERS = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2))
VERSIONS = st.none() | NUMBERS.map(lambda numbers: "{}.{}.{}".format(*numbers))
STATES = st.builds(
    Prompt,
    path=st.sampled_from(["p/a.md", "p/b.md", "p/c/a.md"]),
    name=st.sampled_from("abc"),
    version=VERSIONS,
    kind=st.sampled_from([None, "system", "tool"]),
    tools=st.lists(st.sampled_from("xyz"), unique=True).map(tuple),
    output=st.sampled_from(["", "0" * 16, "1" * 16]),
    sha256=st.sampled_from(["old", "new", "newer"]),
)
FOLDERS = st.lists(STATES, max_size=3, unique_by=lambda prompt: prompt.path)


def told(old, new):
    return [
        (prompt.what, prompt.red, prompt.hidden_by_lock)
        for prompt in check_prompts([old] if old else [], [new] if new else [])
    ]


@pytest.mark.parametrize(
    ("change", "whats"),
    [
        ({}, []),
        ({"sha256": "new"}, ["content"]),
        ({"sha256": "new", "version": "1.4.3"}, ["unlocked"]),
        ({"sha256": "new", "version": "1.10.0"}, ["unlocked"]),  # numbers, not text
        ({"sha256": "new", "version": "1.4.1"}, ["backwards"]),
        ({"sha256": "new", "version": "0.9.9"}, ["backwards"]),
        ({"sha256": "new", "version": None}, ["version removed"]),
        ({"sha256": "new", "version": "1.5.0", "tools": ("y",)}, ["tool removed"]),
        ({"sha256": "new", "version": "1.5.0", "tools": ()}, ["tool removed", "tool removed"]),
        ({"sha256": "new", "version": "1.5.0", "tools": ("z", "y", "x")}, ["unlocked"]),
        ({"sha256": "new", "version": "1.5.0", "output": "1" * 16}, ["output"]),
        ({"sha256": "new", "version": "1.5.0", "output": ""}, ["output"]),
        ({"sha256": "new", "version": "1.5.0", "kind": "tool"}, ["kind"]),
        ({"sha256": "new", "version": "1.5.0", "kind": None}, ["kind"]),
        ({"sha256": "new", "version": "2.0.0", "kind": "tool", "tools": (), "output": ""}, ["unlocked"]),
        ({"sha256": "new", "tools": ("x",)}, ["content", "tool removed"]),
        ({"path": "q/a.md"}, ["renamed"]),
        ({"path": "q/z.md", "name": "z"}, ["renamed"]),
        ({"path": "q/a.md", "sha256": "new"}, ["content", "renamed"]),
        ({"path": "q/z.md", "name": "z", "sha256": "new"}, ["gone", "new"]),
    ],
)
def test_a_prompt_with_a_version(change, whats):
    pending = {"unlocked", "renamed", "gone", "new"}
    assert told(LOCKED, replace(LOCKED, **change)) == [
        (what, what != "unlocked", what not in pending) for what in whats
    ]


def test_a_first_promise_needs_no_major_version():
    bare = replace(LOCKED, kind=None, tools=(), output="")
    assert told(bare, replace(LOCKED, sha256="new", version="1.4.3")) == [("unlocked", False, False)]


def test_a_prompt_without_a_version():
    assert told(PLAIN, PLAIN) == []
    assert told(PLAIN, replace(PLAIN, sha256="new")) == [("unversioned", True, False)]
    assert told(PLAIN, replace(PLAIN, sha256="new", version="1.0.0")) == [("unlocked", False, False)]


def test_new_and_gone():
    assert told(None, LOCKED) == [("new", True, False)]
    assert told(LOCKED, None) == [("gone", True, False)]


def test_a_finding_names_file_reason_and_remedy():
    [content] = check_prompts([LOCKED], [replace(LOCKED, sha256="new")])
    assert (content.file, content.name) == ("p/a.md", "a")
    assert content.reason == "the content changed, and the version is still 1.4.2"
    assert content.remedy == "Raise it to 1.4.3 or above"
    [tool] = check_prompts([LOCKED], [replace(LOCKED, sha256="new", version="1.5.0", tools=("x",))])
    assert "the tool y was removed" in tool.reason
    assert tool.remedy == "Raise the version to 2.0.0"
    [moved] = check_prompts([LOCKED], [replace(LOCKED, path="q/a.md")])
    assert (moved.file, moved.reason) == ("q/a.md", "was p/a.md")


def test_a_tool_s_name_cannot_act_on_a_terminal():
    [finding] = check_prompts(
        [replace(LOCKED, tools=("\x1b[2J",))], [replace(LOCKED, tools=(), sha256="n", version="1.5.0")]
    )
    assert finding.reason.isprintable()


@given(was=NUMBERS, now=NUMBERS, tools=st.booleans(), output=st.booleans(), kind=st.booleans())
def test_a_change_is_let_through_just_when_its_version_owns_up_to_it(was, now, tools, output, kind):
    old, new = ("{}.{}.{}".format(*numbers) for numbers in (was, now))
    locked = replace(LOCKED, version=old)
    changed = replace(
        locked,
        version=new,
        sha256="new",
        tools=("x",) if tools else locked.tools,
        output="1" * 16 if output else locked.output,
        kind="tool" if kind else locked.kind,
    )
    breaking = tools or output or kind
    let_through = now[0] > was[0] or (now > was and not breaking)
    assert any(red for _, red, _ in told(locked, changed)) is not let_through
    assert any(hidden for *_, hidden in told(locked, changed)) is not let_through


@given(before=FOLDERS, after=FOLDERS, seed=st.randoms(use_true_random=False))
def test_whatever_changed_is_told_and_a_lock_settles_it(before, after, seed):
    findings = check_prompts(before, after)
    assert bool(findings) == (sorted(map(repr, before)) != sorted(map(repr, after)))
    assert check_prompts(after, after) == ()
    seed.shuffle(before)
    seed.shuffle(after)
    assert check_prompts(before, after) == findings


@given(numbers=st.tuples(*[st.integers(0, 999_999_999)] * 3))
def test_a_version_is_its_three_numbers(numbers):
    assert parse_version("{}.{}.{}".format(*numbers)) == numbers


@given(text=st.text(alphabet="0123456789.v-+ \n٣", max_size=12))
def test_what_reads_as_a_version_is_written_just_so(text):
    numbers = parse_version(text)
    assert numbers is None or "{}.{}.{}".format(*numbers) == text


def test_a_rename_goes_to_the_first_path_whatever_the_order():
    found = [replace(LOCKED, path="r/a.md", sha256="r"), replace(LOCKED, path="q/a.md", sha256="q")]
    for each in (found, found[::-1]):
        assert [(one.file, one.what) for one in check_prompts([LOCKED], each)] == [
            ("q/a.md", "content"),
            ("q/a.md", "renamed"),
            ("r/a.md", "new"),
        ]
