"""docs/variants.md is what the stored runs say, and those are of the golden files as they are."""

from __future__ import annotations

from hashlib import sha256

import pytest

from benchmarks.variants.__main__ import PAGE, ROOT, SYSTEMS, insert
from pytest_llmops.reports.files.run_file import load_run

STORED = [system for system in SYSTEMS.values() if system.stored.exists()]


def test_the_page_is_written_from_the_stored_runs():
    page = PAGE.read_text(encoding="utf-8")
    assert insert(page) == page, "run `python -m benchmarks.variants --stored`"


@pytest.mark.parametrize("system", STORED, ids=lambda system: system.name)
def test_a_stored_run_is_of_the_golden_file_as_it_is(system):
    run = load_run(system.stored)
    digest = sha256((ROOT / system.golden).read_bytes()).hexdigest()
    assert run.signature[f"golden:{system.golden}"] == digest, (
        f"run `python -m benchmarks.variants {system.name}`"
    )
    assert all(output.text == "" for result in run.results for output in result.outputs)
