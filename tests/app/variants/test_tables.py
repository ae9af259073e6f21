"""docs/variants.md is what the stored runs say, and those are of the golden files as they are."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from benchmarks.variants import table
from benchmarks.variants.__main__ import PAGE, insert
from benchmarks.variants.systems import BASELINES, GROUPS, ROOT, System
from pytest_llmops.records import CaseResult, Check, Failure, Output, Run, Score, Usage
from pytest_llmops.reports.files.run_file import load_run, write_run

SYSTEMS = [*(system for systems in GROUPS.values() for system in systems), *BASELINES]
STORED = [system for system in SYSTEMS if system.stored.exists()]
CHECK = Check(metric="keywords", comparison=">=", threshold=1.0)


def test_the_page_is_written_from_the_stored_runs():
    page = PAGE.read_text(encoding="utf-8")
    assert insert(page) == page, "run `python -m benchmarks.variants --stored`"


def test_every_system_is_stored_with_its_reference():
    assert STORED == SYSTEMS, "run `make variants`"


@pytest.mark.parametrize("system", STORED, ids=lambda system: system.name)
def test_a_stored_run_is_of_the_golden_file_as_it_is(system):
    run = load_run(system.stored)
    digest = sha256((ROOT / system.golden).read_bytes()).hexdigest()
    assert run.signature[f"golden:{system.golden}"] == digest, f"run `make variants`: {system.name}"
    assert all(output.text == "" for result in run.results for output in result.outputs)


def result(number, value, *, seconds=1.0):
    """A case that scored so much, or broke."""
    known = CaseResult(case=f"golden/shop.yaml::{number}", input_hash="", checks=(CHECK,))
    if value is None:
        failure = Failure(metric="", stage="app", error="it broke", repeat=0)
        return replace(known, failures=(failure,))
    return replace(
        known,
        outputs=(Output(text="", repeat=0, latency_s=seconds, usage=Usage()),),
        scores=(Score(metric="keywords", value=value, repeat=0, signature="keywords|v1"),),
    )


@pytest.fixture
def systems(tmp_path, monkeypatch):
    """Two systems whose runs lie elsewhere; returns what is rendered of them."""
    monkeypatch.setattr("benchmarks.variants.systems.RUNS", tmp_path)
    pair = [System(name=name, title=name, golden="golden/shop.yaml") for name in ("base", "other")]
    monkeypatch.setattr(table, "GROUPS", {"Shop": pair})

    def render(base, other, **options):
        for system, values in zip(pair, (base, other), strict=True):
            results = tuple(result(number, value, **options) for number, value in enumerate(values))
            write_run(Run(signature={}, suite={}, results=results), system.stored)
        return table.render()

    return render


def test_a_case_that_broke_counts_as_a_miss(systems):
    shown = systems([1.0] * 8, [*[1.0] * 6, None, None])
    assert "| base | 0 | 1.000 |" in shown
    assert "| other | 2 | 0.750 |" in shown
    assert "- **other:** keywords -0.250 (" in shown
    assert "0 better, 2 worse)" in shown


def test_a_difference_has_the_sign_of_the_system_and_says_if_chance_explains_it(systems):
    shown = systems([0.0] * 8, [1.0] * 8)
    assert "keywords +1.000 (+1.000 to +1.000; 8 better, 0 worse, sure)" in shown
    assert "no case differs in seconds" in shown
    assert "keywords -1.000 (-1.000 to -1.000; 0 better, 8 worse, sure)" in systems([1.0] * 8, [0.0] * 8)


def test_a_group_without_its_references_run_is_left_out(systems, tmp_path):
    systems([1.0], [1.0])
    (tmp_path / "base.json").unlink()
    assert table.render() == ""
