"""Golden files of a stale branch, with what the target of the change got since."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_llmops.records import Case, Check, Golden
from pytest_llmops.revision.merging import merge_target
from tests.unit.gates.gate_records import FILE, check_of


def golden_of(*checks: Check) -> Golden:
    return Golden(path=FILE, cases=(Case(id="a", input="How?", checks=checks),))


def keywords(*words: str) -> Check:
    return replace(check_of("keywords", ">= 1"), options={"all": list(words)})


@pytest.mark.parametrize(
    ("ours", "theirs", "asked"),
    [
        pytest.param(
            [keywords("30 days")],
            [keywords("60 days", "receipt")],
            [keywords("60 days", "receipt")],
            id="unlike options of one metric: the target's alone",
        ),
        pytest.param(
            [check_of("bleu", ">= 20"), keywords("60 days")],
            [check_of("rouge_l", ">= 0.5"), keywords("60 days")],
            [check_of("bleu", ">= 20"), keywords("60 days"), check_of("rouge_l", ">= 0.5")],
            id="checks of both",
        ),
        pytest.param(
            [replace(keywords("60 days"), pass_rate=None), check_of("bleu", ">= 30")],
            [keywords("60 days"), check_of("bleu", ">= 20")],
            [keywords("60 days"), check_of("bleu", ">= 30")],
            id="the stricter one stands",
        ),
    ],
)
def test_checks_of_a_case_that_both_sides_changed(ours, theirs, asked):
    base = golden_of(check_of("bleu", ">= 10"))

    merged, _ = merge_target([base], [golden_of(*ours)], [golden_of(*theirs)], run=[FILE])

    assert list(merged[0].cases[0].checks) == asked
