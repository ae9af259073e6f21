"""A choice as it is shown: the tables, notes, the last line, and numbers that JSON can hold."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_llmops.features.choose.report import ChoiceReport, choice_document, choice_json
from pytest_llmops.features.choose.runs import Spending
from pytest_llmops.features.choose.verdict import choose
from pytest_llmops.reports.document import write_terminal
from tests.unit.features.choose.choice_records import SECONDS, SHARE, entry, field, ids, table


def show(*entries, alpha=0.05, groups=None, **scales):
    whole = field(*entries, groups=groups, **scales)
    report = ChoiceReport(field=whole, choice=choose(whole, alpha=alpha), alpha=alpha)
    written = json.loads(json.dumps(choice_json(report), allow_nan=False))
    return write_terminal(choice_document(report)), written


def test_a_winner():
    shown, written = show(entry("b", m=[0.0] * 20), entry("a", m=[1.0] * 20))
    assert [line.split()[0] for line in shown[:3]] == ["candidate", "a", "b"]
    assert "a - b  m   +1          +1 … +1       20, 0, 0             1.91e-06  1.91e-06" in shown
    assert shown[-1] == "winner: a, better than b in m (1, p = 1.91e-06)"
    assert (written["outcome"], written["winner"], written["further_cases"]) == ("winner", "a", None)


def test_a_winner_that_is_lower_in_something_says_so():
    lower = [1.0] * 18 + [0.0] * 2
    shown, _ = show(
        entry("a", m=[1.0] * 20, n=lower), entry("b", m=[0.0] * 20, n=[1.0] * 20), m=SHARE, n=SHARE
    )
    assert shown[-1].endswith("in m (1, p = 3.81e-06), worse by no more than chance in n (0.1)")


@pytest.mark.parametrize(
    ("entries", "last"),
    [
        (
            [entry("a", m=[1.0] * 20, n=[0.0] * 20), entry("b", m=[0.0] * 20, n=[1.0] * 20)],
            "no winner: best a (m 1), then b (m 0); a is worse than b in n (p = 1.91e-06)",
        ),
        (
            [entry("a", m=[0.5] * 20, n=[1.0] * 20), entry("b", m=[0.5] * 20, n=[1.0] * 20)],
            "no winner: a and b have the same m, n in 20 cases",
        ),
    ],
)
def test_no_winner_by_two_metrics(entries, last):
    assert show(*entries, m=SHARE, n=SHARE)[0][-1] == last


def test_level_candidates_are_no_matter_of_more_cases():
    mine, theirs = table(3, 3, both=4)
    shown, written = show(entry("a", m=mine), entry("b", m=theirs))
    assert shown[-1].endswith("3 cases against 3, p = 1; more such cases would decide nothing")
    assert written["further_cases"] is None


def test_numbers_that_are_unknown_are_empty_or_null():
    first = entry("a", m=[1.0] * 3, errors={"m": range(3)})
    shown, written = show(first, entry("b", m=[1.0] * 3), m=SECONDS)
    assert any("no case" in line for line in shown)
    assert shown[-1].startswith("error: a has no score in any case: it broke")
    means = {each["name"]: each["means"]["m"] for each in written["candidates"]}
    assert means == {"a": None, "b": 1.0}
    assert written["pairs"][0]["interval"] is None
    assert written["candidates"][0]["cost_usd"] is None


def test_what_answers_took_stands_beside_the_scores():
    def made(name, seconds, dollars):
        spending = Spending(
            latency_s={case: [seconds * at] for at, case in enumerate(ids(6), 1)},
            cost_usd={case: [dollars] for case in ids(6)},
            calls={case: [2.0] for case in ids(6)},
        )
        return replace(entry(name, m=[1.0] * 6), spending=spending)

    shown, written = show(made("a", 1, 0.5), made("b", 2, 0.25))
    assert shown[1].split() == ["a", "6", "0", "1", "3.5", "0.5", "unknown", "2"]
    rows = {each["metric"]: each for each in written["pairs"]}
    assert set(rows) == {"m", "latency_s", "cost_usd"}
    assert (rows["latency_s"]["statistic"], rows["latency_s"]["difference"]) == ("median", -3.5)
    assert (rows["cost_usd"]["difference"], rows["cost_usd"]["decides"]) == (0.25, False)


def test_notes():
    answered = dict.fromkeys(ids(4), ("same",))
    first = replace(entry("a", m=[1.0] * 4), answers=answered, left_out=("golden/shop.yaml::old",))
    second = replace(entry("b", m=[1.0] * 4), answers=answered, broken="it\x1b[0m died")
    whole = field(first, second, groups=dict.fromkeys(ids(4)[:2], "one question"))
    whole = replace(whole, notes=("1 thing differs",))
    report = ChoiceReport(field=whole, choice=choose(whole), alpha=0.05)
    same = (
        "a and b gave the same answers in all 4 cases: are they the same app, or does a setting not reach it?"
    )
    assert write_terminal(choice_document(report))[7:-2] == [
        "b cannot win: it\\x1b[0m died",
        "left out of a: 1 case (golden/shop.yaml::old); not all have them with this input and checks",
        same,
        "1 thing differs",
        "3 groups of cases are tested, each as one",
    ]


def test_other_answers_are_not_the_same():
    first = replace(entry("a", m=[1.0] * 4), answers=dict.fromkeys(ids(4), ("one",)))
    second = replace(entry("b", m=[1.0] * 4), answers=dict.fromkeys(ids(4), ("two",)))
    partly = replace(second, answers=dict.fromkeys(ids(3), ("one",)))
    for other in (second, partly, replace(second, answers={})):
        assert not any("same answers" in line for line in show(first, other)[0])


def test_lower_is_better_is_said():
    shown, _ = show(entry("a", m=[1.0] * 4), entry("b", m=[2.0] * 4), m=SECONDS)
    assert "m (less is better)" in shown[0]
