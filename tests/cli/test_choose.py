"""`llmops choose`: apps, settings and run files, exit codes, what is shown and written."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops import Score
from tests.command import main
from tests.readme import run_page
from tests.unit.gates.gate_records import check_of, failure_of, result_of, store_run

pytestmark = pytest.mark.usefixtures("warm")

DOCS = Path(__file__).parents[2] / "docs" / "choose.md"

BOT = """
import os
from pathlib import Path

def answer(question):
    number = int(question.split()[0])
    missed = {"short": (1, 2), "long": (5, 6, 7), "none": ()}[os.environ.get("STYLE", "none")]
    if os.environ.get("BREAK") and number < int(os.environ["BREAK"]):
        raise ValueError("out of \\x1b[31mmemory")
    return "I cannot say." if number in missed else "Within 60 days."

def refuse(question):
    return "No."

def count(question):
    with Path("calls.txt").open("a") as file:
        file.write("x")
    return "Within 60 days."

def end(question):
    import signal
    os.kill(os.getpid(), signal.SIGKILL)
"""
CASES = [f"  - {{id: c{at}, input: '{at} how long?'}}" for at in range(20)]
GOLDEN = "\n".join(["app: choose_bot:answer", "checks: {keywords: {all: ['60 days']}}", "cases:", *CASES])


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "choose_bot.py").write_text(BOT)
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "shop.yaml").write_text(GOLDEN)
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    for name in ("STYLE", "BREAK"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def store(name: str, *values: float, text: str = "", **more) -> Path:
    """A run file with so many cases."""
    results = [
        result_of(f"c{at:02}", texts=[text or f"{name} {at}"], checks=[check_of()], exact_match=value)
        for at, value in enumerate(values)
    ]
    store_run(name, [replace(result, **more) for result in results])
    return Path(name)


def choose(capsys: pytest.CaptureFixture[str], *typed: str) -> tuple[int, list[str]]:
    code = main(["choose", *typed])
    return code, capsys.readouterr().out.splitlines()


def test_settings_that_differ_by_three_against_two_questions_have_no_winner(capsys, project):
    code, shown = choose(capsys, "STYLE=short", "STYLE=long", "--out", "choice.json")
    assert code == 2
    assert shown[0].split()[:4] == ["candidate", "cases", "errors", "keywords"]
    assert shown[1].split()[:4] == ["STYLE=short", "20", "0", "0.9"]
    assert shown[-1].startswith(
        "no winner: best STYLE=short (keywords 0.9), then STYLE=long (keywords 0.85); STYLE=short against "
        "STYLE=long: 3 cases against 2, p = 1; about "
    )
    assert shown[-1].endswith(" further cases could decide")
    written = json.loads((project / "choice.json").read_text())
    assert (written["version"], written["outcome"], written["winner"]) == (1, "none", None)
    assert written["summary"] == shown[-1]
    pair = written["pairs"][0]
    assert (pair["better"], pair["ties"], pair["worse"], pair["p_value"]) == (3, 15, 2, 1.0)
    assert pair["decides"]
    assert not written["pairs"][1]["decides"]
    assert 500 < written["further_cases"] < 1_500


def test_the_better_app_is_named(capsys):
    code, shown = choose(capsys, "choose_bot:refuse", "choose_bot:answer")
    assert code == 0
    assert (
        shown[-1] == "winner: choose_bot:answer, better than choose_bot:refuse in keywords (1, p = 1.91e-06)"
    )


def test_an_app_that_is_named_twice_otherwise_is_the_same_app(capsys):
    code, shown = choose(capsys, "choose_bot:answer", "STYL=long")
    assert code == 2
    assert any(
        "gave the same answers in all 20 cases: are they the same app, or does a setting" in each
        for each in shown
    )
    assert shown[-1].startswith(
        "no winner: choose_bot:answer and STYL=long have the same keywords in 20 cases"
    )


def test_an_app_against_a_stored_run_and_settings_of_another_app(capsys):
    assert main(["run", "--app", "choose_bot:refuse", "--out", "old.json"]) == 1
    capsys.readouterr()
    code, shown = choose(
        capsys, "old.json", "STYLE=long", "--app", "choose_bot:answer", "--golden", "golden", "--repeats", "2"
    )
    assert code == 0
    assert shown[-1].startswith("winner: STYLE=long, better than old.json in keywords (0.85, p = ")


def test_repeats_are_run_for_each_candidate_and_calls_are_made_by_no_stored_run(capsys, project):
    code, _ = choose(
        capsys, "choose_bot:count", "choose_bot:refuse", "--repeats", "3", "--golden", "golden/shop.yaml"
    )
    assert code == 0
    assert len((project / "calls.txt").read_text()) == 60


@pytest.mark.parametrize(
    ("typed", "code", "last"),
    [
        (
            "BREAK=3 choose_bot:refuse",
            3,
            "error: BREAK=3 is ahead, but had errors; fix them and choose again",
        ),
        ("BREAK=3 STYLE=none", 2, "no winner: best STYLE=none (keywords 1), then BREAK=3 (keywords 0.85); "),
        ("BREAK=9 STYLE=none", 3, "error: STYLE=none is ahead of BREAK=9 only by cases"),
        (
            "choose_bot:end STYLE=none",
            3,
            "error: choose_bot:end has no score in any case: its run ended early",
        ),
    ],
)
def test_errors(typed, code, last, capsys):
    found, shown = choose(capsys, *typed.split())
    assert found == code
    assert shown[-1].startswith(last)
    assert "\x1b" not in "".join(shown)
    assert any("which count as missed" in line for line in shown)


@pytest.mark.parametrize(
    ("files", "flags", "code", "last"),
    [
        (
            {"a.json": [1.0] * 9, "b.json": [0.0] * 9},
            "",
            0,
            "winner: a.json, better than b.json in exact_match (1, p = 0.00391)",
        ),
        ({"a.json": [1.0] * 9, "b.json": [0.0] * 9}, "--alpha 0.001", 2, "no winner: best a.json "),
        ({"a.json": [1.0] * 9, "b.json": [0.0] * 6}, "", 0, "winner: a.json"),
        ({"a.json": [1.0] * 9, "b.json": [0.0] * 5}, "", 2, "no winner: best a.json"),
        (
            {"a.json": [1.0] * 9, "b.json": [1.0] * 9},
            "",
            2,
            "no winner: a.json and b.json have the same exact_match in 9 cases",
        ),
        (
            {"a.json": [1.0] * 9, "b.json": [0.5] * 9, "c.json": [0.0] * 9},
            "",
            0,
            "winner: a.json, better than b.json in exact_match (0.5, p = 0.0117); better",
        ),
        ({"a.jsonl": [1.0] * 9, "b.json": [0.0] * 9}, "", 0, "winner: a.jsonl"),
    ],
)
def test_stored_runs(files, flags, code, last, capsys):
    for name, values in files.items():
        if name.endswith(".jsonl"):
            lines = store(f"{name[:-1]}", *values)
            run = json.loads(lines.read_text())
            head = {key: value for key, value in run.items() if key not in {"results", "usage"}}
            Path(name).write_text("\n".join(map(json.dumps, [head, *run["results"]])))
        else:
            store(name, *values)
    found, shown = choose(capsys, *files, *flags.split())
    assert found == code
    assert shown[-1].startswith(last)


def test_cases_that_are_left_out_are_counted(capsys):
    store("a.json", *[1.0] * 9)
    store("b.json", *[0.0] * 6)
    _, shown = choose(capsys, "a.json", "b.json")
    assert (
        "left out of a.json: 3 cases (golden/shop.yaml::c06, golden/shop.yaml::c07, golden/shop.yaml::c08); "
        in " ".join(shown)
    )
    assert shown[1].split()[1] == "6"


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"input_hash": "edited"}, "no case is the same in all candidates"),
        ({"scores": ()}, "b.json was never scored by exact_match"),
        ({"scores": (Score(metric="exact_match", value=1.0, signature="exact_match|v2"),)}, "was scored by"),
    ],
)
def test_runs_that_cannot_be_compared_are_3(change, shown, capsys):
    store("a.json", *[1.0] * 9)
    store("b.json", *[1.0] * 9, **change)
    assert main(["choose", "a.json", "b.json"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert shown in said.err


def test_hostile_text_does_nothing(capsys):
    store("a.json", *[1.0] * 9)
    store("b\x1b[2J.json", *[1.0] * 9, failures=(failure_of("\x1b]0;owned\x07\u202e"),))
    _, shown = choose(capsys, "a.json", "b\x1b[2J.json")
    text = "".join(shown)
    assert "b\\x1b[2J.json" in text
    assert "owned" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


@pytest.mark.parametrize(
    ("typed", "code", "shown"),
    [
        ("", 4, "name two candidates or more"),
        ("choose_bot:answer", 4, "name two candidates or more"),
        ("choose_bot:answer choose_bot:answer", 4, "choose_bot:answer is named twice"),
        ("A=1,B=2 B=2,A=1", 4, "is named twice"),
        ("choose_bot answer", 4, "'choose_bot' is no candidate; name an app, module:function"),
        ("prompts=short prompts=long", 4, "prompts= is no candidate"),
        ("1A=2 B=2", 4, "a candidate takes VAR=VALUE"),
        ("choose_bot:nope choose_bot:answer", 4, "choose_bot:nope: the app 'choose_bot:nope'"),
        ("STYLE=a STYLE=b --golden none.yaml", 4, "none.yaml"),
        ("STYLE=a STYLE=b --record never", 4, "--record"),
        ("STYLE=a STYLE=b --repeats auto", 4, "--repeats takes a whole number"),
        ("STYLE=a STYLE=b --alpha 5", 4, "--alpha takes a share"),
        ("STYLE=short STYLE=long --metric keyword", 4, "scored by 'keyword'. Did you mean 'keywords'?"),
        ("none.json also.json", 3, "none.json: there is no such run file"),
        ("a.json b.json --golden golden", 4, "--golden is for running candidates"),
        ("a.json b.json --out a.json", 4, "is the file that is read"),
    ],
)
def test_a_mistake_is_one_line(typed, code, shown, capsys):
    store("a.json", 1.0)
    store("b.json", 1.0)
    assert main(["choose", *typed.split()]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert shown in said.err
    assert said.err.count("\n") == 1


def test_the_documented_example(project):
    """The blocks of docs/choose.md as a program."""
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    wrong = run_page(DOCS.read_text(encoding="utf-8"), project, environment)
    assert not wrong, "\n\n".join(wrong)


def test_secrets_in_settings_are_not_shown(capsys):
    secrets = [f"sk-proj-{start}T3BlbkFJq8XvZr2Lm9Pw4Kc7Yd1Hn5Gs6" for start in ("Ab12Cd34Ef", "Zy98Xw76Vu")]
    keys = [f"OPENAI_API_KEY={secret}" for secret in secrets]
    _, shown = choose(capsys, *keys, "--format", "json")
    written = json.loads("\n".join(shown))
    names = [each["name"] for each in written["candidates"]]
    assert len(set(names)) == 2
    assert not any(secret in "".join(shown) for secret in secrets)
