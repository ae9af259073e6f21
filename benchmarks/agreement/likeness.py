"""Closeness to a reference beside people: similarity, relevance, completeness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.agreement.labels import read
from benchmarks.agreement.tables import Column
from pytest_llmops.metrics.words import content_words
from pytest_llmops.records import Output, Sample, Score
from pytest_llmops.registry import create_metric

OVERLAP = "token overlap (F)"
NAMES = (OVERLAP, "keyword_overlap", "rouge_l", "bleu", "chrf", "semantic", "bertscore")


def likeness_columns() -> list[Column]:
    """STS-B's similarity by genre, SummEval's relevance, MTRAG's completeness, RAGChecker's preference."""
    summeval = read("summeval")
    mtrag = [row for row in read("mtrag") if row["system"] != "reference"]
    return [
        *(
            _column(
                f"STS-B {genre}",
                [row["output"] for row in rows],
                [row["reference"] for row in rows],
                [row["label"] for row in rows],
                [row["reference"] for row in rows],
            )
            for genre, rows in genres().items()
        ),
        _column(
            "SummEval relevance",
            [row["output"] for row in summeval],
            [row["reference"] for row in summeval],
            [row["label"]["relevance"] for row in summeval],
            [row["story"] for row in summeval],
        ),
        _column(
            "MTRAG completeness",
            [row["output"] for row in mtrag],
            [row["reference"] for row in mtrag],
            [row["label"]["completeness"] for row in mtrag],
            [row["conversation"] for row in mtrag],
        ),
        _preferences(),
    ]


def genres() -> dict[str, list[dict[str, Any]]]:
    """STS-B's rows by genre, as `STSbenchmark main-captions/images (...)` names it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in read("stsb"):
        genre = row["source"].split()[1].partition("/")[0].removeprefix("main-")
        found.setdefault(genre, []).append(row)
    return found


def _column(
    name: str,
    outputs: Sequence[str],
    references: Sequence[str],
    labels: Sequence[float],
    groups: Sequence[str],
) -> Column:
    scores = {each: _score(each, outputs, references) for each in NAMES}
    return Column(name=name, kind="Spearman", labels=labels, groups=groups, scores=scores)


def _preferences() -> Column:
    """Which of two answers is better, people's mean from -2 to 2, beside the difference of their scores."""
    rows = read("ragchecker")
    references = [row["reference"] for row in rows]
    scores = {}
    for name in NAMES:
        first, second = (_score(name, [row["outputs"][at] for row in rows], references) for at in (0, 1))
        scores[name] = [after - before for before, after in zip(first, second, strict=True)]
    return Column(
        name="RAGChecker, overall",
        kind="Spearman",
        labels=[row["label"]["overall"] for row in rows],
        groups=[row["id"] for row in rows],
        scores=scores,
    )


def _score(name: str, outputs: Sequence[str], references: Sequence[str]) -> list[float]:
    pairs = list(zip(outputs, references, strict=True))
    if name == OVERLAP:
        return [_overlap(output, reference) for output, reference in pairs]
    samples = [Sample(output=Output(text=output), reference=reference) for output, reference in pairs]
    results = create_metric(name).score(samples)
    return [result.value if isinstance(result, Score) else float("-inf") for result in results]


def _overlap(output: str, reference: str) -> float:
    got, wanted = set(content_words(output)), set(content_words(reference))
    return 2 * len(got & wanted) / (len(got) + len(wanted)) if got or wanted else 0.0
