"""Writes `docs/agreement.md`: every model-based metric beside labels that people gave. `make metrics`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks.agreement import judging, likeness, support, tables
from benchmarks.agreement.training import Described, training_set
from pytest_llmops.metrics.faithfulness.model import load_model

PAGE = Path(__file__).parents[2] / "docs" / "agreement.md"

_HEAD = """# Agreement with people

Written by `make metrics`; every figure is measured anew by it. The labelled sets lie outside of this
repository (`$LLMOPS_LABELS`), and are the developers' share of openly licensed ones. Intervals are BCa
bootstraps at 95 % that draw whole documents, conversations or stories. AUC: the chance that a good output
scores above a bad one, 0.5 by chance. Spearman: rank correlation, 0 by chance.
"""


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
            "`cross_encoder` has no embedded model, so nothing of it is measured here.",
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
    parts.append(f"\npytest-llmops {version('pytest-llmops')}, {taken / 60:.0f} minutes.\n")
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
    lines += ["", "Trained without the set, against the better baseline on the same draws:", ""]
    for column in columns:
        found = tables.measure(column)
        better = max((support.OVERLAP, support.COSINE), key=lambda name: found[name].value or 0.0)
        difference = tables.compare(column, support.HELD_OUT, better)
        low, high = difference.low, difference.high
        verdict = (
            "a tie" if low is None or high is None or low <= 0 <= high else "better" if low > 0 else "worse"
        )
        lines.append(f"- {column.name}: {tables.show(difference, signed=True)} to {better}: {verdict}.")
    means = {
        name: sum(tables.measure(column)[name].value or 0.0 for column in columns) / len(columns)
        for name in support.NAMES
    }
    told = ", ".join(f"{name.replace('*', '')} {mean:.3f}" for name, mean in means.items())
    table, names = support.tell_apart(items)
    lines += [
        "",
        f"Mean over the sets: {told}.",
        "",
        "Support, contradiction and absence, SciFact's abstracts held out by five folds:",
        "",
        "| label | supported | contradicted | absent |",
        "|---|---|---|---|",
        *(f"| {name} | {' | '.join(map(str, row))} |" for name, row in zip(names, table, strict=True)),
    ]
    return lines


def _render(title: str, columns: Sequence[tables.Column], names: Sequence[str], told: str) -> list[str]:
    return [f"\n## {title}\n", *tables.render(columns, names), "", told]


if __name__ == "__main__":
    main()
