"""A golden file says which of its metrics were not measured in the language of its cases."""

from __future__ import annotations

import pytest

from pytest_llmops.evaluation.source import BaselineSource
from pytest_llmops.gates.golden_flaws import describe_unmeasured
from pytest_llmops.records import Case, Check, Golden, Source, SuiteCheck

CHINESE, ENGLISH, KOREAN = (
    "\u9000\u6b3e\u671f\u9650\u662f\u591a\u4e45?",
    "How long?",
    "\ud658\ubd88 \uae30\uac04\uc740?",
)


def golden_of(*inputs, metric="semantic", options=None, suite=()):
    check = Check(metric=metric, comparison=">=", threshold=0.5, options=options or {})
    cases = [
        Case(id=f"c{at}", input=text, checks=(check,), source=Source(path="golden/shop.yaml", line=10 + at))
        for at, text in enumerate(inputs)
    ]
    return Golden(path="golden/shop.yaml", cases=tuple(cases), suite=suite)


@pytest.mark.parametrize(
    ("metric", "options", "noted"),
    [
        ("semantic", {}, True),
        ("semantic", {"encoder": "intfloat/multilingual-e5-small"}, False),
        ("bertscore", {}, True),
        ("facts", {}, True),
        ("faithfulness", {}, True),
        ("faithfulness", {"by": "cross-encoder/nli-deberta-v3-base"}, False),
        ("pii_leak", {}, False),
        ("pii_leak", {"names": True}, True),
        ("keywords", {"all": ["60"]}, False),
    ],
)
def test_a_metric_says_where_it_was_measured(metric, options, noted):
    assert bool(describe_unmeasured(golden_of(CHINESE, metric=metric, options=options))) is noted
    assert describe_unmeasured(golden_of(ENGLISH, metric=metric, options=options)) == []


def test_a_file_has_one_note_with_its_cases():
    (note,) = describe_unmeasured(golden_of(ENGLISH, CHINESE, [{"role": "user", "content": KOREAN}]))

    assert note == (
        "golden/shop.yaml:11: semantic was measured in English only, and 2 cases are mostly in Chinese, "
        "Hangul, so that nothing is known of these scores; label answers of your own (llmops calibrate), or "
        "check with keywords or a judge: c1, c2"
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Wir erstatten den Preis.", "German"),
        ("Nous remboursons le prix.", "French"),
        ("Hoe lang duurt het?", "Dutch"),
        ("Co m\u00e1m d\u011blat a kde je m\u016fj \u00fa\u010det?", "Czech"),
        (
            "\u0421\u043a\u043e\u043b\u044c\u043a\u043e \u044d\u0442\u043e \u0441\u0442\u043e\u0438\u0442?",
            "Cyrillic",
        ),
    ],
)
def test_a_language_with_the_letters_of_english_is_another_one(text, name):
    (note,) = describe_unmeasured(golden_of(text, metric="facts"))
    assert f"1 case is mostly in {name}," in note


@pytest.mark.parametrize(
    "text",
    [
        "FW-10412",
        "",
        "Boots?",
        "Where is DPD Express?",
        "Is die casting in-house?",
        "A menu in a la carte style",
        "What is the price per se?",
        "Who wrote Don Quijote de la Mancha?",
    ],
)
def test_a_text_of_which_nobody_can_tell_is_not_named(text):
    assert describe_unmeasured(golden_of(text, metric="facts")) == []


def test_metrics_of_the_suite_count_too():
    suite = (SuiteCheck(metric="facts", statistic="mean", comparison=">=", threshold=0.9),)

    (note,) = describe_unmeasured(golden_of(CHINESE, metric="keywords", options={"all": ["60"]}, suite=suite))

    assert note.startswith(
        "golden/shop.yaml:10: facts was measured in English only, and 1 case is mostly in Chinese,"
    )


def test_a_run_doubts_it_when_it_loads_the_file():
    golden = golden_of(CHINESE)

    assert describe_unmeasured(golden)[0] in list(BaselineSource(goldens=(golden,)).doubts())
