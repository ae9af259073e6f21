"""
The mutation scores of three golden sets made from public sets, with people's answers as the app's.

The sets are read from a folder that is no part of this repository (see agreement/labels.py). A case is
written as a newcomer would: the question, a person's answer, and the checks of a set that has no labels of its
own. Usage: python benchmarks/foreign_sets.py [--cases 60] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import yaml

from benchmarks.agreement.labels import read

APP = """
import json
from pathlib import Path

ROWS = json.loads(Path(__file__).with_name("rows.json").read_text(encoding="utf-8"))


def answer(question):
    return ROWS[question]
"""
CHECKS = {"supported": True, "facts": True, "semantic": ">= 0.6"}


def clapnq() -> Iterator[tuple[str, str, list[str], dict[str, Any]]]:
    """Questions of Natural Questions with annotators' answers from one Wikipedia passage."""
    for row in read("clapnq"):
        if row["label"] == "answerable":
            yield row["input"], row["reference"], [" ".join(row["contexts"])], CHECKS


def mtrag() -> Iterator[tuple[str, str, list[str], dict[str, Any]]]:
    """Last turns of conversations on four sets of documents, with people's answers."""
    for row in read("mtrag"):
        if row["system"] == "reference" and row["answerability"] == "ANSWERABLE":
            yield row["input"], row["output"], row["contexts"], CHECKS


def xquad() -> Iterator[tuple[str, str, list[str], dict[str, Any]]]:
    """Questions of SQuAD whose answers are a few words of a passage."""
    passages = {row["id"]: row["text"] for row in read("xquad_passages")}
    for row in read("xquad_questions"):
        contexts = [passages[passage] for passage in row["relevant"]]
        yield row["input"], row["reference"], contexts, {"facts": True, "keywords": {"all": [row["reference"]]}}


SETS = {"clapnq": clapnq, "mtrag": mtrag, "xquad": xquad}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=60, help="cases of each set (default: 60)")
    parser.add_argument("--keep", type=Path, help="write the golden sets here and leave them")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in SETS:
            folder = (args.keep or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            write_set(folder, name, args.cases)
            print(f"\n## {name}\n", flush=True)
            mutate(folder)


def write_set(folder: Path, name: str, number: int) -> None:
    """Write a golden set and the app that gives its answers."""
    cases: dict[str, dict[str, Any]] = {}
    rows = {}
    for question, reference, contexts, checks in SETS[name]():
        if question in rows or len(cases) == number:
            continue
        rows[question] = {
            "text": reference,
            "passages": [{"id": str(at), "text": text} for at, text in enumerate(contexts)],
        }
        case = f"{name}-{len(cases)}"
        cases[case] = {"id": case, "input": question, "reference": reference, "checks": checks}
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    (folder / "people.py").write_text(APP, encoding="utf-8")
    golden = {"version": 1, "app": "people:answer", "cases": list(cases.values())}
    (folder / "golden.yaml").write_text(yaml.safe_dump(golden, allow_unicode=True), encoding="utf-8")


def mutate(folder: Path) -> None:
    """Print the table of a set, without the cases whose right answer its checks reject."""
    red = rejected(folder)
    golden = yaml.safe_load((folder / "golden.yaml").read_text(encoding="utf-8"))
    golden["cases"] = [case for case in golden["cases"] if case["id"] not in red]
    (folder / "golden.yaml").write_text(yaml.safe_dump(golden, allow_unicode=True), encoding="utf-8")
    print(f"{len(red)} right answers were red and left out, {len(golden['cases'])} cases remain\n", flush=True)
    command = [sys.executable, "-m", "pytest_llmops.cli", "mutate", "golden.yaml", "--kinds", "output,retrieval"]
    subprocess.run([*command, "--format", "markdown"], cwd=folder, check=False)  # noqa: S603 - our own command


def rejected(folder: Path) -> set[str]:
    """Return the cases that are red as they are."""
    run = folder / "run.json"
    command = [sys.executable, "-m", "pytest_llmops.cli", "run", "golden.yaml", "--out", run.name]
    subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    results = json.loads(run.read_text(encoding="utf-8"))["results"]
    return {result["case"].rpartition("::")[2] for result in results if result["failures"]}


if __name__ == "__main__":
    main()
