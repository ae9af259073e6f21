"""What the documentation says of the quality of metrics carries a number of outputs and an interval."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
_SHARE = re.compile(r"(?<![\w.])[-+]?[01]?\.\d{2,4}(?!\d)")
_INTERVAL = re.compile(r"[-+]?[01]?\.\d{2,3} to [-+]?[01]?\.\d{2,3}")
_COUNT = re.compile(r"\b\d{2,4}\b")
# Of each page the sections whose tables hold agreement with people.
TABLES = {
    "agreement.md": ("Faithfulness", "What passes a bound", "Closeness to a reference", "Judges"),
    "metrics/semantic.md": ("Measured agreement",),
    "metrics/faithfulness.md": ("Which bound",),
    "metrics/judges.md": ("The embedded model",),
}


def sections(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    return {part.split("\n", 1)[0]: part for part in re.split(r"^#{1,3} ", text, flags=re.MULTILINE)[1:]}


@pytest.mark.parametrize(("page", "title"), [(page, title) for page in TABLES for title in TABLES[page]])
def test_every_figure_of_agreement_has_an_interval_and_a_count(page, title):
    lines = [line for line in sections(page)[title].splitlines() if line.startswith("|")]
    cells = [cell for line in lines for cell in line.split("|") if _SHARE.search(cell)]

    assert cells
    assert [cell for cell in cells if not _INTERVAL.search(cell)] == []
    assert all(_COUNT.search(line) for line in (lines[0],)) or all(map(_COUNT.search, lines[2:]))


def test_the_scorer_is_not_said_to_have_a_bound_that_suits_all_texts():
    text = (DOCS / "metrics/faithfulness.md").read_text(encoding="utf-8")

    assert "parts supported from unsupported" not in text
    assert 'faithfulness: ">= 0.5"' not in text
