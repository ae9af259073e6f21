"""Both shares in README.md and docs/reference-app.md: the curated golden set, and the independent ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.questions.figures import Share, list_recalls
from benchmarks.questions.scoring import Scored
from pytest_llmops.bounds import holds
from pytest_llmops.golden.loader import load_golden

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference-app.md"
FRONT = ROOT / "README.md"
ON_FRONT = 3  # rows: the curated set, and of the independent questions those right and those wrong
CURATED = "golden/support.yaml"

_BEGIN, _END = "<!-- figures: python benchmarks/app.py --table -->", "<!-- end of figures -->"


def write_table(
    scored: Sequence[Scored], shares: Sequence[Share], run: Path, page: Path = PAGE, front: Path = FRONT
) -> None:
    """
    Rewrite the table between its marks, and its first rows on the front page.

    Args:
        shares: A row each.
        run: A run file of the curated golden set; its row stays as it is if there is none.
    """
    _, old, _ = _split(page)
    kept = next((line for line in old.splitlines() if CURATED in line), None)
    curated = format_row(measure_curated(run)) if run.exists() else kept
    rows = [*([curated] if curated else []), *map(format_row, shares)]
    recalls = [
        f"| relevant sections among the first {k} | {n} questions | {recall:.2f} | | | |"
        for k, recall, n in list_recalls(scored)
    ]
    _replace(page, [*rows, *recalls])
    _replace(front, rows[:ON_FRONT])
    print(f"{page}: table written{'' if run.exists() else f'; no run at {run}, so its row is the old one'}")


def _split(page: Path) -> tuple[str, str, str]:
    """What stands before the table, the table, and what stands behind it; each with its mark."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    old, end, after = rest.partition(_END)
    if not (begin and end):
        sys.exit(f"{page} has no place for the table: {_BEGIN} … {_END}")
    return before + begin, old, end + after


def _replace(page: Path, rows: Sequence[str]) -> None:
    before, _, after = _split(page)
    head = ["| | right | share | 95 % interval | floor | goal |", "|---|---|---|---|---|---|"]
    page.write_text(f"{before}\n\n" + "\n".join([*head, *rows]) + f"\n\n{after}", encoding="utf-8")


def measure_curated(run: Path) -> Share:
    """How many cases of the curated golden set pass all their checks, in every repeat."""
    results = {entry["case"]: entry for entry in json.loads(run.read_text(encoding="utf-8"))["results"]}
    golden = load_golden(CURATED, root=ROOT)
    passed = [_passes(case, results.get(f"{CURATED}::{case.id}")) for case in golden.cases]
    return Share(name=f"curated golden set (`{CURATED}`), all checks", count=sum(passed), of=len(passed))


def format_row(share: Share) -> str:
    low, high = share.interval
    sign = "≤" if share.fewer_is_better else "≥"
    limits = ["" if limit is None else f"{sign} {limit:.2f}" for limit in (share.floor, share.goal)]
    counts = f"{share.count}/{share.of} | {share.value:.2f} | {low:.2f} to {high:.2f}"
    return f"| {share.name} | {counts} | {' | '.join(limits)} |"


def _passes(case: Any, result: Any) -> bool:
    if result is None or result.get("failures"):
        return False
    for check in case.checks:
        values = [each["value"] for each in result["scores"] if each["metric"] == check.metric]
        if not check.record_only and not (values and all(holds(value, check) for value in values)):
            return False
    return True
