from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.gates.golden_flaws import describe_blind, describe_echoes, describe_unchecked
from pytest_llmops.records import Case, Check, Golden, Source, SuiteCheck


def golden_of(cases, statistic, *, groups=0, max_drop=0.05):
    check = SuiteCheck(
        metric="recall@5", statistic=statistic, comparison=None, threshold=None, max_drop=max_drop
    )
    return Golden(
        path="golden/shop.yaml",
        cases=tuple(
            Case(id=str(at), input="?", group=f"g{at % groups}" if groups else "") for at in range(cases)
        ),
        suite=(check,),
        suite_lines={"recall@5": 7},
    )


@pytest.mark.parametrize(
    ("golden", "said"),
    [
        (golden_of(1, "mean"), "golden/shop.yaml:7: recall@5 mean, max_drop 0.05: 1 case cannot"),
        (golden_of(6, "mean", groups=1), "1 group cannot"),
        (golden_of(4, "p95"), "4 cases cannot"),
        (golden_of(2, "mean"), None),
        (golden_of(6, "p95"), None),
        (golden_of(1, "mean", max_drop=None), None),
    ],
)
def test_a_max_drop_that_could_never_turn_red_is_described(golden, said):
    found = describe_blind(golden)

    assert bool(found) == bool(said)
    assert said is None or said in found[0]


def test_a_case_without_a_check_is_described():
    """Unless a suite check is about it, or no case has one: then nothing is scored, which is an error."""
    check = Check(metric="keywords", comparison=">=", threshold=1.0)
    checked = Case(id="a", input="?", checks=(check,))
    bare = Case(id="b", input="?", source=Source(path="golden/shop.yaml", line=9))
    golden = Golden(path="golden/shop.yaml", cases=(checked, bare))

    said = "1 case without a check would pass whatever the app answers; give one, or remove the case"
    assert describe_unchecked(golden) == [f"golden/shop.yaml:9: {said}: b"]
    assert describe_unchecked(replace(golden, cases=(checked,))) == []
    assert describe_unchecked(replace(golden, cases=(bare,))) == []
    assert describe_unchecked(replace(golden, suite=golden_of(1, "mean").suite)) == []


@pytest.mark.parametrize(
    ("question", "options", "echoes"),
    [
        ("Is it late?", {"all": ["late"], "none": ["not late"]}, True),
        ("A backpack or a jacket?", {"any": ["backpack", "10 years"]}, True),
        ("Is FW-10436 late?", {"all": ["FW-10436", "4 March"]}, False),
        ("Is it late?", {"none": ["early"]}, False),
        ("Is it late?", {"all": ["late"], "none": ["is it"]}, False),
        ("Text: it is late.", {"all": ["late"]}, False),
        (["Is it late?"], {"all": ["late"]}, False),
    ],
)
def test_a_question_that_passes_its_own_keywords_is_described(question, options, echoes):
    check = Check(metric="keywords", comparison=">=", threshold=1.0, options=options)
    case = Case(id="a", input=question, checks=(check,), source=Source(path="golden/shop.yaml", line=9))
    golden = Golden(path="golden/shop.yaml", cases=(case,))

    said = describe_echoes(golden)

    assert bool(said) is echoes
    assert not said or (
        said[0].startswith("golden/shop.yaml:9: an answer that only repeats") and said[0].endswith(": a")
    )
    recorded = replace(golden, cases=(replace(case, checks=(replace(check, record_only=True),)),))
    assert describe_echoes(recorded) == []
