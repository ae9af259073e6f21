from __future__ import annotations

import json

from pytest_llmops.records import Change, Comparison, Verdict
from pytest_llmops.reports.comparison import comparison_document, comparison_json
from pytest_llmops.reports.document import write_terminal

COMPARISON = Comparison(
    outcome="regressed",
    level=0.95,
    verdicts=(
        Verdict(
            check="recall@5 mean >= 0.9",
            outcome="regressed",
            observed=0.8,
            baseline=1.0,
            difference=-0.2,
            interval=(-0.3, -0.1),
            p_value=0.001,
            p_adjusted=0.002,
            cases=30,
            reason="worse",
        ),
        Verdict(check="semantic mean", outcome="passed", observed=0.8, baseline=0.8, advice="could see 0.1"),
        Verdict(check="bleu mean", outcome="error", cases=1, reason="boom", evidence=("golden/a.yaml::x",)),
    ),
    new=("golden/a.yaml::come",),
    missing=("golden/a.yaml::gone\x1b",),
    changed=(
        Change(case="golden/a.yaml::fell", metric="recall@5", before=1.0, after=0.0, confirmed=True),
        Change(case="golden/a.yaml::wavered", metric="semantic", before=0.9, after=0.8, confirmed=False),
    ),
)


def test_json_is_as_published():
    document = json.loads(json.dumps(comparison_json(COMPARISON), allow_nan=False))

    assert document["version"] == 1
    assert document["outcome"] == "regressed"
    assert document["counts"] == {
        "passed": 1,
        "failed": 0,
        "regressed": 1,
        "undecided": 0,
        "error": 1,
        "known": 0,
        "xfailed": 0,
        "xpassed": 0,
    }
    assert document["cases"] == {
        "new": ["golden/a.yaml::come"],
        "missing": ["golden/a.yaml::gone\x1b"],
        "changed": [
            {
                "case": "golden/a.yaml::fell",
                "metric": "recall@5",
                "before": 1.0,
                "after": 0.0,
                "confirmed": True,
            },
            {
                "case": "golden/a.yaml::wavered",
                "metric": "semantic",
                "before": 0.9,
                "after": 0.8,
                "confirmed": False,
            },
        ],
        "skipped": {},
    }
    assert document["verdicts"][0] == {
        "check": "recall@5 mean >= 0.9",
        "outcome": "regressed",
        "cases": 30,
        "baseline": 1.0,
        "observed": 0.8,
        "difference": -0.2,
        "interval": [-0.3, -0.1],
        "level": 0.95,
        "p_value": 0.001,
        "p_adjusted": 0.002,
        "reason": "worse",
        "evidence": [],
        "advice": "",
        "known": False,
    }
    assert document["verdicts"][2]["interval"] is None


def test_text_has_rows_reasons_cases_and_counts():
    assert write_terminal(comparison_document(COMPARISON)) == [
        "check                 observed  baseline  difference  interval     p      outcome",
        "recall@5 mean >= 0.9  0.8       1         -0.2        -0.3 … -0.1  0.002  regressed",
        "semantic mean         0.8       0.8                                       passed",
        "bleu mean                                                                 error",
        "",
        "regressed  recall@5 mean >= 0.9: 0.8, baseline 1, difference -0.2 (-0.3 … -0.1); worse",
        "",
        "passed     semantic mean: could see 0.1",
        "",
        "error      bleu mean; boom",
        "           golden/a.yaml::x",
        "",
        "missing, of the baseline's cases: 1",
        "  golden/a.yaml::gone\\x1b",
        "",
        "new cases: 1",
        "  golden/a.yaml::come",
        "",
        "changed cases, beyond chance: 1",
        "  case                 metric    before  after",
        "  golden/a.yaml::fell  recall@5  1       0",
        "",
        "1 score changed, possibly by chance",
        "",
        "regressed: 1 passed, 0 failed, 1 regressed, 0 undecided, 1 error, 0 known (level 0.95)",
    ]


def test_long_lists_are_cut_and_counted():
    many = tuple(f"golden/a.yaml::{index}" for index in range(30))
    changed = tuple(Change(case=case, metric="bleu", before=1, after=0, confirmed=True) for case in many)

    lines = write_terminal(
        comparison_document(
            Comparison(outcome="undecided", verdicts=(), level=0.9, missing=many, changed=changed)
        )
    )

    assert lines.count("  and 10 more") == 1
    assert "changed cases, beyond chance: 30, 20 of them shown" in lines
