"""
The labelled sets, read from a folder that is no part of this repository.

`$LLMOPS_LABELS` names it; by default it is `../shared/data/quality`, whose README tells where each set is
from and under which licence.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmops.records import Output, Passage, Sample

FOLDER = Path(os.environ.get("LLMOPS_LABELS", Path(__file__).parents[3] / "shared/data/quality"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """
    One output that people judged.

    Attributes:
        source: The set.
        group: What it shares with others of the set, a document or a conversation; resampled as a whole.
        label: 0 to 1, 1 the best.
        kind: What the set calls it.
    """

    source: str
    group: str
    sample: Sample
    label: float
    kind: str = ""


def read(name: str) -> list[dict[str, Any]]:
    """The lines of one file."""
    path = FOLDER / f"{name}.jsonl"
    if not path.is_file():
        sys.exit(f"{path} is not there; set LLMOPS_LABELS to the folder with the labelled sets")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def sample(output: str, contexts: list[str], **fields: Any) -> Sample:
    passages = tuple(Passage(id=str(at), text=text) for at, text in enumerate(contexts))
    return Sample(output=Output(text=output, passages=passages), **fields)


def faithfulness_sets() -> dict[str, list[Labelled]]:
    """Sets whose labels say whether an output is supported by its contexts."""
    return {
        "BEGIN": [
            Labelled(
                source="BEGIN",
                group=row["contexts"][0],
                sample=sample(row["output"], row["contexts"], input=row["input"]),
                label=float(row["label"] == "Fully attributable"),
            )
            for row in read("begin")
        ],
        "SciFact": [
            Labelled(
                source="SciFact",
                group=row["document"],
                sample=sample(row["output"], row["contexts"]),
                label=float(row["label"] == "SUPPORT"),
                kind=row["label"],
            )
            for row in read("scifact_faithfulness")
        ],
        "MTRAG": [
            Labelled(
                source="MTRAG",
                group=row["conversation"],
                sample=sample(row["output"], row["contexts"], input=row["input"], reference=row["reference"]),
                label=(row["label"]["faithfulness"] - 1) / 3,
                kind=row["system"],
            )
            for row in read("mtrag")
        ],
        "SummEval": _summaries(),
        "CLAPNQ": _without_rationale("CLAPNQ", read("clapnq"), "reference", "title"),
    }


def cut_abstracts() -> list[Labelled]:
    """SciFact's supported claims beside their abstracts without the sentences that support them."""
    rows = [row for row in read("scifact_faithfulness") if row["label"] == "SUPPORT"]
    return [each for each in _without_rationale("SciFact", rows, "output", "document") if not each.label]


def _summaries() -> list[Labelled]:
    """Summaries beside eleven people's summaries of the story, whose text may not be passed on."""
    references = {row["id"]: row["references"] for row in read("summeval_references")}
    return [
        Labelled(
            source="SummEval",
            group=row["story"],
            sample=sample(row["output"], references[row["story"]], reference=row["reference"]),
            label=(row["label"]["consistency"] - 1) / 4,
        )
        for row in read("summeval")
    ]


def _without_rationale(source: str, rows: list[dict[str, Any]], output: str, group: str) -> list[Labelled]:
    """Each supported text beside its contexts, and beside those that do not hold what people marked."""
    found = []
    for row in rows:
        if not row["rationale"]:
            continue
        rest = [text for at, text in enumerate(row["contexts"]) if at not in row["rationale"]]
        for contexts, label in ((row["contexts"], 1.0), (rest, 0.0)):
            if contexts:
                found.append(
                    Labelled(
                        source=source,
                        group=str(row[group]),
                        sample=sample(row[output], contexts, input=row.get("input")),
                        label=label,
                        kind="SUPPORT" if label else "CUT",
                    )
                )
    return found
