"""A bound that every score holds looks like a check and asks for nothing: refused, unless it only records."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmops import load_golden
from pytest_llmops.errors import GoldenError

FILE = """\
version: 1
rival: a:b
suite: {}
cases:
  - id: a
    input: hello
    reference: hi
    relevant: [x]
    checks:
      exact_match: true
      {}
"""


def load(root: Path, check: str = "regex: {pattern: a}", suite: str = "{}", **options: bool):
    (root / "shop.yaml").write_text(FILE.format(suite, check))
    return load_golden("shop.yaml", root=root, **options)


@pytest.mark.parametrize(
    ("check", "shown", "span"),
    [
        ("keywords: {all: [hi], min: 0}", ">= 0", "it goes from 0 to 1"),
        ("rouge_l: '>= 0'", ">= 0", "it goes from 0 to 1"),
        ("rouge_l: '<= 1'", "<= 1", "it goes from 0 to 1"),
        ("rouge_l: {max: 1}", "<= 1", "it goes from 0 to 1"),
        ("latency_s: '>= 0'", ">= 0", "it is 0 or more"),
        ("tokens: '>= 0'", ">= 0", "it is 0 or more"),
        ("cost_usd: '>= 0'", ">= 0", "it is 0 or more"),
        ("pii_leak: '>= 0'", ">= 0", "it is 0 or more"),
        ("semantic: '>= -1'", ">= -1", "it goes from -1 to 1"),
        ("recall@3: '>= 0'", ">= 0", "it goes from 0 to 1"),
    ],
)
def test_of_a_case(tmp_path, check, shown, span):
    with pytest.raises(GoldenError) as caught:
        load(tmp_path, check)

    (problem,) = caught.value.problems
    assert (problem.path, problem.line, problem.case) == ("shop.yaml", 11, "a")
    assert f'"{shown}" can never fail, since {span}' in problem.message
    assert "record_only: true" in problem.message
    assert load(tmp_path, check, past=True), "of a revision it is read as it was"


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("{rouge_l: {mean: '>= 0'}}", 'mean: ">= 0" can never fail'),
        ("{rouge_l: {mean: '>= 0.1', p10: '>= 0'}}", 'p10: ">= 0" can never fail'),
        ("{rouge_l: {sum: '<= 1'}}", 'sum: "<= 1" can never fail, since it goes from 0 to 1'),
        ("{latency_s: {p95: '>= 0'}}", 'p95: ">= 0" can never fail'),
        ("{rouge_l: {max_drop: 1}}", "max_drop 1 can never be exceeded"),
        ("{rouge_l: {min_gain: -1}}", "min_gain -1 can never fail"),
        ("{rouge_l: {mean: '>= 0', record_only: yes please}}", "record_only must be true or false"),
        ("{rouge_l: {mean: '>= 0', max_drop: 0.1, record_only: true}}", "record_only fails no build"),
    ],
)
def test_of_the_suite(tmp_path, suite, message):
    with pytest.raises(GoldenError, match=r"shop.yaml:3: .*" + message.replace("(", r"\(")):
        load(tmp_path, suite=suite)


@pytest.mark.parametrize(
    "check",
    [
        "keywords: {all: [hi], min: 0, record_only: true}",
        "latency_s: {max: 5, record_only: true}",
        "latency_s: {record_only: true}",
        "semantic: {min: -1, record_only: true}",
    ],
)
def test_what_only_records_may(tmp_path, check):
    (checked,) = load(tmp_path, check).cases[0].checks[1:]
    assert checked.record_only


@pytest.mark.parametrize(
    "check", ["rouge_l: '> 0'", "pii_leak: none", "semantic: '> -1'", "tokens: '<= 9'", "pii_leak: '<= 1e9'"]
)
def test_what_can_fail_is_a_check(tmp_path, check):
    """A count has no largest value, so that no limit to it holds always."""
    (checked,) = load(tmp_path, check).cases[0].checks[1:]
    assert not checked.record_only


def test_statistics_that_are_only_recorded(tmp_path):
    (check,) = load(tmp_path, suite="{latency_s: {p95: '>= 0', record_only: true}}").suite
    assert check.record_only


def test_a_word_that_is_no_bool(tmp_path):
    with pytest.raises(GoldenError, match="record_only must be true or false, not the text"):
        load(tmp_path, "rouge_l: {min: 0.1, record_only: 'true'}")
