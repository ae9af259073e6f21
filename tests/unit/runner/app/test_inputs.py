"""Each call of an app gets a copy of its input, and an app that changes its own is reported."""

from __future__ import annotations

import asyncio
import threading
from collections import UserList
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import load_golden, run_golden
from pytest_llmops.records import CaseResult, Failure, Output
from pytest_llmops.runner.app.inputs import GivenInput, describe_changed_inputs
from pytest_llmops.settings import Settings

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(LEAVES, lambda part: st.lists(part) | st.dictionaries(st.text(max_size=3), part))


@given(VALUES)
def test_a_copy_shares_nothing_and_is_unchanged_until_it_is_changed(written):
    given_input = GivenInput(written)
    assert not given_input.is_changed()
    if isinstance(written, list):
        given_input.value.append("more")
    elif isinstance(written, dict):
        given_input.value["another key"] = "more"
    else:
        return
    assert "more" not in (written if isinstance(written, list) else written.values())
    assert given_input.is_changed() or given_input.value != given_input.value


class Uncopied(UserList):
    def __deepcopy__(self, memo):
        raise TypeError("holds a connection")


@pytest.mark.parametrize("written", [threading.Lock(), Uncopied([1]), object()], ids=["lock", "own", "plain"])
def test_what_has_no_copy_or_no_equality_is_passed_on_and_not_reported(written):
    given_input = GivenInput(written)
    if isinstance(written, Uncopied):
        given_input.value.append(2)
    assert not given_input.is_changed()


GOLDEN = """
version: 1
{head}
checks: {{exact_match: true}}
cases:
  - id: nested
    input: {{messages: [{{role: user, content: hi}}]}}
    reference: "1"
  - {{id: text, input: hi, reference: "1"}}
"""


def count(question):
    """Count the messages, and add one, as chat apps do."""
    if isinstance(question, str):
        return "1"
    question["messages"].append({"role": "assistant", "content": "hello"})
    return str(len(question["messages"]) - 1)


def count_and_break(question):
    count(question)
    raise KeyError("no order")


async def count_async(question):
    await asyncio.sleep(0)
    return count(question)


@pytest.fixture
def run(tmp_path):
    def run(app, head="", **options):
        path = tmp_path / "golden.yaml"
        path.write_text(GOLDEN.format(head=head))
        problems = []
        golden = load_golden(path, root=tmp_path)
        before = deepcopy(golden)
        run = run_golden(golden, app, settings=Settings(root=tmp_path), problems=problems, **options)
        assert golden == before
        return run, [line for line in problems if "changed its input" in line]

    return run


@pytest.mark.parametrize("app", [count, count_async])
def test_repeats_do_not_see_what_another_one_added(run, app):
    made, (note,) = run(app, repeats=5)
    assert [output.text for result in made.results for output in result.outputs] == ["1"] * 10
    assert note.startswith("warning: golden.yaml: the app changed its input in place, in 1 case: nested. ")


def test_a_rival_and_a_call_that_broke_are_reported_too(run, monkeypatch, tmp_path):
    (tmp_path / "counting_rival.py").write_text(
        "def count(question):\n"
        "    if isinstance(question, dict):\n"
        "        question['messages'].clear()\n"
        "    return '1'\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    _, (note,) = run(lambda _: "1", head="rival: counting_rival:count")
    assert "in 1 case: nested" in note
    _, (note,) = run(count_and_break)
    assert "in 1 case: nested" in note


def test_a_retry_gets_a_copy_too(run, monkeypatch):
    async def wait(_):
        return None

    monkeypatch.setattr("pytest_llmops.runner.app.calls.sleep", wait)
    tries = {str: [], dict: []}

    def app(question):
        tried = tries[type(question)]
        tried.append(count(question))
        if len(tried) < 3:
            raise ConnectionError("gone")
        return tried[-1]

    made, _ = run(app)
    assert tries == {str: ["1"] * 3, dict: ["1"] * 3}
    assert {output.text for result in made.results for output in result.outputs} == {"1"}


def test_an_app_that_copies_is_not_reported(run):
    _, notes = run(lambda question: count(deepcopy(question)), repeats=2)
    assert notes == []


def test_one_warning_for_each_file_with_its_cases():
    results = [
        CaseResult(case=f"golden/{file}.yaml::{case}", input_hash="", outputs=outputs, failures=failures)
        for file, case, outputs, failures in (
            ("a", "one", (Output(text=""), Output(text="", changed_input=True)), ()),
            ("a", "two", (), (Failure(metric="", stage="app", error="x", changed_input=True),)),
            ("a", "three", (Output(text=""),), ()),
            ("b", "\x1b[31m", (Output(text="", changed_input=True),), ()),
        )
    ]
    first, second = describe_changed_inputs(results)
    assert first.startswith(
        "warning: golden/a.yaml: the app changed its input in place, in 2 cases: one, two."
    )
    assert "\x1b" not in second
