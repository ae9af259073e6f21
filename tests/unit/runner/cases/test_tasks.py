"""Tasks and their metrics."""

from __future__ import annotations

from pytest_llmops.records import Case, Check, Golden
from pytest_llmops.runner.cases.tasks import plan


def metrics_of(*options):
    cases = tuple(
        Case(
            id=f"c{number}",
            input="boots?",
            checks=(Check(metric="keywords", comparison=">=", threshold=1.0, options=each),),
        )
        for number, each in enumerate(options)
    )
    golden = Golden(path="golden/shop.yaml", cases=cases)
    return [dict(task.metrics)["keywords"] for task in plan(golden, None, 0)]


def test_equal_checks_share_one_metric_of_ours():
    first, second = metrics_of({"any": ["boots"]}, {"any": ["boots"]})
    assert first is second


def test_other_options_make_another_metric():
    first, second, third = metrics_of({"any": ["1"]}, {"any": ["2"]}, {"all": ["1"]})
    assert len({first, second, third}) == 3
