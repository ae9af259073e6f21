"""Writes `docs/agreement.md`: every model-based metric beside labels that people gave. `make metrics`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.agreement import judging, likeness, support, tables
from benchmarks.agreement.training import GOOD, Described, training_set
from pytest_llmops.metrics.faithfulness.model import load_model
from pytest_llmops.statistics.intervals import exact_interval

PAGE = Path(__file__).parents[2] / "docs" / "agreement.md"

_HEAD = """# Agreement with people

Written by `make metrics`; every figure is measured anew by it. The labelled sets lie outside of this
repository (`$LLMOPS_LABELS`), and are the developers' share of openly licensed ones. Intervals are BCa
bootstraps at 95 % that draw whole documents, conversations or stories. Of fewer than 100 outputs the interval
comes first, since the number alone says little. AUC: the chance that a good output scores above a bad one, .5
by chance. Spearman: rank correlation, 0 by chance.
"""
_CHANCE = (
    "Bold: beyond chance, p ≤ .05 by a permutation test that swaps two metrics' ranks of whole groups, after "
    "Holm's correction for all differences of the table. What is not bold is not shown to differ on so many "
    "outputs: an interval without 0 counts no other difference."
)
_PASSING = (
    "Shares of outputs that people call bad and good which pass, scored by a model and a scale that were "
    f"trained without the set. Good is supported; of MTRAG a mean above {1 + 3 * GOOD:.1f} of 4, of SummEval "
    "one above 4.6 of 5."
)


def main() -> None:
    started = time.monotonic()
    items = training_set()
    parts = [
        _HEAD,
        *_render_support(items),
        *_render(
            "Closeness to a reference",
            likeness.likeness_columns(),
            likeness.NAMES,
            "RAGChecker: the difference of two answers' scores beside the preference of two people. "
            f"STS-B: {_tell_genres()}. "
            "`cross_encoder` has no embedded model, so nothing of it is measured here.",
            [(name, likeness.OVERLAP) for name in likeness.NAMES if name != likeness.OVERLAP],
        ),
        *_render(
            "Judges",
            judging.judging_columns(),
            judging.NAMES,
            "The embedded chat model has 135 million parameters. "
            "Judges behind paid endpoints were never run here.",
        ),
    ]
    taken = time.monotonic() - started
    parts.append(f"\npytest-llmops {version('pytest-llmops')}.\n")
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    print(f"{PAGE} in {taken:.0f} s", file=sys.stderr)


def _render_support(items: Sequence[Described]) -> list[str]:
    columns = support.faithfulness_columns(items)
    lines = _render(
        "Faithfulness",
        columns,
        support.NAMES,
        "MTRAG: the two models' answers beside the mean of 2 to 3 people. CLAPNQ: people's answers beside "
        "their contexts with and without the sentences that people marked. SummEval: consistency (all "
        "experts agree, or not) beside eleven people's summaries of the story, since its text may not be "
        "passed on. "
        f"The packaged model is `{load_model().identity}`.",
    )
    lines += [
        "",
        "Trained without the set, less each baseline on the same outputs:",
        "",
        *tables.render_differences(columns, [(support.HELD_OUT, baseline) for baseline in support.BASELINES]),
        "",
        _CHANCE,
        "",
        "### What passes a bound",
        "",
        _PASSING,
        "",
        f"| outputs | n | {' | '.join(f'>= {bound:g}' for bound in support.BOUNDS)} |",
        f"|---|---|{'---|' * len(support.BOUNDS)}",
        *support.pass_rates(items),
    ]
    table, names = support.tell_apart(items)
    lines += [
        "",
        "### Support, contradiction and absence",
        "",
        "SciFact's claims, abstracts held out by five folds; shares of each label with exact intervals:",
        "",
        "| label | supported | contradicted | absent |",
        "|---|---|---|---|",
        *(
            f"| {name} | {' | '.join(_count(each, sum(row)) for each in row)} |"
            for name, row in zip(names, table, strict=True)
        ),
    ]
    return lines


def _render(
    title: str,
    columns: Sequence[tables.Column],
    names: Sequence[str],
    told: str,
    pairs: Sequence[tuple[str, str]] = (),
) -> list[str]:
    lines = [f"\n## {title}\n", *tables.render(columns, names), "", told]
    if pairs:
        lines += ["", *tables.render_differences(columns, pairs), "", _CHANCE]
    return lines


def _count(count: int, of: int) -> str:
    shown = (f"{each:.2f}".replace("0.", ".", 1) for each in (count / of, *exact_interval(count, of)))
    return "{} of {}: {} ({} to {})".format(count, of, *shown)


def _tell_genres() -> str:
    """Which of the set's three genres are among the rows."""
    rows = likeness.genres()
    there = ", ".join(f"{len(each)} pairs of {genre}" for genre, each in rows.items())
    missing = [each for each in ("captions", "news", "forums") if each not in rows]
    lacks = f"; no {' and no '.join(missing)}, so nothing is said of them" if missing else ""
    return f"{there}{lacks}"


if __name__ == "__main__":
    main()
