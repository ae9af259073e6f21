"""Model calls, tokens and dollars of a case against the baseline's."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import Run
from pytest_llmops.gates.baseline import AcceptOptions, accept
from pytest_llmops.gates.spending import describe_spending, spent_on, sum_usage
from pytest_llmops.records import CaseResult, Failure, Output, Score, Usage
from pytest_llmops.reports.files.baseline_file import load_baseline, write_baseline


def usage(calls: int, tokens: int | None = 10, cost_usd: float | None = 0.1) -> Usage:
    return Usage(calls=calls, prompt_tokens=tokens, completion_tokens=0, cost_usd=cost_usd)


def result(*usages: Usage, case: str = "g.yaml::a", input_hash: str = "1") -> CaseResult:
    outputs = tuple(Output(text="x", repeat=repeat, usage=used) for repeat, used in enumerate(usages))
    scores = tuple(Score(metric="keywords", value=1.0, repeat=output.repeat) for output in outputs)
    return CaseResult(case=case, input_hash=input_hash, outputs=outputs, scores=scores)


@pytest.mark.parametrize(
    ("base", "new", "lines"),
    [
        ([usage(1)], [usage(6)], ["model calls per case: 1 → 6"]),
        ([usage(6), usage(6)], [usage(1)], ["model calls per case: 6 → 1"]),
        (
            [usage(1)], [usage(0, 0, 0.0)],
            ["model calls per case: 1 → 0", "tokens per case: 10 → 0", "cost per case: $0.1 → $0"],
        ),
        ([usage(4), usage(4)], [usage(4), usage(5)], []),
        ([usage(2, 1000)], [usage(2, 7400)], ["tokens per case: 1,000 → 7,400"]),
        ([usage(2, None, None)], [usage(2, 7400)], []),
        ([usage(0, 0, 0.0)], [usage(0, 0, 0.0)], []),
    ],
)  # fmt: skip
def test_what_a_case_takes_more_or_less(base, new, lines):
    assert list(describe_spending([result(*base)], [result(*new)])) == lines


def test_a_case_that_takes_many_more_is_named_although_the_mean_hardly_moves():
    base = [result(usage(1), case=f"g.yaml::n{at}") for at in range(30)]
    new = [result(usage(6 if at == 7 else 1), case=f"g.yaml::n{at}") for at in range(30)]
    assert list(describe_spending(base, new)) == ["model calls of 1 case: g.yaml::n7 1 → 6"]


def test_only_cases_that_ask_the_same_are_compared():
    base = [result(usage(1)), result(usage(1), case="g.yaml::b"), result(usage(1), case="g.yaml::gone")]
    new = [
        result(usage(1)),
        result(usage(9), case="g.yaml::b", input_hash="2"),
        result(usage(9), case="g.yaml::c"),
    ]
    assert list(describe_spending(base, new)) == []


def test_a_repeat_that_broke_counts():
    broken = replace(
        result(usage(1)), failures=(Failure(metric="", stage="app", error="x", repeat=1, usage=usage(9)),)
    )
    assert next(describe_spending([result(usage(1))], [broken])) == "model calls per case: 1 → 5"


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        ([0.05], [1.5], ["time per case: 0.05 s → 1.5 s"]),
        ([3.0, 5.0], [1.0], ["time per case: 4 s → 1 s"]),
        ([1.0], [1.9], []),
        ([0.001], [0.05], []),  # of a process that just began
    ],
)
def test_how_long_a_case_takes_is_compared_between_runs(before, now, lines):
    def took(seconds):
        outputs = tuple(Output(text="x", repeat=at, latency_s=each) for at, each in enumerate(seconds))
        return replace(result(*[usage(0, 0, 0.0)] * len(seconds)), outputs=outputs)

    assert list(describe_spending([took(before)], [took(now)])) == lines
    (kept,) = accept(None, Run(signature={}, results=(took(before),))).baseline.results
    assert list(describe_spending([kept], [took(now)])) == []


def test_a_baseline_keeps_it_and_adds_what_is_merged(tmp_path):
    path = tmp_path / "baseline.json"
    first = Run(signature={}, results=(result(usage(1), replace(usage(1), replayed=1)),))
    write_baseline(accept(None, first).baseline, path)
    (kept,) = load_baseline(path).results
    assert spent_on(kept) == Usage(calls=2, prompt_tokens=20, completion_tokens=0, cost_usd=0.2)
    more = Run(
        signature={"a": "b"},
        results=(replace(result(usage(6)), scores=(Score(metric="keywords", value=0.5),)),),
    )
    write_baseline(accept(load_baseline(path), more, AcceptOptions(merge=True)).baseline, path)
    (merged,) = load_baseline(path).results
    assert spent_on(merged).calls == 8
    assert list(describe_spending([kept], more.results)) == ["model calls per case: 1 → 6"]


def test_a_baseline_of_an_earlier_version_says_nothing(tmp_path):
    path = tmp_path / "baseline.json"
    run = Run(signature={}, results=(result(usage(1)),))
    old = replace(accept(None, run).baseline.results[0], spent=None)
    write_baseline(Run(signature={}, results=(old,)), path)
    assert "spent" not in path.read_text()
    assert list(describe_spending(load_baseline(path).results, [result(usage(6))])) == []


@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=3))
def test_a_sum_is_the_same_in_any_order(costs):
    sums = {sum_usage([usage(1, cost_usd=cost) for cost in order]).cost_usd for order in permutations(costs)}
    assert len(sums) == 1
