"""What counts as right of a plan and an answer, the model card, and how many cases the gate needs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.doses.power import is_red, measure_power
from reference_app.training import __main__ as command
from reference_app.training.answers import UNKNOWN
from reference_app.training.card import GOALS, MEANINGS, write_card
from reference_app.training.example import APP, Example
from reference_app.training.measuring import is_professional, score, summarise

ORDER = '{"calls":[{"name":"order_status","arguments":{"order_id":"FW-10001"}}]}'
REFUSE = '{"calls":[{"name":"refuse","arguments":{}}]}'
ALL = {"json_valid", "schema_valid", "intent", "arguments_exact"}


def case(task, expected, kind="", ids=()):
    return Example(
        task=task, kind=kind, phrasing="", system="", user="", assistant=expected, ids=ids, keys=("mule",)
    )


def missed(one, text):
    return {name for name, value in score(one, text) if value < 1}


@pytest.mark.parametrize(
    ("got", "wrong"),
    [
        (ORDER, set()),
        (ORDER.replace(",", ", "), set()),
        ("It is on its way.", ALL),
        (f"{ORDER} Done.", ALL),
        ("[]", ALL - {"json_valid"}),
        ('{"calls":[]}', ALL - {"json_valid"}),
        (ORDER.replace("10001", "10002"), {"arguments_exact"}),
        (ORDER.replace("FW-10001", "10001"), {"schema_valid", "arguments_exact"}),
        (ORDER.replace("order_status", "shipment"), {"intent", "arguments_exact"}),
        (ORDER.replace("order_status", "delete_order"), ALL - {"json_valid"}),
        (REFUSE, {"intent", "arguments_exact"}),
    ],
)
def test_what_is_wrong_with_a_plan(got, wrong):
    assert missed(case("plan", ORDER), got) == wrong


def test_a_refusal_is_counted_as_one():
    assert missed(case("plan", REFUSE), ORDER) == {"intent", "out_of_scope_refused"}


@pytest.mark.parametrize(
    ("task", "expected", "got", "wrong"),
    [
        ("document", "No, it costs £5. [a#b]", "No, it costs £5. [a#b]", set()),
        ("document", "No, it costs £5. [a#b]", "It costs £5. [a#b]", {"verdict_first", "rouge_l"}),
        ("document", "It costs £5. [a#b]", "It costs £6. [a#b]", {"numbers_right", "rouge_l"}),
        ("document", "It costs £5. [a#b]", "It costs £5. [a#c]", {"citation_right", "rouge_l"}),
        ("facts", "It is Tarn 4.", "It is Tarn.", {"ids_copied", "rouge_l"}),
        ("unknown", UNKNOWN, "It costs £5.", {"unknown_said", "rouge_l"}),
        ("general", "", "A mule carried it.", set()),
        ("general", "", "A horse carried it.", {"general_ability"}),
    ],
)
def test_what_is_wrong_with_an_answer(task, expected, got, wrong):
    assert missed(case(task, expected, kind="a#b", ids=("Tarn 4",)), got) == wrong


@pytest.mark.parametrize(
    "text",
    ["Yeah, it is £5.", "It is £5!", "It's £5.", "we have it.", "We have it", "No worries, we have it."],
)
def test_a_casual_answer_is_not_the_shop_s_voice(text):
    assert not is_professional(text)
    assert is_professional("No, it costs £5, and gift wrapping is free. [a#b]")


def test_a_share_has_its_exact_lower_bound():
    measures = summarise([{"intent": 1.0, "rouge_l": 0.5}] * 10)
    assert measures["intent"] == {"value": 1.0, "n": 10, "lower_95": 0.7411}
    assert measures["rouge_l"] == {"value": 0.5, "n": 10}


def test_the_committed_card_is_made_from_the_committed_figures(tmp_path):
    summary = json.loads((APP / "adapter" / "adapter.json").read_text(encoding="utf-8"))
    write_card(tmp_path / "README.md", summary)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card == (APP / "adapter" / "README.md").read_text(encoding="utf-8")
    assert set(GOALS) <= set(MEANINGS) & set(summary["test"]["adapter"])


def test_missing_libraries_are_named_with_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "torch" else object())
    assert command.main([]) == 2
    assert "Training needs torch. Install it" in capsys.readouterr().err


@pytest.mark.parametrize(("lost", "red"), [(5, False), (6, True)])
def test_the_gate_calls_what_the_simulation_says(lost, red):
    before = np.arange(167) < 120
    after = before.copy()
    after[:lost] = False
    assert is_red(before, after, 0.03) is red


def test_the_golden_plans_see_a_drop_of_5_points_four_times_in_five():
    chosen = next(each for each in measure_power() if (each.cases, each.max_drop) == (167, 0.03))
    assert chosen.falls >= 0.8
    assert chosen.neutral <= 0.05
