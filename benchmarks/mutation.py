"""
What golden sets of public questions find of wrong answers, by `llmops mutate`.

Nobody here wrote the questions and answers: CLAP NQ (a person's answer from a page of Wikipedia), MTRAG
(answers of two models and of people, which people marked as faithful) and XQuAD (the sentence of the passage
that has the answer). Each is a golden set twice: with the usual checks (a word of the reference, similarity,
recall), and with `facts` added. Cases that are red as they are are left out and counted. The data stay where
they are; the golden sets lie in a temporary folder. Usage: python benchmarks/mutation.py [--cases N]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.table import Table

from pytest_llmops.evaluation.golden_run import run_golden
from pytest_llmops.features.mutate.kinds import LIES, LIES_KEY, kinds_of, usual_kinds
from pytest_llmops.features.mutate.measuring import measure
from pytest_llmops.features.mutate.strength import judge_bound
from pytest_llmops.gates.absolute import judge_case
from pytest_llmops.golden.loader import load_golden
from pytest_llmops.records import Bound, Golden
from pytest_llmops.settings import Settings

QUALITY = Path("/work/shared/data/quality")
SUPPORTED = 3.5  # of MTRAG's marks from 1 to 4
WORD = re.compile(r"[^\W\d_]{4,}|\d[\d.,]*\d|\d")
Row = dict[str, Any]


def read(name: str) -> list[Row]:
    lines = (QUALITY / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def clap_nq() -> Iterator[Row]:
    for row in read("clapnq"):
        if row["label"] == "answerable" and row["reference"]:
            places = [f"s{at}" for at in range(len(row["contexts"]))]
            used = [places[at] for at in row["rationale"]]
            order = [*used, *(place for place in places if place not in used)]
            texts = dict(zip(places, row["contexts"], strict=True))
            yield {
                **{name: row[name] for name in ("id", "input", "reference")},
                "text": row["reference"],
                "passages": [{"id": place, "text": texts[place]} for place in order],
                "relevant": used[:1],
            }


def mtrag() -> Iterator[Row]:
    for row in read("mtrag"):
        marks = row["label"].get("faithfulness") if isinstance(row["label"], dict) else None
        if (
            row["contexts"]
            and row["reference"]
            and (row["system"] == "reference" or (marks or 0) >= SUPPORTED)
        ):
            passages = [{"id": f"p{at}", "text": text} for at, text in enumerate(row["contexts"])]
            yield {
                "id": re.sub(r"[^\w-]", "-", row["id"]),
                "input": row["input"],
                "reference": row["reference"],
                "text": row["output"],
                "passages": passages,
                "group": row["conversation"],
            }


def xquad() -> Iterator[Row]:
    passages = {row["id"]: row["text"] for row in read("xquad_passages")}
    names = list(passages)
    for row in read("xquad_questions"):
        text = passages[row["relevant"][0]]
        sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text)
        answer = next((sentence for sentence in sentences if row["reference"] in sentence), "")
        if answer:
            at = names.index(row["relevant"][0])
            found = [names[at], names[at - 1], names[at - 2]]
            yield {
                **{name: row[name] for name in ("id", "input", "reference", "relevant")},
                "text": answer,
                "passages": [{"id": name, "text": passages[name]} for name in found],
                "group": f"passage {row['relevant'][0]}",
                "keyword": row["reference"],
            }


def write(folder: Path, rows: Sequence[Row], *, facts: bool) -> Golden:
    """Write a golden file as a person would who has an hour: a word or a span, similarity, recall."""
    cases = []
    for row in rows:
        words = [row["keyword"]] if "keyword" in row else WORD.findall(row["reference"])
        common = [word for word in dict.fromkeys(words) if word in row["text"]]
        checks: Row = {} if "keyword" in row else {"semantic": ">= 0.5"}
        if common:
            checks["keywords"] = {"all": [max(common, key=len)]}
        if row.get("relevant"):
            checks["recall@1"] = ">= 1"
        if facts:
            checks["facts"] = True
        case = {
            name: row[name] for name in ("id", "input", "reference", "relevant", "group") if row.get(name)
        }
        cases.append({**case, "checks": checks})
    path = folder / "golden.json"
    path.write_text(json.dumps({"version": 1, "cases": cases}))
    return load_golden(path, root=folder)


def measure_set(rows: Sequence[Row], *, facts: bool) -> tuple[Mapping[str, str], int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        golden = write(folder, rows, facts=facts)
        answers = {row["input"]: row for row in rows}
        settings = Settings(root=folder)

        def answer(question: str) -> Row:
            row = answers[question]
            return {"text": row["text"], "passages": row["passages"]}

        with contextlib.redirect_stderr(io.StringIO()):
            run = run_golden(golden, answer, settings=settings)
        results = {result.case.rpartition("::")[2]: result for result in run.results}
        green = [
            case
            for case in golden.cases
            if all(verdict.outcome == "passed" for verdict in judge_case(case, results[case.id]))
        ]
        golden = replace(golden, cases=tuple(green))
        strength = measure([golden], settings, usual_kinds(), app=answer).strength
        bound = Bound(comparison=">=", threshold=0.9)
        shown = {}
        for kind in (
            LIES_KEY,
            *LIES,
            "first_sentence",
            "another_answer",
            "passages_verbatim",
            "apology",
            "retrieval",
        ):
            verdict = judge_bound(golden, kind, bound, strength.trials, strength.not_tried)
            tried = sum((trial.group, trial.kind) in kinds_of(kind) for trial in strength.trials)
            low, high = verdict.interval or (0.0, 1.0)
            shown[kind] = (
                "-"
                if verdict.observed is None
                else f"{verdict.observed:.2f} [{low:.2f}, {high:.2f}] of {tried}"
            )
        return shown, len(green)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=60)
    most = parser.parse_args().cases
    sets: Mapping[str, Callable[[], Iterator[Row]]] = {"CLAP NQ": clap_nq, "MTRAG": mtrag, "XQuAD": xquad}
    columns: dict[str, Mapping[str, str]] = {}
    for name, make in sets.items():
        every = list({row["input"]: row for row in make()}.values())
        rows = every[:: max(1, len(every) // most)][:most]
        for facts in (False, True):
            shown, green = measure_set(rows, facts=facts)
            title = f"{name}{', with facts' if facts else ''} ({green} of {len(rows)} cases green)"
            columns[title] = shown
    table = Table("killed", *columns)
    for kind in next(iter(columns.values())):
        table.add_row(kind, *(shown[kind] for shown in columns.values()))
    Console(width=240).print(table)


if __name__ == "__main__":
    main()
