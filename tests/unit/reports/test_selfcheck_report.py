"""A self-check as text, as JSON, and as the one line of a run's summary."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops import Run
from pytest_llmops.gates.selfcheck import Deviations, FalseAlarms, Recorded, SelfCheck
from pytest_llmops.gates.suite_channel.detectable_drops import DetectableDrop
from pytest_llmops.reports.document import write_terminal
from pytest_llmops.reports.selfcheck import selfcheck_document, selfcheck_json, selfcheck_line
from tests.unit.gates.gate_records import result_of, run_of, suite_check

RECORD = "record the baseline with --llm-repeats auto or 10"
SUSPECTS = "--llm-repeats auto asks that of suspects alone"
ALLOWED = "the gate allows itself 5 %"
CHECK = SelfCheck(
    level=0.95,
    repeats=1,
    false_alarms=FalseAlarms(rate=0.015, low=0.0031, high=0.0432, runs=200),
    checks=(
        DetectableDrop(
            check="recall@5 mean", metric="recall@5", smallest_drop=0.0712, advice="would see 0.04 with more"
        ),
        DetectableDrop(check="rouge_l mean", metric="rouge_l", smallest_drop=0.0, advice=""),
        DetectableDrop(check="tokens p95", metric="tokens", smallest_drop=None, advice="cannot be foretold"),
    ),
    cases=Recorded(varying=tuple("abcdefg"), steady=("h", "i"), single=("j",)),
    broken_case=8,
    unscored=("k",),
)


def test_text_has_a_row_a_check_and_names_the_cases():
    assert write_terminal(selfcheck_document(CHECK)) == [
        "check          sees a drop of, with 1 new repeat  advice",
        "recall@5 mean  0.071                              would see 0.04 with more",
        "rouge_l mean   any size",
        "tokens p95     -                                  cannot be foretold",
        "",
        "a drop here is one that all cases share, seen in four of five runs",
        "10 cases: 7 vary: a, b, c, d, e, and 2 more",
        "  2 gave the same in all repeats",
        f"  1 with one repeat: j; whether they vary is unknown: {RECORD}",
        "  1 not scored and left out: k",
        f"a single case that breaks is named after 8 new repeats of it; {SUSPECTS}",
        "false alarms: 3 of 200 pairs of halves, 1.5 % (0.31 % … 4.3 %); the gate allows itself 5 %",
    ]


@pytest.mark.parametrize(
    ("change", "last"),
    [
        (
            {"false_alarms": None},
            "false alarms: not known, since no case has two repeats; record the baseline ",
        ),
        (
            {"false_alarms": FalseAlarms(rate=0.0, low=0.0, high=0.0, runs=0)},
            "false alarms: none among these repeats, since no half differs from another",
        ),
        (
            {"false_alarms": FalseAlarms(rate=0.2, low=0.1, high=0.3, runs=50)},
            f"false alarms: 10 of 50 pairs of halves, 20 % (10 % … 30 %); {ALLOWED}, and this is more: ",
        ),
    ],
)
def test_rate_in_words(change, last):
    assert write_terminal(selfcheck_document(replace(CHECK, **change)))[-1].startswith(last)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"broken_case": None}, "no allowed number of repeats can single out one broken case"),
        (
            {"cases": Recorded(varying=(), steady=("h",), single=())},
            "no repeat differs: three alike new repeats tell that a case no longer holds its check",
        ),
    ],
)
def test_single_cases_in_words(change, words):
    assert write_terminal(selfcheck_document(replace(CHECK, **change)))[-2].startswith(words)


def test_deviations_in_words():
    found = replace(CHECK.cases, deviations=Deviations(deviating=2, repeats=300, high=0.024))

    told = write_terminal(selfcheck_document(replace(CHECK, cases=found)))

    said = "2 of 300 further repeats deviate from their case's most frequent answer"
    assert f"{said}: at most 2.4 % of all calls do" in told


def test_text_from_a_file_cannot_act_on_the_terminal():
    hostile = replace(
        CHECK,
        checks=(
            DetectableDrop(check="\x1b[2J mean", metric="\x1b[2J", smallest_drop=None, advice="\x1b[31m"),
        ),
        cases=Recorded(varying=("a\u202eb",), steady=(), single=("\x07",)),
        unscored=("\x1b",),
    )

    told = "\n".join(write_terminal(selfcheck_document(hostile)))

    assert all(each.isprintable() or each == "\n" for each in told)
    assert "a\\u202eb" in told


def test_json_has_every_number_and_null_for_what_is_not_known():
    told = selfcheck_json(CHECK)

    assert told["version"] == 1
    assert told["false_alarms"] == {"rate": 0.015, "low": 0.0031, "high": 0.0432, "runs": 200}
    assert told["checks"][0] == {
        "check": "recall@5 mean",
        "smallest_drop": 0.0712,
        "advice": "would see 0.04 with more",
    }
    assert told["checks"][2]["smallest_drop"] is None
    assert told["cases"] == {
        "varying": list("abcdefg"),
        "steady": ["h", "i"],
        "single": ["j"],
        "deviations": None,
        "unscored": ["k"],
        "left_out": 0,
    }
    found = replace(CHECK.cases, deviations=Deviations(deviating=2, repeats=300, high=0.024))
    assert selfcheck_json(replace(CHECK, cases=found))["cases"]["deviations"] == {
        "deviating": 2,
        "repeats": 300,
        "high": 0.024,
    }
    assert selfcheck_json(replace(CHECK, false_alarms=None))["false_alarms"] is None


def split(case, **metrics):
    """Ten repeats, half of which hold."""
    return result_of(case, **{metric: [1.0, 0.0] * 5 for metric in metrics or {"exact_match": 1}})


SEES = "with 1 new repeat this gate sees a drop of"
STEADY = [result_of(f"s{each:02}", exact_match=[1.0] * 10, texts=["same"] * 10) for each in range(60)]
ONCE = result_of("once", exact_match=1.0)


@pytest.mark.parametrize(
    ("base", "line"),
    [
        pytest.param(
            run_of([*STEADY, split("a"), split("b"), split("c")]),
            "baseline: 63 cases, 3 vary; with 1 new repeat this gate sees a drop of 0.11 in exact_match",
            id="some vary",
        ),
        pytest.param(
            run_of([*STEADY, split("a")]),
            "baseline: 61 cases, 1 varies; with 1 new repeat this gate sees a drop of 0.11 in exact_match",
            id="one varies",
        ),
        pytest.param(
            run_of(STEADY),
            "baseline: 60 cases, none varies",
            id="none varies",
        ),
        pytest.param(run_of([ONCE]), f"baseline: 1 case, 1 with one repeat; {RECORD}", id="one repeat"),
        pytest.param(
            run_of([*STEADY, ONCE]),
            f"baseline: 61 cases, 1 with one repeat; {SEES} 0.11 in exact_match",
            id="one repeat of one case",
        ),
        pytest.param(
            run_of([split("a")]),
            "baseline: 1 case, 1 varies; with 1 new repeat this gate sees no drop: too few cases to call any "
            "drop: 1, where 2 are needed",
            id="one case",
        ),
        pytest.param(run_of([]), f"baseline: no case was scored; {RECORD}", id="empty"),
        pytest.param(
            run_of([result_of("a", latency_s=[1.0, 2.0])]),
            "baseline: 1 case, 1 varies; with 1 new repeat this gate sees no drop: nothing is watched",
            id="nothing is watched",
        ),
    ],
)
def test_line(base, line):
    assert selfcheck_line(base) == line


def test_line_of_many_checks_is_cut_and_tells_two_of_one_metric_apart():
    metrics = dict.fromkeys(["bleu", "exact_match", "recall@3", "recall@5", "rouge_l"], 1)
    base = Run(signature={}, results=tuple(split(f"c{each:02}", **metrics) for each in range(30)))
    twice = {"": (suite_check("bleu"), suite_check("bleu", "sum"), suite_check("bleu", "p95"))}

    line = selfcheck_line(base, repeats=8)
    told = selfcheck_line(base, twice)

    assert "; with 8 new repeats this gate sees a drop of " in line
    assert line.endswith(" in recall@5 and 1 more")
    assert " in bleu mean, " in told
    assert told.endswith(" in bleu sum")
