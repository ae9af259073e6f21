from __future__ import annotations

from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.records import (
    Case,
    CaseResult,
    Check,
    Failure,
    Output,
    Run,
    Score,
    Source,
    Usage,
    Verdict,
)
from pytest_llmops.reports.terminal import (
    render_case,
    render_counts,
    render_suite,
    render_summary,
    render_table,
    render_usage,
)

CASE = Case(
    id="returns-window",
    input="How long do I have\x1b[2J to send boots back?",
    reference="Within 60 days of delivery.",
    checks=tuple(
        Check(metric=metric, comparison=comparison, threshold=threshold)
        for metric, comparison, threshold in (
            ("keywords", ">=", 1.0),
            ("semantic", ">=", 0.8),
            ("pii_leak", "<=", 0.0),
            ("rouge_l", ">=", 0.2),
        )
    ),
    source=Source(path="golden/shop.yaml", line=31),
)
RESULT = CaseResult(
    case="golden/shop.yaml::returns-window",
    input_hash="x",
    outputs=(Output(text="You have 30 days,\n\u202esay j***@***."),),
    scores=(
        Score(
            metric="keywords", value=0.5, reason='missing: "60 days"', evidence=({"missing": ["60 days"]},)
        ),
        Score(
            metric="pii_leak",
            value=1,
            reason="1 leak",
            evidence=(
                {"place": "span order_status /result/e-mail", "kind": "EMAIL_ADDRESS", "mask": "j***@***"},
            ),
        ),
        Score(metric="rouge_l", value=0.4),
    ),
    failures=(Failure(metric="semantic", stage="score", error="no weights: llmops models pull"),),
)


def test_failed_case_tells_what_was_asked_answered_and_missed():
    assert render_case(CASE, RESULT, judge_case(CASE, RESULT)).splitlines() == [
        "golden/shop.yaml:31: returns-window",
        "  input      How long do I have\\x1b[2J to send boots back?",
        "  answer     You have 30 days,\\n\\u202esay j***@***.",
        "  reference  Within 60 days of delivery.",
        '  failed     keywords >= 1: 0.5; missing: "60 days"',
        '             missing: ["60 days"]',
        "  error      semantic >= 0.8; no weights: llmops models pull",
        "  failed     pii_leak <= 0: 1; 1 leak",
        "             place: span order_status /result/e-mail, kind: EMAIL_ADDRESS, mask: j***@***",
    ]


def test_case_that_is_good_shows_its_checks():
    result = CaseResult(case="f::a", input_hash="", outputs=(Output(text="Yes."),))

    text = render_case(Case(id="a", input={"q": 1}), result, judge_case(Case(id="a", input=""), result))

    assert text.splitlines() == ["a", '  input      {"q": 1}', "  answer     Yes.", "  passed     answered"]


def test_repeats_are_shown_each_with_its_value():
    outputs = tuple(Output(text=f"answer {index % 4}", repeat=index) for index in range(12))
    scores = tuple(Score(metric="keywords", value=index % 2, repeat=index) for index in range(12))
    result = CaseResult(case="f::a", input_hash="", outputs=outputs, scores=scores)
    case = Case(id="a", input="?", checks=CASE.checks[:1])

    lines = render_case(case, result, judge_case(case, result)).splitlines()

    assert lines[2:6] == [
        "  answer     answer 0",
        "  answer     answer 1",
        "  answer     answer 2",
        "             and 1 other answer",
    ]
    assert "             repeat: 1, value: 1" in lines
    assert lines[-1] == "             and 2 more"


def test_long_and_hostile_text_is_cut_and_escaped_everywhere():
    evil = "\x1b]0;owned\x07\u202e" + "x" * 5000
    case = Case(id=evil, input=evil, reference=evil, source=Source(path=evil, line=1))
    result = CaseResult(case="f::a", input_hash="", outputs=(Output(text=evil),))
    verdict = Verdict(check=evil, outcome="failed", reason=evil, evidence=({evil: evil}, evil), advice=evil)

    text = render_case(case, result, [verdict])

    assert all(line.isprintable() for line in text.splitlines())
    assert len(text) < 5000


REGRESSED = Verdict(
    check="recall@5 mean >= 0.9",
    outcome="regressed",
    observed=0.91,
    baseline=0.98,
    difference=-0.07,
    interval=(-0.12, -0.0301),
    p_value=0.001,
    p_adjusted=0.008,
    cases=40,
    reason="worse than the baseline by 0.07, more than max_drop 0.05",
    evidence=({"case": "golden/shop.yaml::returns", "before": 1.0, "after": 0.0},),
    advice="look",
)
KNOWN = Verdict(
    check="semantic mean >= 0.8", outcome="failed", observed=0.7, baseline=0.7, difference=0.0, known=True
)


def test_suite_check_is_told_with_its_numbers():
    assert render_suite([REGRESSED]).splitlines() == [
        (
            "  regressed  recall@5 mean >= 0.9: 0.91, baseline 0.98, difference -0.07 (-0.12 … -0.0301); "
            "worse than the baseline by 0.07, more than max_drop 0.05"
        ),
        "             case: golden/shop.yaml::returns, before: 1.0, after: 0.0",
        "             look",
    ]
    assert render_suite([KNOWN]) == "  known      semantic mean >= 0.8: 0.7, baseline 0.7, difference +0"


def test_table_has_a_row_a_check():
    assert render_table([REGRESSED, KNOWN]) == [
        "check                 observed  baseline  difference  interval         p      outcome",
        "recall@5 mean >= 0.9  0.91      0.98      -0.07       -0.12 … -0.0301  0.008  regressed",
        "semantic mean >= 0.8  0.7       0.7       +0                                  known",
    ]
    assert render_table([]) == []


def test_table_without_a_baseline_has_no_empty_columns():
    verdict = Verdict(check="latency_s p95 <= 2", outcome="passed", observed=1.25)

    assert render_table([verdict]) == [
        "check               observed  outcome",
        "latency_s p95 <= 2  1.25      passed",
    ]


def test_every_count_is_shown_zeros_included():
    assert (
        render_counts({"passed": 41, "failed": 3, "undecided": 1, "error": 1, "known": 2})
        == "41 passed, 3 failed, 0 regressed, 1 undecided, 1 error, 2 known"
    )


def test_usage_says_what_is_not_known():
    whole = Usage(calls=96, replayed=90, prompt_tokens=12345, completion_tokens=678, cost_usd=0.0123)

    assert render_usage(whole, 12.34) == (
        "6 model calls made, 90 replayed, 0 failed, 12,345 prompt and 678 completion tokens, $0.0123, 12.3 s"
    )
    assert render_usage(Usage(calls=1, prompt_tokens=None, cost_usd=None)) == (
        "1 model call made, 0 replayed, 0 failed, tokens unknown, cost unknown"
    )


def test_summary_holds_table_counts_usage_and_problems():
    run = Run(signature={}, results=(), usage=Usage())

    lines = render_summary(run, {"passed": 2}, ["cassette\x1b is read-only"], suite=[KNOWN], wall_s=1)

    assert lines[0].startswith("check")
    assert lines[2:] == [
        "2 passed, 0 failed, 0 regressed, 0 undecided, 0 error, 0 known",
        "no model call seen, 1.0 s",
        "cassette\\x1b is read-only",
    ]
