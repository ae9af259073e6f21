"""What a leak check found is in no result: not in the answer, a tool's result, or another metric's words."""

from __future__ import annotations

from pytest_llmops.detect.seal import seal_result
from pytest_llmops.records import CaseResult, Failure, Output, Passage, Score, ToolCall

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


def test_pieces_of_what_leaked_are_hidden_in_what_other_metrics_say():
    """Reasons are cut, stemmed and quoted in parts before anybody masks them."""
    key = "sk-proj-" + "aB3dE6gH9j" * 4
    output = Output(text=f"The key is {key}, write to {LEAK} about boots.")
    quoted = Score(
        metric="faithfulness",
        value=0.1,
        reason=f"'The key is s...{key[-20:]}, wri'; in no context: '{key[20:30].lower()}', 'ann.lee@exam…'",
        evidence=({"claims": [{"claim": f"boots {LEAK[:12]}", "score": 0.1}]},),
    )
    case = CaseResult(
        case="a", input_hash="", outputs=(output,), scores=(Score(metric="pii_leak", value=2), quoted)
    )

    told = seal_result(case).scores[1]

    assert not any(key[at : at + 4].lower() in repr(told).lower() for at in range(len(key) - 3))
    assert "ann." not in repr(told)
    assert told.reason.startswith("'The key is s...<…>, wri'")
    assert told.evidence[0]["claims"] == [{"claim": "boots <…>", "score": 0.1}]
