"""What a leak check found is in no result: not in the answer, a tool's result, or another metric's words."""

from __future__ import annotations

from pytest_llmops.records import CaseResult, Failure, Output, Passage, Score, ToolCall
from pytest_llmops.runner.golden_run import seal_result

LEAK = "ann.lee@example.com"


def result(*scores: Score) -> CaseResult:
    output = Output(
        text=f"Write to {LEAK}.",
        model=LEAK,
        passages=(Passage(id=LEAK, text=LEAK),),
        tool_calls=(
            ToolCall(name="look_up", arguments={"of": LEAK}, result={"rows": [f'{{"mail": "{LEAK}"}}']}),
        ),
    )
    return CaseResult(case="a", input_hash="", outputs=(output,), scores=scores)


def test_every_place_of_a_leaking_result_is_masked():
    scores = (
        Score(metric="pii_leak", value=1),
        Score(metric="rouge_l", value=0, reason=f"extra: {LEAK}", evidence=(LEAK,)),
    )
    masked = seal_result(result(*scores))
    assert LEAK not in repr(masked)
    assert masked.outputs[0].text == "Write to <EMAIL_ADDRESS>."
    assert [score.value for score in masked.scores] == [1, 0]


def test_what_leaks_nothing_stays_as_it_is():
    clean = result(Score(metric="pii_leak", value=0))
    assert seal_result(clean) == clean


def test_what_the_app_raised_is_masked_always():
    error = f"no row for {LEAK}, token sk-{'a1' * 16}"
    broken = CaseResult(
        case="a", input_hash="", failures=(Failure(metric="", stage="app", error=error, repeat=0),)
    )
    assert seal_result(broken).failures[0].error == "no row for <EMAIL_ADDRESS>, token <API_KEY>"
