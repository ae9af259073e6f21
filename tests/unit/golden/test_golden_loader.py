"""Good golden files, in each format, become the records they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_llmops import load_golden

FULL = """\
version: 1
app: shop.bot:answer
encoder: small
prompts: [prompts/answer.md]
checks:
  latency_s: "<= 2"
  rouge_l: ">= 0.3"
suite:
  recall@5: {mean: ">= 0.9", max_drop: 0.05}
  latency_s: {p95: "<= 2"}
  cost_usd: {sum: "<= 0.10"}
cases:
  - id: returns-window
    input: How long do I have to send boots back?
    reference: Within 60 days of delivery.
    relevant: [returns#window, returns#short]
    tags: [policy]
    repeats: 3
    checks:
      exact_match: true
      rouge_l: {min: 0.4, max: 0.9}
      keywords: {all: ["60 days"], none: ["no refund"]}
      semantic: ">= 0.8"
      recall@3: ">= 1"
  - id: Grüße 2
    input: {question: hi, history: [{role: user, text: "no"}], deep: {n: 1, f: 0.5, ok: true, none: null}}
    reference: ho
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "answer.md").write_text("Answer.", encoding="utf-8")
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "shop.yaml").write_text(FULL, encoding="utf-8")
    return tmp_path


def test_an_absolute_path_is_shown_from_the_root(project: Path) -> None:
    path = project / "golden" / "shop.yaml"

    assert load_golden(path, root=project).path == "golden/shop.yaml"
    assert load_golden(path, root=project / "prompts" / "..").path == "golden/shop.yaml"


def test_the_root_is_the_current_folder_by_default(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)

    assert load_golden("golden/shop.yaml") == load_golden("golden/shop.yaml", root=project)


def test_formats_agree(load) -> None:
    cases = [
        {"id": "a", "input": "hi", "checks": {"keywords": {"all": ["x"], "max": 0.5}}},
        {"id": "b", "input": ["\u2028", "é\n", 1.5], "reference": "", "relevant": ["p"], "repeats": 2},
    ]

    from_yaml = load(
        "cases:\n- {id: a, input: hi, checks: {keywords: {all: [x], max: 0.5}}}\n"
        '- {id: b, input: ["\\L", "é\\n", 1.5], reference: "", relevant: [p], repeats: 2}\n'
    )
    from_json = load(json.dumps({"cases": cases}), ".json")
    from_lines = load("\n\n".join(map(json.dumps, cases)) + "\r\n", ".jsonl")

    def bare(golden) -> list[tuple[object, ...]]:
        return [(c.id, c.input, c.reference, c.relevant, c.checks, c.repeats) for c in golden.cases]

    assert bare(from_yaml) == bare(from_json) == bare(from_lines)
    assert [case.source.line for case in from_lines.cases] == [1, 3]


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json", ".jsonl"])
def test_a_byte_order_mark_is_passed_over(load, suffix: str) -> None:
    text = '{"id": "a", "input": "hi"}'

    golden = load("\ufeff" + (text if suffix == ".jsonl" else f'{{"cases": [{text}]}}'), suffix)

    assert [case.id for case in golden.cases] == ["a"]


def test_aliases_are_unfolded(load) -> None:
    golden = load("""
cases:
  - {id: a, input: hi, checks: &usual {latency_s: "<= 2"}}
  - {id: b, input: &text ho, reference: *text, checks: *usual}
""")

    assert golden.cases[0].checks == golden.cases[1].checks
    assert golden.cases[1].reference == "ho"


def test_a_check_with_an_encoder_of_its_own_keeps_it(load) -> None:
    golden = load("""
encoder: small
suite: {semantic: {mean: ">= 0.5"}}
cases: [{id: a, input: hi, reference: ho, checks: {semantic: {min: 0.5, encoder: large}, exact_match: true}}]
""")

    semantic, exact_match = golden.cases[0].checks
    assert (semantic.options, exact_match.options) == ({"encoder": "large"}, {})
    assert golden.suite[0].options == {"encoder": "small"}


