"""`llmops choose`: leaks, denied calls and attacks that succeed are no matter of means."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_llmops import Score
from tests.command import main
from tests.extras import needs_pii
from tests.unit.gates.gate_records import check_of, result_of, store_run

pytestmark = [pytest.mark.usefixtures("warm"), needs_pii]

BOT = """
from pytest_llmops import Output, ToolCall

def right(question):
    return "Within 60 days."

def leaky(question):
    return "Within 60 days. Ask anna.berg@firma-nord.de, who ordered it."

def leaky_once(question):
    return right(question) if int(question.split()[0]) else leaky(question)

def attacked(question):
    return "Within 60 days." + (" belukavo" if question.startswith("3 ") else "")

def refuse(question):
    return "No."

def leaky_refusal(question):
    return "No. Ask anna.berg@firma-nord.de."

def calling(question):
    call = ToolCall(name="mail", arguments={"to": "anna.berg@firma-nord.de"})
    return Output(text="Within 60 days.", tool_calls=(call,))

def reading(question):
    ordered = {"id": "orders#1", "text": "Boots, ordered by anna.berg@firma-nord.de."}
    return {"text": "Within 60 days.", "passages": [ordered]}

def printing(question):
    print("asked by anna.berg@firma-nord.de")
    return "Within 60 days."

def denied(question):
    return Output(text="Within 60 days.", tool_calls=(ToolCall(name="refund", decision="denied"),))
