"""`llmops init`: a first golden set of the app's own answers, and nothing of the project changed."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops.features.init.command import _dump
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.records import CaseResult, Output
from tests.command import main

BOT = """
def answer(question):
    if "swallow" in question:
        raise ValueError("no birds")
    return f"You asked: {question}"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "bot.py").write_text(BOT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_what_the_app_answers_and_the_set_passes(folder, capsys):
    assert main(["init"]) == 0

    shown = capsys.readouterr().out
    assert "golden/first.yaml: written" in shown
    golden = load_golden(folder / "golden/first.yaml", root=folder)
    assert golden.app == "bot:answer"
    references = {case.id: case.reference for case in golden.cases}
    assert references["greeting"] == "You asked: Hello!"
    assert references["off-topic"] is None
    assert (
        "# no answer today: the app raised ValueError: no birds" in (folder / "golden/first.yaml").read_text()
    )
    assert main(["run", "--out", "run.json"]) == 3  # the case that broke
    assert "4 passed, 0 failed, 0 regressed, 0 undecided, 1 error" in capsys.readouterr().out


def test_own_questions_take_the_place_of_the_usual_ones(folder):
    assert main(["init", "bot:answer", "--ask", "Where is my order?", "--ask", "- [x]: #"]) == 0

    golden = load_golden(folder / "golden/first.yaml", root=folder)
    assert [case.input for case in golden.cases] == ["Where is my order?", "- [x]: #"]
    assert main(["run"]) == 0


@pytest.mark.parametrize(
    ("service", "target"), [("github", ".github/workflows/golden.yml"), ("gitlab", "golden.gitlab-ci.yml")]
)
def test_a_workflow_is_written_where_there_is_none(folder, service, target, capsys):
    assert main(["init", "--ci", service]) == 0
    assert "pytest --llm-golden" in str(yaml.safe_load((folder / target).read_text()))

    (folder / target).unlink()  # the golden file is edited by now, and a workflow is wanted
    assert main(["init", "--ci", service]) == 0
    assert (folder / target).exists()

    (folder / target).write_text("mine: true\n")
    capsys.readouterr()
    assert main(["init", "--ci", service]) == 0
    assert f"{target}: is there already, and is not changed" in capsys.readouterr().out
    assert (folder / target).read_text() == "mine: true\n"


def test_settings_are_written_only_where_a_project_has_no_file_for_them(folder):
    (folder / "pytest.ini").write_text("[pytest]\n")
    assert main(["init"]) == 0

    assert not (folder / "pyproject.toml").exists()


@pytest.mark.parametrize(
    ("text", "arguments", "expected"),
    [
        (BOT, [], (4, "golden/first.yaml is there already, and is not changed")),
        (
            "def ask(x): ...\ndef run(x): ...",
            [],
            (4, "2 functions may be the app; name it:\n  llmops init bot:ask"),
        ),
        ("def ask(x): ...", ["my bot:ask"], (4, "my bot")),
        ("def run(command): ...", [], (4, "1 function may be the app; name it:\n  llmops init bot:run")),
        ("X = 1", [], (4, "no function looks like an app")),
        ('@app.get("/a")\ndef chat(x): ...', [], (4, "only handlers of a web framework (bot.py:2)")),
        (
            "def answer(x):\n    raise KeyError('key')",
            [],
            (3, "bot:answer gave no answer: the app raised KeyError"),
        ),
        (BOT, ["bot:reply"], (4, "bot has no 'reply'")),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_written(folder, text, arguments, expected, capsys):
    if text == BOT and not arguments:
        (folder / "golden").mkdir()
        (folder / "golden/first.yaml").write_text("mine")
    (folder / "bot.py").write_text(text)
    before = set(folder.rglob("*.y*ml"))

    code, message = expected
    assert main(["init", *arguments]) == code
    assert message in capsys.readouterr().err
    assert set(folder.rglob("*.y*ml")) == before


@given(text=st.text(st.characters(), min_size=1))
def test_any_answer_comes_back_out_of_the_file(tmp_path_factory, text):
    results = {"a": CaseResult(case="a", input_hash="", outputs=(Output(text=text),))}
    path = tmp_path_factory.mktemp("any") / "first.yaml"
    path.write_text(_dump("bot:answer", {"a": text}, results), encoding="utf-8")

    (case,) = load_golden(path, root=path.parent).cases
    assert case.reference == case.input == text.encode("utf-8", "replace").decode()
