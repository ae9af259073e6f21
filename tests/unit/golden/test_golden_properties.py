"""Whatever a file holds, it is loaded or refused in our words; what is written comes back."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmops import load_golden
from pytest_llmops.errors import GoldenError
from pytest_llmops.golden.files import SUFFIXES
from pytest_llmops.records import Golden

GOOD = """\
version: 1
app: a:b
checks: {latency_s: "<= 2", keywords: {any: [x, "no"]}}
suite:
  rouge_l: {mean: ">= 0.5", max_drop: 0.1}
cases:
  - id: one
    input: &text Hello there
    reference: *text
    checks: {exact_match: true, semantic: {min: 0.2, max: 0.9}}
  - {id: two, input: [1, {a: b}], relevant: [p, q], tags: [t], repeats: 2, checks: {recall@3: ">= 1"}}
"""
IN_JSON = json.dumps(yaml.safe_load(GOOD), indent=1)
NEAR_YAML = st.text(alphabet="- :{}[],&*!\"'\n\t|>%@`#?~<=.1aeids\r\\\u2028\x85\U0001f600", max_size=60)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "version",
        "app",
        "encoder",
        "prompts",
        "checks",
        "suite",
        "cases",
        "id",
        "input",
        "reference",
        "relevant",
        "tags",
        "repeats",
        "exact_match",
        "recall@5",
        "keywords",
        "mean",
        "min",
        "max_drop",
        "all",
    ]
)
SHAPED: st.SearchStrategy[Any] = st.recursive(
    JSON_VALUES | KEYS | st.sampled_from([">= 0.5", "none", "a"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def attempt(raw: bytes, suffix: str) -> Golden | None:
    """Loads the bytes; a refusal must be a golden error that a person can read."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / f"shop{suffix}").write_bytes(raw)
        try:
            return load_golden(f"shop{suffix}", root=root)
        except GoldenError as error:
            problems = error.problems
    lines = [problem.line for problem in problems]
    assert lines
    assert lines == sorted(lines)
    assert lines[0] >= 1
    assert lines[-1] <= raw.count(b"\n") + raw.count(b"\r") + 1
    assert all(str(problem).isprintable() for problem in problems)
    return None


@given(st.text() | NEAR_YAML, st.sampled_from(SUFFIXES))
def test_any_text_is_loaded_or_refused(text: str, suffix: str) -> None:
    attempt(text.encode(), suffix)


@given(st.binary(), st.sampled_from(SUFFIXES))
def test_any_bytes_are_loaded_or_refused(raw: bytes, suffix: str) -> None:
    attempt(raw, suffix)


@given(st.data())
def test_any_change_of_a_good_file_is_loaded_or_refused(data: st.DataObject) -> None:
    text, suffix = data.draw(st.sampled_from([(GOOD, ".yaml"), (IN_JSON, ".json")]))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(NEAR_YAML | st.text(max_size=3)) + text[end:]

    attempt(text.encode(), suffix)


@given(SHAPED, st.sampled_from([".json", ".yaml", ".jsonl"]))
def test_any_value_is_loaded_or_refused(value: Any, suffix: str) -> None:
    attempt(json.dumps(value).encode(), suffix)
    attempt(json.dumps({"cases": [value, {"id": "a", "input": "x", "checks": value}]}).encode(), ".json")
    attempt(yaml.safe_dump({"cases": [{"id": "a", "input": value}], "suite": value}).encode(), ".yaml")


class Quoted(yaml.SafeDumper):
    """Writes every text in double quotes, as the loader asks for where it matters."""


Quoted.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
CASES = st.lists(
    st.fixed_dictionaries(
        {
            "id": WORDS,
            "input": st.text() | st.lists(JSON_VALUES, max_size=3) | st.dictionaries(st.text(), JSON_VALUES),
        },
        optional={
            "reference": st.text(),
            "relevant": st.lists(WORDS, min_size=1, unique=True),
            "tags": st.lists(WORDS, unique=True),
            "repeats": st.integers(1, 9),
            "checks": st.fixed_dictionaries(
                {},
                optional={
                    "latency_s": st.just("<= 2"),
                    "keywords": st.fixed_dictionaries({"all": st.lists(WORDS, min_size=1)}),
                },
            ),
        },
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda case: case["id"],
)


@given(CASES)
def test_what_is_written_comes_back_in_every_format(cases: list[dict[str, Any]]) -> None:
    document = {"cases": cases}
    escapes = not json.dumps(document, ensure_ascii=False).isprintable()
    written = [
        attempt(json.dumps(document, indent=2, ensure_ascii=escapes).encode(), ".json"),
        attempt("\n".join(map(json.dumps, cases)).encode(), ".jsonl"),
        attempt(yaml.dump(document, Dumper=Quoted, sort_keys=False).encode(), ".yaml"),
        attempt(
            yaml.dump(document, Dumper=Quoted, sort_keys=False, default_flow_style=True).encode(), ".yml"
        ),
    ]

    for golden in written:
        assert golden is not None
        assert [each.id for each in golden.cases] == [case["id"] for case in cases]
        for loaded, case in zip(golden.cases, cases, strict=True):
            assert json.dumps(loaded.input, sort_keys=True) == json.dumps(case["input"], sort_keys=True)
            assert loaded.reference == case.get("reference")
            assert loaded.relevant == tuple(case.get("relevant", ()))
            assert loaded.tags == tuple(case.get("tags", ()))
            assert loaded.repeats == case.get("repeats")
            assert [check.metric for check in loaded.checks] == list(case.get("checks", {}))
