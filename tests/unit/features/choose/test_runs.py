"""Runs become candidates: which cases and metrics are compared, what is an error, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_llmops.errors import LLMOpsError, SettingsError, UnknownMetricError
from pytest_llmops.features.choose.runs import ChoiceError, enter
from pytest_llmops.features.choose.verdict import choose
from pytest_llmops.records import Check, Failure, Output, SuiteCheck, Usage
from tests.unit.features.choose.choice_records import CHECK, candidate
from tests.unit.gates.gate_records import result_of

KEYWORDS = Check(metric="keywords", comparison=">=", threshold=1.0, options={"all": ["60 days"]})
BROKE = Failure(metric="", stage="app", error="boom")
SPENT = Usage(calls=2, prompt_tokens=30, completion_tokens=5, cost_usd=0.25)


def results(*values: float, checks: tuple[Check, ...] = (CHECK,), **more: list[float]):
    return [
        result_of(
            f"c{at}",
            checks=checks,
            exact_match=value,
            **{name: found[at] for name, found in more.items()},
        )
        for at, value in enumerate(values)
    ]


def broken(case: str, *failures: Failure, checks: tuple[Check, ...] = (CHECK,)):
    return replace(result_of(case, failures=failures, checks=checks), outputs=())


def suite(metric: str, **more) -> SuiteCheck:
    return SuiteCheck(metric=metric, statistic="mean", comparison=">=", threshold=0.5, **more)


def test_values_answers_and_spending_of_each_case():
    output = Output(text="yes", latency_s=2.0, usage=SPENT)
    made = [replace(result, outputs=(output,)) for result in results(1, 0)]
    found = enter([candidate("a", made), candidate("b", results(1, 1))])
    (first, _), cases = found.entries, found.cases
    assert cases == ("golden/shop.yaml::c0", "golden/shop.yaml::c1")
    assert list(found.scales) == ["exact_match"]
    assert first.values == {"exact_match": {cases[0]: (1.0,), cases[1]: (0.0,)}}
    assert first.errored == {}
    assert first.spending.latency_s == {case: [2.0] for case in cases}
    assert first.spending.cost_usd == {case: [0.25] for case in cases}
    assert first.spending.tokens == {case: [35] for case in cases}
    assert first.spending.calls == {case: [2] for case in cases}


def test_repeats_are_kept_and_a_case_counts_once():
    made = [result_of("c0", checks=(CHECK,), exact_match=[1.0, 0.0, 1.0]), *results(0, 1)[1:]]
    found = enter([candidate("a", made), candidate("b", made)])
    assert found.entries[0].values["exact_match"]["golden/shop.yaml::c0"] == (1.0, 0.0, 1.0)
    assert choose(found).contests[0].cases == 2


def test_cost_that_one_answer_does_not_say_is_unknown():
    outputs = (Output(text="a", usage=SPENT), Output(text="b", repeat=1, usage=Usage(cost_usd=None)))
    made = [replace(result, outputs=outputs[:1]) for result in results(1, 1)]
    made[0] = replace(
        made[0], outputs=outputs, scores=(*made[0].scores, replace(made[0].scores[0], repeat=1))
    )
    (first, _) = enter([candidate("a", made), candidate("b", made)]).entries
    assert list(first.spending.cost_usd) == ["golden/shop.yaml::c1"]


@pytest.mark.parametrize(
    ("other", "common", "left_out"),
    [
        (results(1, 1, 1, 1), 3, 1),
        (results(1, 1), 2, 0),
        ([*results(1, 1), replace(results(1, 1, 1)[2], input_hash="another question")], 2, 1),
        (
            [*results(1, 1), replace(results(1, 1, 1)[2], checks=(replace(CHECK, options={"case": True}),))],
            2,
            1,
        ),
        ([*results(1, 1), replace(results(1, 1, 1)[2], checks=(CHECK, KEYWORDS))], 2, 1),
        ([*results(1, 1), replace(results(1, 1, 1)[2], checks=(replace(CHECK, threshold=0.0),))], 3, 0),
    ],
)
def test_only_cases_that_are_the_same_in_all_are_compared(other, common, left_out):
    found = enter([candidate("a", results(0, 0, 0)), candidate("b", other)])
    assert len(found.cases) == common
    assert len(found.entries[0].left_out) == 3 - common
    assert len(found.entries[1].left_out) == left_out


def test_three_candidates_have_the_cases_of_all():
    runs = [results(1, 1, 1), results(1, 1, 1)[1:], results(1, 1)]
    found = enter([candidate(f"{at}", run) for at, run in enumerate(runs)])
    assert found.cases == ("golden/shop.yaml::c1",)
    assert [len(entry.left_out) for entry in found.entries] == [2, 1, 1]


@pytest.mark.parametrize(
    ("failing", "why"),
    [
        (broken("c1", BROKE), "boom"),
        (broken("c1"), "no output"),
        (result_of("c1", checks=(CHECK,), exact_match=math.nan), "no finite number"),
        (result_of("c1", checks=(CHECK,), exact_match=math.inf), "no finite number"),
        (result_of("c1", checks=(CHECK,)), "gave no score"),
        (
            result_of(
                "c1",
                checks=(CHECK,),
                failures=[Failure(metric="exact_match", stage="score", error="the judge timed out")],
            ),
            "the judge timed out",
        ),
        (
            result_of("c1", checks=(CHECK,), exact_match=[1.0], texts=["one", "two"]),
            "gave no score for repeat 1",
        ),
    ],
)
def test_a_case_without_a_whole_score_is_an_error_and_a_miss(failing, why):
    sound = results(1, 1, 1)
    found = enter([candidate("a", sound), candidate("b", [sound[0], failing, sound[2]])])
    (case, reason), *others = found.entries[1].errored.items()
    assert (case, others) == ("golden/shop.yaml::c1", [])
    assert why in reason
    held = choose(found)
    assert held.contests[0].better == 1
    assert {standing.entry.name: standing.means["exact_match"] for standing in held.standings} == {
        "a": 1.0,
        "b": 2 / 3,
    }


def test_a_case_that_breaks_for_all_is_an_error_of_all():
    made = [*results(1, 1), broken("c9", BROKE, checks=())]
    found = enter([candidate("a", made, suite("exact_match")), candidate("b", made, suite("exact_match"))])
    assert [list(entry.errored) for entry in found.entries] == [["golden/shop.yaml::c9"]] * 2
    assert choose(found).outcome == "none"


def test_a_run_that_ended_early_takes_no_case_from_the_others():
    found = enter(
        [candidate("a", results(1, 1)), candidate("b", [], broken="killed"), candidate("c", results(1, 0))]
    )
    assert len(found.cases) == 2
    assert found.entries[1].errored == dict.fromkeys(found.cases, "killed")
    assert (choose(found).outcome, choose(found).reason) == ("error", "b has no score in any case: killed")


@pytest.mark.parametrize(
    ("checks", "suites", "named", "deciding"),
    [
        ((CHECK,), (), (), ["exact_match"]),
        ((replace(CHECK, record_only=True),), (suite("keywords"),), (), ["keywords"]),
        ((), (suite("exact_match"), suite("latency_s")), (), ["exact_match"]),
        ((), (suite("exact_match"), suite("keywords", record_only=True)), (), ["exact_match"]),
        ((CHECK,), (suite("keywords"),), (), ["exact_match", "keywords"]),
        ((CHECK,), (), ("latency_s",), ["latency_s"]),
        ((CHECK,), (), ("keywords", "exact_match"), ["keywords", "exact_match"]),
    ],
)
def test_metrics_that_decide(checks, suites, named, deciding):
    made = results(1, 0, checks=checks, keywords=[1.0, 1.0], latency_s=[0.5, 0.6])
    found = enter([candidate("a", made, *suites), candidate("b", made, *suites)], named)
    assert list(found.scales) == deciding


@pytest.mark.parametrize(
    ("checks", "named", "error", "match"),
    [
        ((), (), SettingsError, "no check decides; name a metric by --metric. Scored: exact_match"),
        ((replace(CHECK, record_only=True),), (), SettingsError, "no check decides"),
        ((CHECK,), ("exact_mach",), SettingsError, "'exact_mach'. Did you mean 'exact_match'"),
    ],
)
def test_no_metric_decides(checks, named, error, match):
    made = results(1, 0, checks=checks)
    with pytest.raises(error, match=match):
        enter([candidate("a", made), candidate("b", made)], named)


def test_a_metric_that_nobody_knows_has_no_direction():
    made = results(1, 0, checks=(replace(CHECK, metric="ours"),), ours=[1.0, 0.0])
    with pytest.raises(UnknownMetricError):
        enter([candidate("a", made), candidate("b", made)])


@pytest.mark.parametrize(
    ("other", "match"),
    [
        ([], "b has no case"),
        ([result_of("other", checks=(CHECK,), exact_match=1.0)], "no case is the same in all"),
        (
            [
                replace(result, scores=(replace(result.scores[0], signature="exact_match|v2"),))
                for result in results(1, 0)
            ],
            "scored by exact_match|v1 in a and by exact_match|v2 in b",
        ),
        ([replace(result, scores=()) for result in results(1, 0)], "b was never scored by exact_match"),
    ],
)
def test_what_cannot_be_compared_is_refused(other, match):
    with pytest.raises(ChoiceError) as raised:
        enter([candidate("a", results(1, 0)), candidate("b", other)])
    assert match in str(raised.value)
    assert isinstance(raised.value, LLMOpsError)


def test_other_golden_files_and_versions_are_noted_and_other_apps_are_not():
    stamps = {"golden:golden/shop.yaml": "one", "app:golden/shop.yaml": "a", "data:docs": "x"}
    other = {"golden:golden/shop.yaml": "two", "app:golden/shop.yaml": "b", "data:docs": "x"}
    found = enter([candidate("a", results(1), **stamps), candidate("b", results(1), **other)])
    (note,) = found.notes
    assert note == "1 thing differs between a and b: golden file golden/shop.yaml changed"
    assert enter([candidate("a", results(1), **stamps), candidate("b", results(1), **stamps)]).notes == ()


def test_groups_of_the_cases():
    made = [replace(result, group="returns") for result in results(1, 0)]
    found = enter([candidate("a", made), candidate("b", made)])
    assert set(found.units(found.cases)) == {"returns"}


@pytest.mark.parametrize("survivors", [0, 8])
def test_a_run_that_broke_has_no_winner_over_it(survivors):
    """It shrinks the field to the cases that it reached, of which nobody may be called the winner."""
    whole, rest = results(*[1.0] * 50), results(*[0.0] * survivors)
    found = choose(enter([candidate("a", whole), candidate("b", rest, broken="out of memory")]))
    assert (found.outcome, found.winner) == ("error", "")
    assert found.reason.startswith("b ")
    assert "out of memory" in found.reason


@pytest.mark.parametrize(
    ("ours", "theirs", "metrics", "why"),
    [
        ([], [], (), "no candidate has a case"),
        (results(1, 1), [result_of("other", checks=(CHECK,), exact_match=1.0)], (), "no case is the same"),
        (results(1), [result_of("c0", checks=(CHECK,))], (), "b was never scored"),
        ([broken("c0", BROKE)], [broken("c0", BROKE)], (), "no check decides"),
    ],
)
def test_a_run_that_broke_is_named_where_nothing_can_be_compared(ours, theirs, metrics, why):
    ended = "its run ended early" if not ours else ""
    with pytest.raises(ChoiceError, match="b: out of memory; ") as raised:
        enter([candidate("a", ours, broken=ended), candidate("b", theirs, broken="out of memory")], metrics)
    assert why in str(raised.value)