"""
CASES = [f"  - {{id: c{at}, input: '{at} how long?'}}" for at in range(12)]
CHECKS = "{keywords: {all: ['60 days']}}"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    (tmp_path / "veto_bot.py").write_text(BOT)
    (tmp_path / "golden").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    write_golden()
    return tmp_path


def write_golden(checks: str = CHECKS, more: str = "") -> None:
    lines = ["app: veto_bot:right", f"checks: {checks}", more, "cases:", *CASES]
    Path("golden/shop.yaml").write_text("\n".join(lines))


def choose(capsys: pytest.CaptureFixture[str], *apps: str) -> tuple[int, str, str]:
    code = main(["choose", *(app if app.endswith(".json") else f"veto_bot:{app}" for app in apps)])
    shown = capsys.readouterr().out
    return code, shown.splitlines()[-1], shown


def test_an_app_that_prints_personal_data_is_not_crowned(capsys):
    code, _, shown = choose(capsys, "printing", "refuse")

    assert code == 2
    assert "veto_bot:printing cannot win: leaks personal data or secrets in 12 cases" in shown


def test_passages_are_searched_too_unless_they_are_said_to_be_the_project_s_own(capsys):
    code, last, shown = choose(capsys, "reading", "refuse")
    assert code == 2
    assert "veto_bot:reading cannot win: leaks personal data or secrets in 12 cases" in last
    assert "if these are texts of yours: `passages: own_knowledge`" in last
    assert "anna.berg" not in shown

    main(["run", "--app", "veto_bot:reading", "--out", "reading.json"])
    run = json.loads(Path("reading.json").read_text())
    for result in run["results"]:  # as another tool writes it
        result["outputs"][0]["passages"] = [{"id": "a", "text": "Ordered by anna.berg@firma-nord.de."}]
    Path("clear.json").write_text(json.dumps(run))
    main(["run", "--app", "veto_bot:refuse", "--out", "refuse.json"])
    assert "leaks personal data or secrets in 12 cases" in choose(capsys, "clear.json", "refuse.json")[1]

    write_golden(more="passages: own_knowledge")
    assert choose(capsys, "reading", "refuse")[:1] == (0,)
    for stored in ("reading.json", "clear.json"):
        assert choose(capsys, stored, "refuse.json")[1].startswith(f"winner: {stored}")


def test_an_app_that_leaks_in_every_answer_is_not_crowned(capsys):
    """Before there were vetoes it won, since the golden file checks keywords alone."""
    code, last, shown = choose(capsys, "leaky", "refuse")

    assert code == 2
    assert last.startswith(
        "no winner: only veto_bot:refuse has no veto, and it is better than no other; veto_bot:leaky "
        "cannot win: leaks personal data or secrets in 12 cases (golden/shop.yaml::c0, golden/shop.yaml::c1, "
    )
    assert "<EMAIL_ADDRESS" in last
    assert "anna.berg" not in shown


@pytest.mark.parametrize("leaks", ["leaky_once", "calling"])
def test_one_leak_is_enough_and_the_best_of_the_others_wins(capsys, leaks):
    code, last, _ = choose(capsys, leaks, "right", "refuse")

    assert code == 0
    assert last.startswith("winner: veto_bot:right, better than veto_bot:refuse in keywords")
    assert f"; veto_bot:{leaks} cannot win: leaks personal data or secrets in " in last


def test_all_vetoed_is_no_winner(capsys):
    code, last, _ = choose(capsys, "leaky", "leaky_refusal")

    assert code == 2
    assert last.startswith("no winner: every candidate has a veto; ")


def test_what_the_project_allows_is_no_leak(capsys):
    write_golden("{keywords: {all: ['60 days']}, pii_leak: {allow: [anna.berg@firma-nord.de]}}")

    code, last, _ = choose(capsys, "leaky", "refuse")

    assert code == 0
    assert last.startswith("winner: veto_bot:leaky")


def test_a_denied_call_is_a_veto_where_it_is_checked(capsys):
    assert choose(capsys, "denied", "refuse")[0] == 0
    write_golden("{keywords: {all: ['60 days']}, denied_calls: none}")

    code, last, shown = choose(capsys, "denied", "refuse")

    assert code == 2
    assert "veto_bot:denied cannot win: misses the bound on denied_calls in 12 cases" in last
    assert "denied: refund" in shown


def test_an_attack_that_succeeds_is_a_veto(capsys):
    write_golden("{keywords: {all: ['60 days']}, attack: {goal: a word, success: {canary: belukavo}}}")

    code, last, _ = choose(capsys, "attacked", "refuse")

    assert code == 2
    assert "veto_bot:attacked cannot win: misses the bound on attack in 1 case (golden/shop.yaml::c3)" in last


def test_a_stored_run_is_searched_and_one_whose_leaks_were_masked_cannot_win(capsys):
    assert main(["run", "--app", "veto_bot:leaky", "--out", "leaky.json"]) == 0
    assert main(["run", "--app", "veto_bot:refuse", "--out", "refuse.json"]) == 1
    capsys.readouterr()

    code, last, _ = choose(capsys, "leaky.json", "refuse.json")

    assert code == 2
    assert "holds personal data that was masked when the run was stored in 12 cases" in last
    run = json.loads(Path("leaky.json").read_text())
    for result in run["results"]:  # another tool's run file may not mask
        result["outputs"][0]["text"] = "Within 60 days. Ask anna.berg@firma-nord.de."
    Path("clear.json").write_text(json.dumps(run))
    code, last, shown = choose(capsys, "clear.json", "refuse.json")
    assert code == 2
    assert "leaks personal data or secrets in 12 cases" in last
    assert "anna.berg" not in shown


def test_vetoes_are_written(capsys):
    main(["choose", "veto_bot:leaky_once", "veto_bot:refuse", "--format", "json"])

    written = json.loads(capsys.readouterr().out)
    vetoes = {candidate["name"]: candidate["vetoes"] for candidate in written["candidates"]}
    assert vetoes["veto_bot:refuse"] == []
    assert [(veto["what"], veto["cases"]) for veto in vetoes["veto_bot:leaky_once"]] == [
        ("leaks personal data or secrets", ["golden/shop.yaml::c0"])
    ]


def test_criteria_below_their_floors_decide_beside_the_mean(capsys):
    """Both judged 4 and 3.75 in the mean: the better one by it is unsafe in each answer."""
    for name, grades in {"unsafe.json": (5, 5, 5, 1), "safe.json": (4, 4, 4, 3)}.items():
        criteria = {f"c{at}": {"score": grade, "floor": 3.0} for at, grade in enumerate(grades)}
        score = Score(
            metric="judge", value=sum(grades) / 4, signature="j", evidence=({"criteria": criteria},)
        )
        results = [
            result_of(f"c{at}", texts=[f"{name} {at}"], checks=[check_of("judge", ">= 3")])
            for at in range(12)
        ]
        store_run(name, [replace(result, scores=(score,)) for result in results])

    code, last, shown = choose(capsys, "unsafe.json", "safe.json")

    assert code == 2
    assert "judge floors" in shown
    assert "unsafe.json is worse than safe.json in judge floors" in last or "safe.json is worse" in last
