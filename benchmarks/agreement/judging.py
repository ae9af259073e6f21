"""The embedded judge beside people: which of two answers follows the instruction."""

from __future__ import annotations

from benchmarks.agreement.labels import read
from benchmarks.agreement.tables import Column
from pytest_llmops.judges.completion import close
from pytest_llmops.models.chat import stop_chat
from pytest_llmops.records import Output, Sample, Score
from pytest_llmops.registry import create_metric

LONGER, COSINE, JUDGE = "longer wins", "cosine to the question", "**pairwise**, embedded judge"
NAMES = (LONGER, COSINE, JUDGE)


def judging_columns() -> list[Column]:
    """LLMBar's natural pairs; 1 where people chose the first answer."""
    rows = [row for row in read("llmbar") if row["set"] == "Natural"]
    samples = [
        Sample(output=Output(text=row["outputs"][0]), input=row["input"], rival=row["outputs"][1])
        for row in rows
    ]
    judged = create_metric("pairwise", {"judge": "embedded"}).score(samples)
    close()
    stop_chat()
    return [
        Column(
            name="LLMBar, natural",
            kind="AUC",
            labels=[float(row["label"] == 1) for row in rows],
            groups=[row["id"] for row in rows],
            scores={
                LONGER: [float(len(row["outputs"][0]) - len(row["outputs"][1])) for row in rows],
                COSINE: [_nearer(row["input"], row["outputs"]) for row in rows],
                JUDGE: [each.value if isinstance(each, Score) else float("nan") for each in judged],
            },
        )
    ]


def _nearer(question: str, outputs: list[str]) -> float:
    """How much nearer the first answer is to the question than the second."""
    from pytest_llmops.models.vectors import embed

    asked, first, second = embed("default", [question, *outputs])
    return float(asked @ first - asked @ second)
