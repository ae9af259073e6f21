"""Wrong answers that people wrote, and right ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import yaml

from benchmarks.falsehoods import finding
from pytest_llmops.records import Bound

SHARES = Path(__file__).parents[4] / "benchmarks" / "falsehoods"


@pytest.fixture(scope="module")
def _questions_read_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "load_questions", cache(finding.load_questions))
        yield


@pytest.mark.usefixtures("_questions_read_once")
@pytest.mark.parametrize("share", ["first", "second", "last"])
def test_planted_falsehoods_are_found_and_right_answers_are_not_reported(share):
    items = yaml.safe_load((SHARES / f"{share}.yaml").read_text(encoding="utf-8"))

    found = finding.find("facts", Bound(comparison=">=", threshold=1.0), items, reference=True)

    assert len(items) == 40
    assert sum(missed for missed, _ in found["wrong"]) >= 0.85 * 40
    assert sum(missed for missed, _ in found["right"]) <= 0.05 * 40