def test_an_alias_of_a_metric_replaces_only_its_own_name(load) -> None:
    golden = load("""
checks: {rouge_l: ">= 0.2", lexical: ">= 0.3"}
cases: [{id: a, input: hi, reference: ho, checks: {lexical: ">= 0.4"}}]
""")

    assert [(c.metric, c.threshold) for c in golden.cases[0].checks] == [("rouge_l", 0.2), ("lexical", 0.4)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{mean: ">= 0.5"}', [("mean", ">=", 0.5, None)]),
        ('{min: ">= 0.5", max: "< 1"}', [("min", ">=", 0.5, None), ("max", "<", 1.0, None)]),
        ("{max_drop: 0.1}", [("mean", None, None, 0.1)]),
        ('{p50: ">= 0.5", max_drop: 0}', [("p50", ">=", 0.5, 0.0)]),
        (
            '{p50: ">= 0.5", mean: ">= 0.4", max_drop: 0.1}',
            [("p50", ">=", 0.5, None), ("mean", ">=", 0.4, 0.1)],
        ),
        ('{sum: "<= 1"}', [("sum", "<=", 1.0, None)]),
        ("{mean: true}", [("mean", ">=", 1.0, None)]),
        ("{sum: none}", [("sum", "<=", 0.0, None)]),
    ],
)
def test_suite_statistics(load, written: str, expected: list[tuple[object, ...]]) -> None:
    golden = load(
        f"suite: {{exact_match: {written}}}\ncases: [{{id: a, input: x, reference: y}}, {{id: b, input: x}}]"
    )

    assert [(c.statistic, c.comparison, c.threshold, c.max_drop) for c in golden.suite] == expected


def test_a_metric_with_needed_options_stands_in_the_suite_when_a_case_gives_them(load) -> None:
    golden = load("""
suite: {keywords: {mean: ">= 0.9"}}
cases: [{id: a, input: x, checks: {keywords: {all: [y]}}}, {id: b, input: x}]
""")

    (check,) = golden.suite
    assert (check.metric, check.statistic, check.comparison, check.threshold) == (
        "keywords",
        "mean",
        ">=",
        0.9,
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{min_gain: 0.1}", [("gain", ">=", 0.1, None)]),
        ("{min_gain: -0.5, max_drop: 0.2}", [("mean", None, None, 0.2), ("gain", ">=", -0.5, None)]),
        ("{sum: '>= 1', min_gain: 0}", [("sum", ">=", 1.0, None), ("gain", ">=", 0.0, None)]),
    ],
)
def test_a_gain_is_a_check_of_its_own(load, written: str, expected: list[tuple[object, ...]]) -> None:
    golden = load(
        f"rival: a:b\nsuite: {{exact_match: {written}}}\ncases: [{{id: a, input: x, reference: y}}]"
    )

    assert golden.rival == "a:b"
    assert [(c.statistic, c.comparison, c.threshold, c.max_drop) for c in golden.suite] == expected


def test_a_pair_needs_no_reference_where_there_is_a_rival(load) -> None:
    golden = load("""
rival: shop:base
judge: m
suite: {pairwise: {min_gain: 0}}
cases: [{id: a, input: x, checks: {pairwise: true}}]
""")

    assert [check.metric for check in golden.cases[0].checks] == ["pairwise"]


@pytest.mark.parametrize(
    "written", ["a", "returns-window", "A.b_c#1@2+3=(4)", "日本語", "हिन्दी", "two words", "a:b"]
)
def test_ids_that_are_allowed(load, written: str) -> None:
    assert load(f"cases: [{{id: '{written}', input: x}}]").cases[0].id == written


def test_ten_thousand_cases_load(load) -> None:
    """A size at which anything quadratic would be felt."""
    golden = load("cases:\n" + "".join(f"- {{id: c{at}, input: hi {at}}}\n" for at in range(10_000)))

    last = golden.cases[-1]
    assert (last.id, last.input, last.source.path, last.source.line) == (
        "c9999",
        "hi 9999",
        "shop.yaml",
        10_001,
    )
