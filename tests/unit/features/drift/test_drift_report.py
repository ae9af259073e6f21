from __future__ import annotations

import json

from pytest_llmops.features.drift.causes import CaseDrift, Cause, Clue, Drift
from pytest_llmops.features.drift.report import drift_document, drift_json
from pytest_llmops.reports.document import write_terminal

DOCUMENT = Clue(kind="data", evidence="passage returns\x1b[2J has another text")
PROMPT = Clue(kind="prompt", evidence="prompts/a.yaml: a 1 → a 2")
DRIFT = Drift(
    outcome="drift",
    causes=(
        Cause(
            kind="model", evidence=("small: fp_1 answered before, fp_2 answers now",), cases=(), shown=True
        ),
        Cause(kind="data", evidence=(DOCUMENT.evidence,), cases=("golden/a.yaml::fell",), shown=True),
        Cause(kind="prompt", evidence=(PROMPT.evidence,), cases=("golden/a.yaml::either",), shown=False),
        Cause(kind="data", evidence=(DOCUMENT.evidence,), cases=("golden/a.yaml::either",), shown=False),
    ),
    cases=(
        CaseDrift(case="golden/a.yaml::either", change="changed", clues=(PROMPT, DOCUMENT)),
        CaseDrift(case="golden/a.yaml::fell", change="changed", clues=(DOCUMENT,), shown=("data",)),
        CaseDrift(case="golden/a.yaml::held", change="same"),
        CaseDrift(case="golden/a.yaml::unseen", change="changed", hint="unseen"),
        CaseDrift(case="golden/a.yaml::app", change="changed", hint="app"),
        CaseDrift(case="golden/a.yaml::wavers", change="varying"),
    ),
    advice=("1 case: prompt or data. Run the old prompts",),
    notes=("1 case only in the base\n",),
)


def _lines(drift: Drift) -> list[str]:
    return write_terminal(drift_document(drift))


def test_text_has_causes_open_cases_advice_and_counts():
    assert _lines(DRIFT) == [
        "model, shown",
        "  small: fp_1 answered before, fp_2 answers now",
        "  no answer changed by it",
        "",
        "data, shown",
        "  passage returns\\x1b[2J has another text",
        "  cases: 1",
        "    golden/a.yaml::fell",
        "",
        "prompt, a candidate",
        "  prompts/a.yaml: a 1 → a 2",
        "  cases: 1",
        "    golden/a.yaml::either",
        "",
        "data, a candidate",
        "  passage returns\\x1b[2J has another text",
        "  cases: 1",
        "    golden/a.yaml::either",
        "",
        "cause open: 3 of 6 cases",
        "  golden/a.yaml::either: prompt or data?",
        "  golden/a.yaml::unseen: its model calls were not seen",
        "  golden/a.yaml::app: the app itself, by all that is seen",
        "",
        "advice: 1 case: prompt or data. Run the old prompts",
        "note: 1 case only in the base\\n",
        "",
        "drift: model, data (cases: 1 same, 1 varying, 4 changed)",
    ]


def test_json_holds_every_case_that_is_not_the_same():
    document = json.loads(json.dumps(drift_json(DRIFT), allow_nan=False))

    assert document["version"] == 1
    assert document["outcome"] == "drift"
    assert document["causes"][1] == {
        "kind": "data",
        "shown": True,
        "evidence": ["passage returns\x1b[2J has another text"],
        "cases": ["golden/a.yaml::fell"],
    }
    assert document["cases"][0] == {
        "case": "golden/a.yaml::either",
        "change": "changed",
        "shown": [],
        "candidates": ["prompt", "data"],
        "hint": "",
        "evidence": ["prompts/a.yaml: a 1 → a 2", "passage returns\x1b[2J has another text"],
    }
    assert [case["case"].partition("::")[2] for case in document["cases"]] == [
        "either",
        "fell",
        "unseen",
        "app",
        "wavers",
    ]
    assert document["counts"] == {"same": 1, "varying": 1, "changed": 4}
    assert document["advice"] == list(DRIFT.advice)
    assert document["notes"] == list(DRIFT.notes)


def test_no_drift_and_an_open_cause_say_so():
    held = CaseDrift(case="a", change="same")
    changed = CaseDrift(case="b", change="changed", hint="app")

    assert _lines(Drift(outcome="none", causes=(), cases=(held,))) == [
        "no drift (cases: 1 same, 0 varying, 0 changed)"
    ]
    assert _lines(Drift(outcome="open", causes=(), cases=(changed,)))[-1].startswith(
        "drift, and its cause is open"
    )
    assert _lines(Drift(outcome="open", causes=(), cases=(held,)))[-1].startswith(
        "no drift seen, and no canary was answered"
    )


def test_long_lists_are_cut_and_counted():
    cases = tuple(CaseDrift(case=f"a::{number}", change="changed", hint="app") for number in range(25))
    evidence = tuple(f"passage {number} has another text" for number in range(12))
    cause = Cause(kind="data", evidence=evidence, cases=tuple(case.case for case in cases), shown=True)

    lines = _lines(Drift(outcome="open", causes=(cause,), cases=cases))

    assert [line.strip() for line in lines].count("and 15 more") == 2
    assert lines.count("  and 2 more") == 1
